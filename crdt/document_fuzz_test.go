package crdt_test

import (
	"encoding/json"
	"errors"
	"testing"

	"syncline/crdt"
)

// Operations come as JSON from files and command lines. What is read can be
// written, read again to the same, and carried out or refused.
func FuzzOperationJSON(f *testing.F) {
	for _, seed := range []string{
		`{"verb":"create","collection":"c","id":"i","fields":{"a":1,"b":{"$counter":2},"c":[1.5,"x",null,{"$map":{"$uint":3}}]}}`,
		`{"verb":"set","collection":"c","id":"i","path":["f",0,"g"],"value":{"$time":"+012020-01-02T03:04:05.678Z"}}`,
		`{"verb":"splice","collection":"c","id":"i","path":["t"],"pos":1,"del":2,"text":"é😀"}`,
		`{"verb":"list-insert","collection":"c","id":"i","path":["l"],"values":[{"$uint":1},{"$bytes":"AQI="},{"$float":"NaN"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var o crdt.Operation
		if json.Unmarshal(in, &o) != nil {
			return
		}
		once, err := json.Marshal(o)
		if err != nil {
			t.Fatalf("%s was read and cannot be written: %v", in, err)
		}
		var again crdt.Operation
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("%s cannot be read again: %v", once, err)
		}
		if twice := docMust(json.Marshal(again)); string(twice) != string(once) {
			t.Fatalf("%s became %s", once, twice)
		}
		d := crdt.New("author")
		defer d.Close()
		p := newDocGate()
		p.pass(t, docDo(t, d, crdt.Create("c", "i", map[string]any{"t": "text", "l": []any{1, 2}, "f": []any{map[string]any{"g": 1}}})))
		if c, err := d.Do(docTime, o); err == nil {
			p.pass(t, c)
		} else if errors.Is(err, crdt.ErrBroken) || errors.Is(err, crdt.ErrCore) || errors.Is(err, crdt.ErrInvalid) {
			t.Fatalf("%s: %v", once, err)
		}
	})
}
