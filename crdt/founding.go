package crdt

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// Two devices that each put the first entity into a collection while they are apart
// would make two maps at one key, of which readers see one: the entities in the other
// would be out of sight. So a collection is made by a change of its own, its founding,
// which is the same to the byte wherever it is made: it follows from the name alone. It
// depends on nothing, and its author is nobody. Whoever makes it makes the same map, and
// of two of them there is one.
//
// A collection that somebody has made in another way stays as it is, and one that was
// taken out of the document is made anew by the batch that needs it: its founding is in
// the history and would not bring it back.

// foundingIntent comes before the name in the message of a founding. The messages, and all
// else of a founding, are the same for ever, and in the browser's peer.
const foundingIntent = "collection "

// Founding returns the change that makes a collection.
func Founding(collection string) (*chunk.Change, error) {
	if err := checkName("collection", collection); err != nil {
		return nil, err
	}
	raw, err := chunk.Encode(
		chunk.Header{Actor: founder(collection), Seq: 1, StartOp: 1, Message: foundingIntent + collection},
		[]chunk.Op{{Key: collection, Action: chunk.MakeMap}},
	)
	if err != nil {
		return nil, fmt.Errorf("found collection %q: %w", collection, err)
	}
	return chunk.ParseChange(raw)
}

// founder is the actor of a founding. Each collection has its own, so that foundings do
// not depend on one another.
func founder(collection string) id.Actor {
	sum := sha256.Sum256([]byte("syncline founding\x00" + collection))
	return id.Actor(sum[:16])
}

// Founds reports whether a change is a founding, and of which collection.
func Founds(c *chunk.Change) (collection string, ok bool) {
	if len(c.Deps) > 0 || c.Seq != 1 || c.NumOps != 1 {
		return "", false
	}
	for _, op := range c.Ops() {
		collection = op.Key
	}
	f, err := Founding(collection)
	return collection, err == nil && f.Hash == c.Hash
}

// Foundings returns the foundings that a batch needs before Do carries it out, for its
// collections that are not there, or why Do would refuse it. They are in the document only
// once Apply was given them.
func (d *Document) Foundings(ops ...Operation) ([]*chunk.Change, error) {
	var lacking []string
	for _, o := range ops {
		if _, there := d.founded[o.Collection]; there || o.Verb != VerbCreate || slices.Contains(lacking, o.Collection) {
			continue
		}
		lacking = append(lacking, o.Collection)
	}
	if len(lacking) == 0 {
		return nil, nil
	}
	there, err := d.now().keys(nil)
	if err != nil {
		return nil, fmt.Errorf("list collections: %w", err)
	}
	// One that is taken out later is left to Do: see above.
	if d.founded == nil {
		d.founded = map[string]struct{}{}
	}
	for _, name := range there {
		d.founded[name] = struct{}{}
	}
	lacking = slices.DeleteFunc(lacking, func(name string) bool { _, there := d.founded[name]; return there })
	if len(lacking) == 0 {
		return nil, nil
	}
	if err := d.try(ops); err != nil {
		return nil, err
	}
	founded := make([]*chunk.Change, len(lacking))
	for i, name := range lacking {
		if founded[i], err = Founding(name); err != nil {
			return nil, err
		}
	}
	return founded, nil
}
