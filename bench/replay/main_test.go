package replay

import (
	"testing"

	"syncline/bench/rig"
	"syncline/bench/trace"
)

func TestMain(m *testing.M) { rig.Main(m) }

// open reads a trace, or skips the test if it is not on this machine.
func open(t testing.TB, name string) *trace.Trace {
	t.Helper()
	path, err := trace.Path(name)
	if err != nil {
		t.Skip(err)
	}
	return rig.Get(trace.Open(path))(t)
}
