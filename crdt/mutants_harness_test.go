package crdt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The harness must see a death: an unchecked killer ends the child, is reported
// with the core's words, and the inputs around it are judged all the same.
func TestJudgeReportsDeathAndGoesOn(t *testing.T) {
	crashers, err := filepath.Glob(filepath.Join(sharedDir(t), "corpus", "crashers", "crash-LoadIncremental-*"))
	if err != nil || len(crashers) == 0 {
		t.Skip("no crash samples here")
	}
	killer, err := os.ReadFile(crashers[0])
	if err != nil {
		t.Fatal(err)
	}
	honest := input{byIncremental, concat(goHistory(1).changes)}
	answers := newCore(t).judge([]input{honest, {byIncremental, killer}, honest, {byEdit, honest.bytes}, {byApply, honest.bytes}})
	for i, a := range answers {
		if died := a.death != ""; died != (i == 1) {
			t.Errorf("input %d: death %q", i, a.death)
		}
		if i != 1 && a.verdict != fine {
			t.Errorf("input %d: verdict %d: %s", i, a.verdict, a.text)
		}
	}
	if !strings.Contains(answers[1].death, ".rs") {
		t.Errorf("the death does not name its place: %q", answers[1].death)
	}
}

// A child that outgrows its memory counts as dead.
func TestJudgeReportsBomb(t *testing.T) {
	c := newCore(t)
	c.memory = 256 << 20
	a := c.judge([]input{{byIncremental, encodeChunk(1, nullBomb(1_000_000))}})[0]
	if !strings.Contains(a.death, "memory") {
		t.Errorf("a bomb of a million nulls was survived: %+v", a)
	}
}

// sharedDir is the folder of inputs made by other implementations:
// $SYNCLINE_SHARED, or `shared` beside the module.
func sharedDir(t testing.TB) string {
	if dir := os.Getenv("SYNCLINE_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(filepath.Dir(dir), "shared")
		}
		up := filepath.Dir(dir)
		if up == dir {
			return filepath.Join(dir, "shared")
		}
		dir = up
	}
}

func concat(changes [][]byte) []byte {
	var b []byte
	for _, c := range changes {
		b = append(b, c...)
	}
	return b
}
