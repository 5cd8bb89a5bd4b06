package simulation

import (
	"syncline/crdt/id"
	"syncline/peer"
)

// Bug is a mistake that can be put into the seams around the code: its store, its
// connections, what it draws, its timers. The code itself has no switch for it.
type Bug struct {
	Name string
	Does string // what it is, in words

	// Store wraps the store of a node, each time it is opened.
	Store func(w *world, n *node, s Store) Store
	// Send alters what an end sends; nil: it is lost.
	Send func(w *world, e *end, frame []byte) []byte
	// Died is called when a process has died, and may alter its disk.
	Died func(w *world, n *node)
	// Mint draws an actor; "": as always.
	Mint func(d *device, secret []byte, doc id.Document) id.Actor
	// Fault alters why a connection was not made.
	Fault func(err error) error
	// Timer reports whether a timer fires.
	Timer func(w *world) bool
	// Left reports whether a relay is told that a connection has ended.
	Left func(w *world) bool
	// Backoff takes the place of the peers'.
	Backoff *peer.Backoff
	// KeepsID has a relay that has lost its data keep its storage id.
	KeepsID bool
}
