package merge_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"syncline/crdt/merge"
	"syncline/crdt/value"
	"syncline/crdt/value/valuetest"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

// vector is one of testdata/vectors.json; see the README there.
type vector struct {
	Name     string          `json:"name"`
	Rule     string          `json:"rule"`
	States   []string        `json:"states,omitempty"`
	Set      []candidate     `json:"set"`
	Value    json.RawMessage `json:"value"`
	Conflict bool            `json:"conflict"`
	Settled  bool            `json:"settled"`
	Reason   merge.Reason    `json:"reason"`
	From     []string        `json:"from"`
	Misfits  []string        `json:"misfits"`
}

type candidate struct {
	ID    string          `json:"id"`
	Time  string          `json:"time"`
	Value json.RawMessage `json:"value"`
}

func described(v any) json.RawMessage {
	b, err := json.Marshal(valuetest.Describe(v))
	if err != nil {
		panic(err)
	}
	return b
}

func names(ids []value.OpID) []string {
	all := []string{}
	for _, o := range ids {
		all = append(all, o.String())
	}
	return all
}

func newVector(name string, rule merge.Rule, set []merge.Candidate) vector {
	r := functions().Merge(rule, set)
	v := vector{
		Name: name, Rule: rule.String(), States: rule.States, Set: []candidate{}, Value: described(r.Value),
		Conflict: r.Conflict, Settled: r.Settled, Reason: r.Reason, From: names(r.From), Misfits: names(r.Misfits),
	}
	for _, c := range set {
		v.Set = append(v.Set, candidate{ID: c.ID.String(), Time: strconv.FormatInt(c.Time, 10), Value: described(c.Value)})
	}
	return v
}

// The vectors are what the rules make of the cases by hand and of random sets. A
// change of a rule shows here, and has to be made in TypeScript too.
func TestVectorsAreUpToDate(t *testing.T) {
	var lines []string
	add := func(v vector) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
	}
	for _, c := range cases() {
		add(newVector(c.name, rule(t, c.rule), c.set))
	}
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 5))
		rule, set := anyRule(r), anySet(r)
		if len(set) > 1 {
			add(newVector(fmt.Sprintf("random %d", seed), rule, set))
		}
	}
	holdFile(t, "vectors.json", "[\n"+strings.Join(lines, ",\n")+"\n]\n")
}

func holdFile(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte(want)) {
		t.Errorf("%s is not what the rules make; if they were meant to change: go test ./crdt/merge -update", path)
	}
}

// Read from the file, the vectors hold: what another language has to do.
func TestVectorsHoldAsTheyAreRead(t *testing.T) {
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		m := rule(t, v.Rule)
		m.States = v.States
		var set []merge.Candidate
		for _, c := range v.Set {
			var k merge.Candidate
			digits, actor, _ := strings.Cut(c.ID, "@")
			k.ID.Counter, err = strconv.ParseUint(digits, 10, 64)
			if _, e := fmt.Sscanf(actor, "%x", &k.ID.Actor); e != nil || err != nil {
				t.Fatal(v.Name, e, err)
			}
			if k.Time, err = strconv.ParseInt(c.Time, 10, 64); err != nil {
				t.Fatal(v.Name, err)
			}
			if k.Value, err = valuetest.Read(c.Value); err != nil {
				t.Fatal(v.Name, err)
			}
			set = append(set, k)
		}
		got, _ := json.Marshal(newVector(v.Name, m, set))
		want, _ := json.Marshal(v)
		if !bytes.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
