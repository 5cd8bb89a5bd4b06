// Package resolve settles the conflicts of a peer's documents: those that the app's rules
// decide by itself, and the others by telling people of them and writing what they choose.
// It stands above package peer, whose Conflicts and settlements it uses; an always-on peer
// beside a relay runs one.
//
//	r, err := resolve.New(p, resolve.Options{})
//	go r.Run(ctx)
//	http.Serve(l, r.Handler(access.AdminGate{}))
//
// # What is settled by itself
//
// A conflict that a rule of Options.Schema of the peer decides, whose rule is one that is
// written (max, min, ranked, last, first, winner), and that has been at rest: the same
// values for Options.Rest. What is written takes away the values that have lost, and adds
// none: the comment of crdt.MergedPlace.Losers says why several resolvers do not fight,
// why nobody reads anything else for it, and what it does change. A union, and what a
// function of the app makes, are read by the rule and never written by itself. A
// conflict of counters that were set to different values is left for a person.
//
// A document that is to be settled for the first time gets the mark of the schema before,
// so that others can tell. One that bears the mark of a newer version, of another
// schema of the same name, or of other versions of the app's functions is held: nothing
// is settled in it, and Counts, the log and the list say so.
//
// # What is left for a person
//
// All other conflicts are listed until they are settled; without a schema, all. Their
// ids name a place with the values that it has, so that what a person chooses is never
// written over values that he has not seen. A webhook is told of each once it is at rest:
// see Webhook.
//
// # Parts
//
// The book (book.go) decides: a function of what was read and of a clock. The resolver
// reads, writes and waits; the handler and the webhook are the edges.
package resolve
