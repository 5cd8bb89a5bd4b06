// Package light has what the comparisons and soaks below bench share: clients that
// speak the automerge-repo protocol and keep no documents, so that hundreds of them
// take little of the cores that a server needs, and our relay as a process.
//
// A Replica has the hash graph and the bytes of the changes of one document, and the
// sync sessions of our own packages. A Conn is a connection that keeps replicas in
// step with a server. Neither knows which server that is.
package light
