package peer

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// The environment of a child.
const (
	childPath   = "SYNCLINE_TEST_PEER_PATH"
	childURL    = "SYNCLINE_TEST_PEER_URL"
	childDoc    = "SYNCLINE_TEST_PEER_DOC"
	childPoint  = "SYNCLINE_TEST_PEER_POINT" // where it ends itself
	childKiller = "SYNCLINE_TEST_PEER_KILLER"
	childTables = "SYNCLINE_TEST_PEER_TABLES" // if set, it keeps the tables
)

func child(mode string) error {
	switch mode {
	case "write":
		return childWrites()
	case "follow":
		return childFollows()
	case "many":
		return childOpensMany()
	case "mend":
		return childMends()
	}
	return fmt.Errorf("no mode %q", mode)
}

// childWrites makes notes for ever, and prints the name of each once it is done.
func childWrites() error {
	ctx := context.Background()
	p, err := Open(ctx, os.Getenv(childPath), Options{})
	if err != nil {
		return err
	}
	doc, err := id.ParseDocument(os.Getenv(childDoc))
	if err != nil {
		return err
	}
	d, err := p.OpenDocument(ctx, doc)
	if err != nil {
		return err
	}
	heads, err := d.Heads(ctx)
	if err != nil {
		return err
	}
	prefix := "empty"
	if len(heads) > 0 {
		prefix = heads[0].String()[:12]
	}
	for i := 0; ; i++ {
		note := note(fmt.Sprintf("%s-%d", prefix, i))
		if _, err := d.Do(ctx, note); err != nil {
			return err
		}
		fmt.Println(note.ID)
	}
}

// childFollows opens a document, and follows it as changes come, until a change
// whose message names the killer comes to the point where it ends the process. It
// prints "open" when the document is open.
func childFollows() error {
	ctx := context.Background()
	o := remotes(testOptions(), os.Getenv(childURL))
	o.Tables = os.Getenv(childTables) != ""
	point, killer := applyPoint(os.Getenv(childPoint)), os.Getenv(childKiller)
	o.onApply = func(at applyPoint, changes []*chunk.Change) {
		for _, c := range changes {
			if at == point && strings.Contains(c.Message, killer) {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	p, err := Open(ctx, os.Getenv(childPath), o)
	if err != nil {
		return err
	}
	doc, err := id.ParseDocument(os.Getenv(childDoc))
	if err != nil {
		return err
	}
	d, err := p.Fetch(ctx, doc)
	if err != nil {
		return err
	}
	go p.Run(ctx)
	for {
		changed := d.Changed()
		heads, err := d.Heads(ctx)
		if err != nil {
			return err
		}
		if len(heads) > 0 {
			if _, err := d.Value(ctx); err != nil {
				return err
			}
			fmt.Println("open")
		}
		<-changed
	}
}

// startChild starts this binary as a child. lines are what it prints.
func startChild(t testing.TB, mode string, env ...string) (lines <-chan string, cmd *exec.Cmd) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), append(env, childMode+"="+mode)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ch := make(chan string, 1<<16)
	go func() {
		defer close(ch)
		for s := bufio.NewScanner(out); s.Scan(); {
			ch <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		for range ch {
		}
	})
	return ch, cmd
}

// died waits for a child and fails unless a SIGKILL ended it.
func died(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	err := cmd.Wait()
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() || s.Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended with %v, want a kill", err)
	}
}
