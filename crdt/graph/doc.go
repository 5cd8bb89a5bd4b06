// Package graph keeps the hash graph of one document: which changes there are,
// what each depends on, and which stand. It holds metadata only; the bodies stay
// where Meta.Row says.
//
// On its way in, a change has been decoded and validated alone (package chunk)
// when it comes here. Check looks at it in its document, Add takes it in,
// invisible, and Publish makes it visible once it is durable; Truncate forgets
// what was never published. On the way out, the sync protocol (package session)
// asks for heads and for what lies beyond them.
//
// The graph refuses a change that no honest author could have made at that
// place. It does not refuse a twin (a second change with the same actor and
// sequence number): it keeps it and everything built on it as evidence, in
// quarantine (twins.go).
//
// A Graph does no I/O, starts no goroutine and reads no clock. It is not safe for
// concurrent use.
package graph
