package peer

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"syncline/crdt"
	"syncline/crdt/graph"
	"syncline/crdt/id"
)

// A change of this device that twins have put in quarantine is issued again: its
// operations, under a new actor, in a change that can stand. Twins come from a
// machine that was copied while it ran: two then go on as one actor. Both ends, and
// whatever copy of the file there is beside them, may hold the loser, and each of
// them may find out at any time, about some of the twins or about all. No operation
// may be done twice for that. So what is issued is a function of the device's
// secret, which copies share, and of what stands and what does not: whoever has the
// secret and knows the same changes writes the same bytes, which are one change.
// Nothing else is kept of it, so a process that dies between any two steps leaves
// nothing that the next start would not do in the same way.
//
// The function: "ours" is a change whose actor has the device's tag. The change of
// ours n, which is out, is issued again as n' with the deps of n, where
//
//   - a dep that stands is kept;
//   - a dep of ours that is out is replaced by what it was issued again as;
//   - any other that is out is replaced by its own deps, by these same rules;
//   - and a node that is out though all its deps stand brings with it the twin
//     that stands in its place.
//
// By the last rule, n' descends from what has put n out. Should that come to be out
// itself, because twins elsewhere decide it, then n stands again, and n' is out
// with what it builds on. So n and n' never stand both, in any set of changes: if
// all deps of n' stand then either the twin that beats n does, or, by induction, a
// dep of n is out. In the same way no two changes that n was ever issued again as
// stand both: those deps, standing, leave each rule above only one answer.
//
// What was issued again and is out for a dep has thus been replaced, by n itself or
// by another n', and is not issued again for its own sake. To tell it from an
// original, and to find n, its actor says so: tag (8 bytes, as of every actor of
// the device), the first 4 bytes of the hash of n, and 4 bytes that only the device
// can compute from these and the deps. An actor makes one such change: a longer run
// of one actor could come to be twins itself.
//
// One thing is left undone. What is out is sent to nobody; so a copy of this device
// may know a change that was issued again and not its original. Should that change
// come to be out in turn, the copy cannot say what replaces it, and another that can
// may not know what the copy built on it. That stays in quarantine, and is reported:
// better an edit that waits than one that is done twice.
//
// A change that names our tag may be forged. All a forger gets is what the change
// itself could have done: it is issued again once for each change that he sends.

// againNode and againCheck are the lengths of the parts of such an actor.
const (
	againNode  = 4
	againCheck = 4
)

// device tells the changes of this device in one document.
type device struct {
	secret []byte
	doc    id.Document
	tag    []byte
}

func newDevice(secret []byte, doc id.Document) device {
	return device{secret: secret, doc: doc, tag: crdt.DeviceTag(secret, doc)}
}

// String names the device within the document.
func (d device) String() string { return hex.EncodeToString(d.tag) }

func (d device) wrote(a id.Actor) bool { return bytes.HasPrefix([]byte(a), d.tag) }

// actorFor is who issues the change with the given hash again, on deps.
func (d device) actorFor(h id.Hash, deps []id.Hash) id.Actor {
	return d.actor(h[:againNode], deps)
}

func (d device) actor(node []byte, deps []id.Hash) id.Actor {
	mac := hmac.New(sha256.New, d.secret)
	mac.Write([]byte("issued again"))
	mac.Write(d.doc[:])
	mac.Write(node)
	for i := range deps {
		mac.Write(deps[i][:])
	}
	b := append(bytes.Clone(d.tag), node...)
	return id.Actor(append(b, mac.Sum(nil)[:againCheck]...))
}

// isAgain reports whether a change of this device was issued again, and how the
// hash of the original starts.
func (d device) isAgain(m graph.Meta) (node []byte, ok bool) {
	if m.Seq != 1 || len(m.Actor) != len(d.tag)+againNode+againCheck {
		return nil, false
	}
	node = []byte(m.Actor[len(d.tag) : len(d.tag)+againNode])
	return node, d.actor(node, m.Deps) == m.Actor
}
