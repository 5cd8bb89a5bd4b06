package simulation

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"syncline/storage"
)

var (
	seeds   = flag.Int("sim.seeds", 0, "how many seeds to run on the model of the store; 0: 5,000, or fewer under the race detector")
	files   = flag.Int("sim.files", 0, "how many to run on SQLite files; 0: 300, or fewer under the race detector")
	first   = flag.Uint64("sim.first", 1, "the first seed")
	replay  = flag.Uint64("sim.seed", 0, "run this seed alone, and tell all that happens in it")
	onFiles = flag.Bool("sim.onfiles", false, "run it on SQLite files")
	bugName = flag.String("sim.bug", "", "run it with this bug; with -sim.table: this bug alone")
	table   = flag.Int("sim.table", 0, "run so many seeds with each bug, and print a table of how many notice it")
)

// fewer is n, or less of it where everything takes long.
func fewer(n int) int {
	if raceDetector {
		return n / 50
	}
	return n
}

// memoryDir returns a directory in memory where the system has such a place, and there is
// room: a run takes some megabytes, there are as many at a time as processors, and what a
// container has in memory is 64 MB often.
func memoryDir(t *testing.T) string {
	const memory, room = "/dev/shm", 1 << 30
	if free, _, err := storage.DiskFree(memory); err != nil || free < room {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "simulation")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// runOnFiles does a run in a directory of its own.
func runOnFiles(dir string, o Options) (Result, error) {
	o.Files = filepath.Join(dir, fmt.Sprint(o.Seed))
	if err := os.Mkdir(o.Files, 0o700); err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(o.Files)
	return Run(o)
}

// TestReplay runs the seed of -sim.seed.
func TestReplay(t *testing.T) {
	if *replay == 0 {
		t.Skip("-sim.seed names no seed")
	}
	o := Options{Seed: *replay, Trace: os.Stdout, Bug: FindBug(*bugName)}
	r, err := Result{}, error(nil)
	if *onFiles {
		r, err = runOnFiles(memoryDir(t), o)
	} else {
		r, err = Run(o)
	}
	t.Logf("%+v", r)
	if err != nil {
		t.Fatal(err)
	}
}

// together runs seeds on all processors, and calls failed with those that fail.
func together(n int, do func(seed uint64) (Result, error), failed func(seed uint64, err error)) (sum Result) {
	var next atomic.Int64
	var all sync.WaitGroup
	var mu sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				r, err := do(*first + uint64(i))
				mu.Lock()
				sum.Events += r.Events
				sum.Changes += r.Changes
				sum.Crashes += r.Crashes
				sum.Took = max(sum.Took, r.Took)
				if err != nil {
					failed(*first+uint64(i), err)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return sum
}

func runAll(t *testing.T, n int, do func(seed uint64) (Result, error), again string) {
	t.Helper()
	begun, bad := time.Now(), 0
	sum := together(n, do, func(seed uint64, err error) {
		if bad++; bad <= 10 {
			t.Errorf("%v\nreplay it with: go test ./bench/simulation -run TestReplay -v -sim.seed %d%s", err, seed, again)
		}
	})
	t.Logf("%d seeds, %d failed, in %s: %d events, %d changes, %d processes died, at rest after at most %s",
		n, bad, time.Since(begun).Round(time.Millisecond), sum.Events, sum.Changes, sum.Crashes, sum.Took)
}

func TestNetworksComeToRestOnTheModel(t *testing.T) {
	n := *seeds
	if n == 0 {
		n = fewer(5000)
	}
	runAll(t, n, func(seed uint64) (Result, error) { return Run(Options{Seed: seed}) }, "")
}

func TestNetworksComeToRestOnFiles(t *testing.T) {
	n := *files
	if n == 0 {
		n = fewer(300)
	}
	dir := memoryDir(t)
	runAll(t, n, func(seed uint64) (Result, error) { return runOnFiles(dir, Options{Seed: seed}) }, " -sim.onfiles")
}

func TestASeedGivesTheSameRunAgain(t *testing.T) {
	for seed := range uint64(max(4, fewer(100))) {
		a, aerr := Run(Options{Seed: seed})
		b, berr := Run(Options{Seed: seed})
		if a != b || fmt.Sprint(aerr) != fmt.Sprint(berr) {
			t.Errorf("seed %d: %+v, %v; and %+v, %v", seed, a, aerr, b, berr)
		}
	}
}

// enough is within how many seeds each bug has to be noticed.
const enough = 400

func TestEveryBugIsNoticed(t *testing.T) {
	if raceDetector {
		t.Skip("the detector has nothing to find here that the other tests do not show it")
	}
	for _, b := range Bugs {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= enough; seed++ {
				if _, err := Run(Options{Seed: seed, Bug: b}); err != nil {
					t.Logf("%s: noticed by seed %d: %.160v", b.Does, seed, err)
					return
				}
			}
			t.Errorf("%s: not noticed by %d seeds", b.Does, enough)
		})
	}
}

// TestTableOfBugs prints how many seeds notice each bug.
func TestTableOfBugs(t *testing.T) {
	if *table == 0 {
		t.Skip("-sim.table does not say over how many seeds")
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "bug\twhat it does\tnoticed by, of %d seeds\n", *table)
	for _, b := range Bugs {
		if *bugName != "" && b.Name != *bugName {
			continue
		}
		caught := 0
		together(*table, func(seed uint64) (Result, error) { return Run(Options{Seed: seed, Bug: b}) }, func(uint64, error) { caught++ })
		fmt.Fprintf(w, "%s\t%s\t%d\n", b.Name, b.Does, caught)
	}
	w.Flush()
	t.Logf("\n%s", out.String())
}
