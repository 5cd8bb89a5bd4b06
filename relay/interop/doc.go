// Package interop holds the tests that put the relay, as its own process, among
// stock automerge-repo clients from npm. It stands outside both ends of the
// data's way and sees only what their users see: documents, heads, and what is
// left after a kill.
//
// The tests are first proved on automerge-repo's own sync server: with
// SYNCLINE_INTEROP_REFERENCE=1 it takes the relay's place. Tests that it cannot
// pass are then skipped, with the reason.
//
// SYNCLINE_INTEROP_RELAY names a relay binary to test in place of a fresh build.
package interop
