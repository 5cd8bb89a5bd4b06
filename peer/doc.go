// Package peer is the native peer: it holds documents, edits them, and keeps them
// in sync with relays and other peers.
//
// A local edit goes from Replica.Do through the document, into the hash graph,
// to the session of every Link, and out on the wire. A change from elsewhere is
// decoded, checked alone and in its document, and only then given to the core.
//
// Replicas are in memory: what a peer has not sent anywhere ends with its process.
package peer
