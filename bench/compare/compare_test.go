package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"syncline/bench/js"
	"syncline/bench/rig"
	"syncline/bench/trace"
)

// TestMain runs the tests, or the relay that one of them has started.
func TestMain(m *testing.M) {
	if profile := os.Getenv(helperEnv); profile != "" {
		exit(helper(profile, os.Args[1:]))
	}
	if readers := os.Getenv(floorEnv); readers != "" {
		exit(floorReaders(readers))
	}
	goleak.VerifyTestMain(m)
}

// Every workload gives all its figures on every server.
func TestComparison(t *testing.T) {
	all := sides(startHelper("-"))
	typed := new(papers)
	for _, w := range works() {
		for _, s := range all {
			t.Run(w.name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				if s.name != ours {
					js.Require(t)
				}
				if w.name == upload.name || w.name == cold.name {
					if _, err := trace.Path(trace.Paper); err != nil {
						t.Skip(err)
					}
				}
				f := rig.Get(measure(rig.Bounded(t), w, s, tiny, typed, t.TempDir()))(t)
				for _, m := range w.metrics {
					if v, ok := f[m.name]; ok && v < 0 {
						t.Errorf("%s is %v", m.name, v)
					}
				}
				first := w.metrics[0].name
				if _, ok := f[first]; !ok {
					t.Errorf("no %s in %v", first, f)
				}
			})
		}
	}
}
