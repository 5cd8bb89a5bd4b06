package valuetest

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"syncline/crdt/value"
)

func TestWhatIsDescribedIsReadAgain(t *testing.T) {
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 1))
		v := Random(r)
		if seed%5 == 0 {
			v = []any{v, value.Unknown{Type: uint8(seed), Raw: []byte{1}}, value.Scalar(Text(r))}
		}
		b, err := json.Marshal(Describe(v))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		again, err := Read(b)
		if err != nil || !value.Equal(v, again) {
			t.Fatalf("seed %d: %#v became %s and %#v, %v", seed, v, b, again, err)
		}
		if b2, _ := json.Marshal(Describe(again)); string(b) != string(b2) {
			t.Fatalf("seed %d: %s became %s", seed, b, b2)
		}
	}
}

func TestWhatIsNoNotationIsRefused(t *testing.T) {
	for _, s := range []string{``, `5`, `{"int": 5}`, `{}`, `{"int": "5", "uint": "5"}`, `{"int": "x"}`, `[5]`, `{"map": [["a"]]}`, `{"other": "x"}`} {
		if v, err := Read(json.RawMessage(s)); err == nil {
			t.Errorf("%s was read as %#v", s, v)
		}
	}
}
