package crdt

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"syncline/crdt/id"
)

// deviceTag is how many bytes of an actor id tell the device within the
// document; as many random ones follow.
const deviceTag = 8

// MintActor makes the actor id for one opening of a document: a tag that is
// the same for this device in this document and means nothing elsewhere, and
// random bytes. Minting one for each opening keeps a copied or restored
// database from using an (actor, seq) twice.
func MintActor(deviceSecret []byte, doc id.Document) id.Actor {
	b := DeviceTag(deviceSecret, doc)
	b = append(b, make([]byte, deviceTag)...)
	rand.Read(b[deviceTag:])
	return id.Actor(b)
}

// DeviceTag is what the ids of all actors of one device in one document start
// with.
func DeviceTag(deviceSecret []byte, doc id.Document) []byte {
	mac := hmac.New(sha256.New, deviceSecret)
	mac.Write(doc[:])
	return mac.Sum(nil)[:deviceTag]
}
