package fold

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"syncline/storage"
)

// childEnv names the file that a child process folds until it is killed.
const childEnv = "SYNCLINE_FOLD_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := foldUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func foldUntilKilled(path string) error {
	ctx := context.Background()
	s, err := storage.Open(ctx, path, storage.Options{})
	if err != nil {
		return err
	}
	did := false
	c := NewCompactor(Options{Store: s, Share: 1, Did: func(Done, time.Duration, error) {
		if !did {
			did = true
			fmt.Println("folding")
		}
	}})
	c.limits = small
	c.limits.settle = 0
	c.enqueue(doc, time.Time{})
	return c.Run(ctx)
}

// TestKilledWhileItFolds kills the process again and again while it folds, and
// finds every change where it belongs.
func TestKilledWhileItFolds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	changes := history(t, r, 1200)
	path := filepath.Join(t.TempDir(), "db")
	works := 0
	for done := 0; done < len(changes); {
		s, err := storage.Open(t.Context(), path, storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if done > 0 {
			l, err := readLayout(t.Context(), s, doc)
			if err != nil {
				t.Fatal(err)
			}
			works += len(l.folded)
			source := SourceOf(t.Context(), s, NewCache(1<<20), doc)
			same(t, r, s, source, changes[:done])
			shallow(t, r, s, source, changes[:done])
		}
		n := min(len(changes)-done, 100)
		put(t, s, r, changes[done:done+n])
		done += n
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		killAfter(t, path, time.Duration(r.IntN(30))*time.Millisecond)
	}
	if works == 0 {
		t.Error("nothing was folded before it was killed")
	}
}

// killAfter runs a child until some time after its first step.
func killAfter(t *testing.T, path string, wait time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatalf("the child ended before its first step: %v", cmd.Wait())
	}
	time.Sleep(wait) // any moment will do
	cmd.Process.Kill()
	cmd.Wait()
}
