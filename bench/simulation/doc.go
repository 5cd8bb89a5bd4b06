// Package simulation runs whole networks of peers and relays in one goroutine, on a
// clock and an order of events that come from a seed. What runs is the code itself:
// sessions, journals, the desks, links and outboxes of package peer (as peer.Stepped),
// the halls and rooms of package relay (as relay.Stepped). What is simulated is what
// lies around it: time, the network between them, disks that refuse and processes that
// die between any two transactions.
//
// A run (Run) draws a network of 3 to 8 peers and 1 or 2 relays, does random operations
// to several documents while it cuts, delays and parts connections, kills and restarts
// what runs, has disks refuse, be lost, be put back as they were earlier, or be copied
// to another machine; then it mends everything and wants to see, within 60 seconds of
// the simulated time, the same heads, values and rows of tables everywhere and nothing
// left in any outbox. While it runs it holds the network to what must never be broken, such as
// that nobody speaks of what is not durable. The same seed gives the same run.
//
// Stores are of two kinds: SQLite files, and package memory's model of them, which is
// some ten times as fast. Bugs (Bugs) are mistakes that can be put into the seams, to
// show that the simulation notices them.
package simulation
