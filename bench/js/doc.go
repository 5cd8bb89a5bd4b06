// Package js runs the stock JavaScript implementations, @automerge/automerge and
// automerge-repo from npm, in Node processes and drives them from Go. It stands
// at the far end of the data's way: what Syncline writes and sends is read there
// by the code that its users' browsers run. It imports nothing of Syncline's, so
// every package's tests may use it, and it is used by tests and benchmarks only.
//
// A worker is one Node process that answers requests over stdin and stdout:
// [StartAutomerge] for documents, changes and the sync protocol, [StartRepo] for
// automerge-repo clients. server.mjs is automerge-repo's own sync server; it is a
// program by itself, run with the arguments that it states.
// Nothing is installed by itself: call [Install], or run npm ci in this folder.
// Tests begin with [Require].
package js
