// Package herd asks what a relay gets to feel that went away with all its peers
// connected: it has many of them go by peer.Backoff, on a clock that is only counted,
// and counts their attempts by the second. It opens no socket and no store.
package herd
