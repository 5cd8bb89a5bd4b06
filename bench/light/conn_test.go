package light

import (
	"testing"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

// Who makes a document may be told that there is none before its first change is here.
func TestOnlyWhoWaitsForADocumentMindsThatThereIsNone(t *testing.T) {
	none := func(h Hearing) error {
		doc := id.NewDocument()
		c := &Conn{docs: map[id.Document]*Replica{doc: NewReplica(doc, 1, h)}}
		frame, err := wire.Encode(&wire.Unavailable{Document: doc, Route: wire.Route{SenderID: "a", TargetID: "b"}})
		if err != nil {
			t.Fatal(err)
		}
		return c.receive(frame)
	}
	if err := none(Hearing{Acknowledged: func(int) {}}); err != nil {
		t.Errorf("an author: %v", err)
	}
	if err := none(Hearing{}); err == nil {
		t.Error("a reader is not told")
	}
}
