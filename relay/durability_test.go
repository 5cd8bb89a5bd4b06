package relay

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

// process is a relay in a process of its own.
type process struct {
	cmd *exec.Cmd
	url string
}

func start(t *testing.T, path string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childData+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the relay did not start: %v", err)
	}
	p.url = strings.TrimSpace(line)
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// TestWhatIsAcknowledgedOutlivesAKill kills the relay while a client writes, with
// edits on their way, and looks for every change that it had acknowledged.
func TestWhatIsAcknowledgedOutlivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	r := newReplica(t, id.NewDocument(), "writer")
	p := start(t, path)
	for round := range 4 {
		c := join(t, p.url, "writer")
		r.begin(nil)
		c.sync(r)
		for range 30 {
			r.edit("k")
			c.sync(r)
		}
		// The later of the edits may or may not have arrived by then.
		c.until("some of it is acknowledged", func() bool {
			return r.ackedChanges() >= 30*round+10
		})
		acked := r.session.Acked()
		p.kill()

		p = start(t, path)
		late := newReplica(t, r.doc, "late")
		reader := join(t, p.url, "reader")
		reader.sync(late)
		reader.acked(late)
		if missing := late.g.Missing(acked); len(missing) > 0 {
			t.Fatalf("round %d: acknowledged and lost: %s", round, missing)
		}
	}
}

// ackedChanges is how many changes the relay is known to have.
func (r *replica) ackedChanges() int { return r.g.Len() - len(r.g.Since(r.session.Acked())) }

// TestAFullDiskRefusesWritersAndServesReaders fills the disk under the relay.
func TestAFullDiskRefusesWritersAndServesReaders(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := serveOn(t, filepath.Join(dir, "relay.db"), Options{DiskLowWater: -1})
	r := newReplica(t, id.NewDocument(), "writer")
	stored := r.edit("k")
	c := join(t, s.url, "writer")
	c.sync(r)
	c.acked(r)

	ballast := filepath.Join(dir, "ballast")
	if err := fill(ballast); err == nil {
		t.Fatal("the disk has no end")
	}
	large := r.change("large", strings.Repeat("x", 1<<20))
	r.take(large)
	c.sync(r)
	if code := c.untilClosed(); code != wire.CloseReadOnly {
		t.Errorf("the writer was closed with %s, want %s", code, wire.CloseReadOnly)
	}
	if len(c.errors) != 1 || !strings.Contains(c.errors[0], "full") {
		t.Errorf("the writer was told %q", c.errors)
	}
	late := newReplica(t, r.doc, "late")
	reader := join(t, s.url, "reader")
	reader.sync(late)
	reader.fetch(late, stored.Hash)
	if late.has(large.Hash) {
		t.Error("a change that is not stored was passed on")
	}

	// With space again, the writer's next connection brings what is missing.
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, "the relay is ready again", func() bool { return s.Ready() == nil })
	r.begin(nil)
	c = join(t, s.url, "writer")
	c.sync(r)
	c.acked(r)
	reader.fetch(late, large.Hash)
}

// TestBelowTheLowWaterMarkNothingIsStored fills a disk nearly, and makes room again.
func TestBelowTheLowWaterMarkNothingIsStored(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := serveOn(t, filepath.Join(dir, "relay.db"), Options{DiskLowWater: 2 << 20})
	r := newReplica(t, id.NewDocument(), "writer")
	stored := r.edit("k")
	c := join(t, s.url, "writer")
	c.sync(r)
	c.acked(r)

	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 6<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the relay is not ready", func() bool { return s.Ready() != nil })
	refused := r.edit("k")
	c.sync(r)
	if code := c.untilClosed(); code != wire.CloseReadOnly {
		t.Errorf("the writer was closed with %s, want %s", code, wire.CloseReadOnly)
	}
	late := newReplica(t, r.doc, "late")
	reader := join(t, s.url, "reader")
	reader.sync(late)
	reader.fetch(late, stored.Hash)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, "the relay is ready again", func() bool { return s.Ready() == nil })
	r.begin(nil)
	c = join(t, s.url, "writer")
	c.sync(r)
	c.acked(r)
	reader.fetch(late, refused.Hash)
}

// fill writes a file until there is no space left.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
}
