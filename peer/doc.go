// Package peer is the native peer: a store of documents that are edited locally,
// at once and durably, and kept in sync with relays and other peers in the
// background.
//
//	p, err := peer.Open(ctx, "notes.db", peer.Options{Remotes: []peer.Remote{{URL: "wss://relay.example"}}})
//	defer p.Close()
//	go p.Run(ctx)                             // syncs until ctx ends
//	doc, err := p.Create(ctx)                 // or OpenDocument, or Fetch by its id
//	_, err = doc.Do(ctx, crdt.Create("items", "milk", map[string]any{"text": "Milk"}))
//	items, err := doc.Collection(ctx, "items")
//
// The store is the authority: reads and edits never wait for a network, and what
// Do has returned survives the process and the power. A second process, such as a
// CLI verb, may use the same file at the same time; each sees what the other does.
//
// # The ways of a change
//
// Ours: the core document makes it, one transaction stores it, then it is visible
// to readers, told to sessions and returned (desk.go). Somebody else's: the
// connection's reader decodes it and checks it alone (receive.go); its document
// checks it in full in its place (stage.go); one transaction stores it, marked as
// applying; from there on it is acknowledged and passed on (speak.go); then the
// core takes it and the mark goes (apply.go). What lies between the two is
// finished by the next start (recover.go). What fails a check is never stored.
//
// A change that ended the process inside the core is put in quarantine by the
// next start with all that builds on it: kept, reported by Status, and never
// applied or sent again. Twins (two changes of an actor with one number) are
// decided by the rule of package graph; the document is made again from those
// that stand, and what this device did in the others is issued again (again.go).
//
// # What to use when
//
//   - Open, then Run in a goroutine of its own, for a program that stays: remotes of
//     Options and of Connect are kept connected until Run's context ends. Close last;
//     it ends all the rest. Sync without Run, for one that comes and goes: it connects
//     once, and returns when nothing is left to send or to receive.
//   - Create for a new document, OpenDocument for one of this store, Fetch for one whose
//     id came from somebody else: it is asked for on each connection, and is empty until
//     it comes. None of these waits for a network.
//   - Document.Do for edits, several at once if they belong together: they are one
//     change. Receipt.Wait only where something outside depends on an edit.
//   - Document.Changed, Watch and Peer.Live to follow what changes; StatusChanged and
//     Status to show people how things stand; Outbox, Retry and Drop to mend it.
//
// Durations are time.Duration, times are of the clock in Options.Now, sizes are bytes
// unless a name says otherwise, and text positions are code points. Errors that callers
// branch on are variables of this package and of crdt and storage; those of remotes are
// a *Fault. A context that ends ends the wait, not what was taken up: an edit that was
// stored is stored.
//
// # Being dialled
//
// Listen lets other peers and stock clients connect as to a relay, so that two peers
// need none. Without access control only programs on this machine may; ListenOptions
// says who else. With access tokens (package relay/wire/access) each connection reads
// and writes what its token grants: what it may not read looks like what is not there,
// and of what it may only read its changes are declined by one notice and stay with it,
// while those of others go on coming. A grant ends with its token, or is replaced on the
// connection. Two peers that dial each other have two connections, of which one is
// spare: a change goes over one of them.
//
// # Is my change safe?
//
// Do returns a Receipt. Its Progress says how far the change has come: Local (on the
// disk here), Sent, Acknowledged (on the disk at a remote, and at which) or Seen (a
// peer has it). Receipt.Wait waits for one of these, across lost connections; after a
// restart Peer.Receipt has it again by its Sequence. All but Sent are in the store: what
// was sent and not acknowledged when the process ended is Local again, which it may be.
//
//	r, err := doc.Do(ctx, crdt.Delete("items", "milk"))
//	err = r.Wait(ctx, peer.Acknowledged, "wss://relay.example")
//
// Document.Log lists a document's changes with how far each has come. The same intent
// that a receipt has travels in the change, so that the logs of other peers show it.
//
// # Taking back, looking back
//
// Document.Undo takes back what was done last in this store, by a new change that
// keeps what others have done since, and Redo does it again; both still can after a
// restart. Document.AsOf finds what a document was at a time, ReadAt reads it, Diff
// compares, Restore brings an entity back, and HistoryPage lists who did what.
//
// # SQL
//
// The entities of all documents are rows of tables in the same file, one for each
// collection. Query reads them, and nothing else, with any SELECT; Live tells of each
// new result. What we do is in the rows when Do returns, in the transaction of its
// change; what others do, as soon as the core has it (project.go). Rows are what the
// documents say, read by Options.Schema and its merge functions, so all peers with the
// same changes and schema have the same. An entity is read and written as a whole:
// each edit of a text of 100,000 characters costs some milliseconds more with tables.
//
// # Conflicts
//
// Document.ReadConflicts lists the places to which concurrent changes have given
// several values, by the rules of Options.Schema. SettleDeclared writes what the rules
// decide, which alters nothing that is read by them; Settle writes what a person chooses,
// in place of the values that he was shown and of no others. Package resolve does both
// for an always-on peer.
//
// # When something is wrong
//
// Each error of a remote, or of one document there, has one Class. It is tried again
// after a delay that is drawn at random and bounded by the class (Backoff), plus what
// the other end asks for (at most an hour); no other document and no other remote
// waits for it. Without a route nothing is tried, and when addresses or routes change
// it is tried at once (Network, looked at every 2 s). What trying again cannot mend is
// dead: it is kept in the store with its reason, listed by Peer.Outbox, and offered
// again after Peer.Retry, or never after Peer.Drop. Connections are pinged, so that a
// dead one is noticed within Options.MaxSilence.
//
// Peer.Status says all of it at once, also of a peer that runs in another process on
// the same file: what no other end has, since when, and what was counted. Package
// telemetry gives the same to Prometheus.
//
// Equal heads must mean equal documents. Ends with equal heads compare a digest of what
// they read, once a document that is open has come to rest (compare.go); where two
// differ, each loads it anew from its journal, and the one that was wrong goes on with
// that: Status.Mismatches, and divergences of kind state. Each stored change is held
// against its hash about once a day (sweep.go). What is wrong with a file, and what
// mends it, Checkup and Mend say, in the words of package doctor.
//
// # Parts
//
// A replica is the state machine of one document: pure, without goroutine, clock
// or I/O. A desk is the goroutine around one while the document is in use. A conn
// is one connection, whoever has dialled it; a link keeps a remote connected, and its
// outbox, which is pure as well, decides what is offered to it and when.
// Documents that nothing happens to are in the file only: not their content, which
// the cache bounds, nor their graph, which Options.MaxIdle does.
package peer
