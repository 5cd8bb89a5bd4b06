package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

const (
	referenceEnv = "SYNCLINE_INTEROP_REFERENCE"
	binaryEnv    = "SYNCLINE_INTEROP_RELAY"
)

// reference says whether automerge-repo's own server stands in for the relay.
var reference = os.Getenv(referenceEnv) == "1"

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// built holds the binaries of this run: one for all tests, one without the race
// detector for those that measure.
var built struct {
	mu    sync.Mutex
	dir   string
	paths map[bool]string
}

// relayBinary builds cmd/syncline, once for each value of race.
func relayBinary(t *testing.T, race bool) string {
	t.Helper()
	if path := os.Getenv(binaryEnv); path != "" {
		return path
	}
	built.mu.Lock()
	defer built.mu.Unlock()
	if path, ok := built.paths[race]; ok {
		return path
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "syncline-interop-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir, built.paths = dir, map[bool]string{}
	}
	path := filepath.Join(built.dir, fmt.Sprintf("syncline-race-%t", race))
	args := []string{"build", "-o", path}
	if race {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "syncline/cmd/syncline")...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the relay: %v\n%s", err, out)
	}
	built.paths[race] = path
	return path
}
