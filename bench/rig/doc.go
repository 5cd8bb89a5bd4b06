// Package rig sets up what the tests and benchmarks below bench measure: relays
// and native peers, each in a process of its own so that its memory and CPU time
// can be told apart, or in this one where only the outcome counts.
//
// The processes are the test binary itself, run again: a package that uses them
// has
//
//	func TestMain(m *testing.M) { rig.Main(m) }
//
// and a peer in a process obeys requests on its stdin, one at a time (child.go).
// The rig sees of peers and relays what their users see.
package rig
