package trace_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"syncline/bench/trace"
)

const sequential = `{"startContent":"ab","endContent":"aé😀c","txns":[
	{"patches":[[1,1,"é"]]}, {"patches":[[2,0,"😀x"],[3,1,"c"]]}]}`

const concurrent = `{"kind":"concurrent","endContent":"?","numAgents":2,"txns":[
	{"parents":[],"agent":0,"patches":[[0,0,"a"]]},
	{"parents":[0],"agent":1,"patches":[[1,0,"b"]]},
	{"parents":[0],"agent":0,"patches":[[1,0,"c"]]},
	{"parents":[2],"agent":0,"patches":[[2,0,"d"]]},
	{"parents":[1,3],"agent":1,"patches":[[0,4,""]]}]}`

func read(t testing.TB, s string) *trace.Trace {
	t.Helper()
	tr, err := trace.Read(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestReadingATrace(t *testing.T) {
	tr := read(t, sequential)
	if tr.Concurrent || tr.Agents != 1 || len(tr.Edits) != 2 || !slices.Equal(tr.Edits[1].Parents, []int{0}) {
		t.Errorf("%+v", tr)
	}
	if p := tr.Edits[1].Patches[0]; p != (trace.Patch{Pos: 2, Ins: "😀x"}) {
		t.Errorf("%+v", p)
	}
	if got := tr.Prefix(1).End; got != "aé" {
		t.Errorf("after one edit it is %q", got)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(concurrent))
	z.Close()
	tr, err := trace.Read(&zipped)
	if err != nil || !tr.Concurrent || tr.Agents != 2 || len(tr.Edits) != 5 {
		t.Errorf("%+v, %v", tr, err)
	}
}

func TestAgentsTakeInExactlyTheParents(t *testing.T) {
	a := trace.NewAgents(read(t, concurrent))
	for i, want := range [][]int{nil, {0}, nil, nil, {2, 3}} {
		got, err := a.Advance(i)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("edit %d: %v, %v, want %v", i, got, err, want)
		}
	}
}

func TestATraceThatCannotBeReplayedIsRefused(t *testing.T) {
	edit := func(parents string, agent, pos, del int) string {
		return fmt.Sprintf(`{"kind":"concurrent","numAgents":2,"txns":[
			{"parents":[],"agent":0,"patches":[[0,0,"a"]]},{"parents":[],"agent":1,"patches":[[0,0,"a"]]},
			{"parents":%s,"agent":%d,"patches":[[%d,%d,""]]}]}`, parents, agent, pos, del)
	}
	read(t, edit("[0,1]", 1, 0, 1))
	for name, s := range map[string]string{
		"no JSON":                           "{",
		"a patch of two":                    `{"txns":[{"patches":[[0,0]]}]}`,
		"a patch of four":                   `{"txns":[{"patches":[[0,0,"",1]]}]}`,
		"a patch without text":              `{"txns":[{"patches":[[0,0,null]]}]}`,
		"a million agents":                  `{"kind":"concurrent","numAgents":1000000}`,
		"an agent too many":                 edit("[0,1]", 2, 0, 1),
		"a negative agent":                  edit("[0,1]", -1, 0, 1),
		"its own parent":                    edit("[2]", 0, 0, 1),
		"a negative parent":                 edit("[-1]", 0, 0, 1),
		"a negative position":               edit("[0,1]", 0, -1, 1),
		"a negative count":                  edit("[0,1]", 0, 0, -1),
		"an agent that forgets what it did": edit("[1]", 0, 0, 1),
	} {
		if tr, err := trace.Read(strings.NewReader(s)); err == nil {
			t.Errorf("%s was read as %+v", name, tr)
		}
	}
}

func TestATextIsEditedLikeAString(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	want := []rune("grüße 😀")
	text := trace.NewText(string(want))
	for range 3000 {
		pos := r.IntN(len(want) + 2)
		p := trace.Patch{Pos: pos, Del: r.IntN(4), Ins: strings.Repeat("ß😀x", r.IntN(3))}
		fits := pos+p.Del <= len(want)
		if text.Apply(p) != fits {
			t.Fatalf("%+v on %d code points", p, len(want))
		}
		if fits {
			want = slices.Concat(want[:pos], []rune(p.Ins), want[pos+p.Del:])
		}
		if text.Len() != len(want) || text.String() != string(want) {
			t.Fatalf("after %+v it is %q, want %q", p, text, string(want))
		}
	}
}

// The traces at hand are what the tests that type them take them for.
func TestThePaperEndsAsItSays(t *testing.T) {
	path, err := trace.Path(trace.Paper)
	if err != nil {
		t.Skip(err)
	}
	tr, err := trace.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	text := trace.NewText(tr.Start)
	for i, e := range tr.Edits {
		for _, p := range e.Patches {
			if !text.Apply(p) {
				t.Fatalf("edit %d lies beyond the text: %+v", i, p)
			}
		}
	}
	if text.String() != tr.End {
		t.Error("the edits do not make the end")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sequential))
	f.Add([]byte(concurrent))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := trace.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		// What was taken can be followed to its end.
		a := trace.NewAgents(tr)
		for i := range tr.Edits {
			if _, err := a.Advance(i); err != nil {
				t.Fatal(err)
			}
		}
		tr.Prefix(len(tr.Edits) / 2)
	})
}
