// Package doctor looks for what is wrong with a store's file, says it in words, and
// mends what can be mended without losing anything.
//
// It stands beside the data's way: it reads the file as it lies there, sound or not,
// and trusts nothing in it but the bytes of changes, whose hashes say whether they are
// what they were. Everything else in the file is derived from them, and is held
// against them.
//
// [Examine] changes nothing, and may be used while peers run on the file: each
// document is looked at as it was at one moment. [Repair] needs the file for itself.
// It mends only where nothing can be lost: what is damaged is first written out as
// files (Options.Export), then kept in the file as evidence and taken out of the
// journal, so that the next sync brings the change again. Every mend is a transaction;
// after a kill between two, Repair begins where it was.
//
// What a file's owner keeps in it beside what every store has, as a peer its records
// of operations, is looked at by the owner's own [Check].
//
// Memory is bounded by what one document's graph takes, about 200 bytes for each of
// its changes, and by its largest change or segment.
//
// The kinds of findings:
//
//	file        a page of the file, or a row in it, cannot be read
//	index       an index and its table disagree
//	schema      a table, an index or a trigger is missing or was altered
//	foreign     a row belongs to one that is not there
//	row         a stored change does not decode
//	hash        a stored change is intact, and its row names another
//	head        what stands beside a change is not what it says
//	gap         a change is missing that others build on, or that was withdrawn
//	unfit       a change does not fit the document it is in
//	twin        an actor used a sequence number for two changes
//	heads       the noted heads are not those of the changes
//	count       the noted number of changes is not theirs
//	segment     a segment does not decode to the changes that it stands for
//	sync-state  what is known of a remote does not decode, or names what is not here
//	applying    a process died while it gave changes to the document
//	quarantine  a change is kept out of its document
//	copy        another device goes by this one's name: the file was copied
//	record      an operation and its change do not belong together (a peer's)
//	core        a document cannot be loaded, or reads differently (a peer's)
//	projection  the tables show other rows than the document has (a peer's)
package doctor
