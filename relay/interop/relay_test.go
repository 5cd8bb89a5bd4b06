package interop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"syncline/bench/js"
)

const (
	startBound = 30 * time.Second // for the port to open
	stopBound  = 30 * time.Second // for the process to end after SIGTERM
)

// relay is the server under test: a data directory, an address, and the process
// that serves one at the other, if it runs.
type relay struct {
	t    *testing.T
	data string
	addr string
	race bool

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for
	stderr *lockedBuffer
	cpu    time.Duration // of processes that have ended
}

// newRelay prepares a relay with an empty data directory and a free port.
func newRelay(t *testing.T) *relay {
	t.Helper()
	r := &relay{t: t, data: filepath.Join(t.TempDir(), "data"), addr: freeAddress(t), race: raceDetector}
	t.Cleanup(func() {
		if r.cmd != nil {
			r.stop()
		}
	})
	return r
}

// freeAddress returns a loopback address that nobody listened on just now. Its port is
// not one of those that systems give to connections: one of these might have it when the
// relay comes back, even that of a client which meanwhile tries to reach it.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20_000+rand.IntN(10_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free between 20000 and 30000")
	return ""
}

func (r *relay) url() string { return "ws://" + r.addr }

// start runs the process and waits until its port is open.
func (r *relay) start() {
	r.t.Helper()
	r.launch()
	deadline := time.NewTimer(startBound)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", r.addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-r.exited:
			r.t.Fatalf("the relay ended before its port opened: %v\n%s", r.cmd.ProcessState, r.stderr)
		case <-deadline.C:
			r.t.Fatalf("the relay's port %s was not open after %v\n%s", r.addr, startBound, r.stderr)
		}
	}
}

// launch runs the process and does not wait for its port.
func (r *relay) launch() {
	r.t.Helper()
	r.cmd = r.command()
	r.stderr = &lockedBuffer{}
	r.cmd.Stdout, r.cmd.Stderr = r.stderr, r.stderr
	stdin, err := r.cmd.StdinPipe() // the reference ends with it
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatalf("start the relay: %v", err)
	}
	cmd, exited := r.cmd, make(chan struct{})
	r.exited = exited
	go func() {
		defer close(exited)
		defer stdin.Close()
		cmd.Wait()
	}()
}

func (r *relay) command() *exec.Cmd {
	r.t.Helper()
	if !reference {
		return exec.Command(relayBinary(r.t, r.race), "relay", "--listen", r.addr, "--data", r.data)
	}
	dir, err := js.Dir()
	if err != nil {
		r.t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	return exec.Command("node", filepath.Join(dir, "server.mjs"), host, port, r.data)
}

// kill ends the process as a power cut would, as far as it is concerned.
func (r *relay) kill() {
	r.t.Helper()
	r.cmd.Process.Kill()
	<-r.exited
	r.ended(false)
}

// stop asks the process to end and insists on exit status 0.
func (r *relay) stop() {
	r.t.Helper()
	r.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(stopBound, func() { r.cmd.Process.Signal(syscall.SIGQUIT) }) // it prints its goroutines
	<-r.exited
	late.Stop()
	r.ended(true)
}

func (r *relay) ended(asked bool) {
	r.t.Helper()
	state := r.cmd.ProcessState
	r.cpu += state.UserTime() + state.SystemTime()
	r.cmd = nil
	if asked && !state.Success() {
		r.t.Errorf("the relay was asked to end and ended with %v:\n%s", state, r.stderr)
		return
	}
	for _, sign := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(r.stderr.String(), sign) {
			r.t.Errorf("the relay printed %q:\n%s", sign, r.stderr)
		}
	}
}

// moved returns a relay over the same data at another address: what clients of
// the first one know cannot reach it.
func (r *relay) moved() *relay {
	r.t.Helper()
	other := &relay{t: r.t, data: r.data, addr: freeAddress(r.t), race: r.race}
	r.t.Cleanup(func() {
		if other.cmd != nil {
			other.stop()
		}
	})
	return other
}

// peakMemory reads the highest resident size so far of the running process, in
// bytes; zero where the system does not tell.
func (r *relay) peakMemory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		return 0
	}
	var kib int64
	fmt.Sscan(after, &kib)
	return kib << 10
}

// wipe deletes the data directory.
func (r *relay) wipe() {
	r.t.Helper()
	if err := os.RemoveAll(r.data); err != nil {
		r.t.Fatal(err)
	}
}

// backup copies the data directory of a stopped relay and returns what puts the
// copy in its place.
func (r *relay) backup() (restore func()) {
	r.t.Helper()
	copied := filepath.Join(r.t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(r.data)); err != nil {
		r.t.Fatal(err)
	}
	return func() {
		r.t.Helper()
		r.wipe()
		if err := os.CopyFS(r.data, os.DirFS(copied)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// lockedBuffer keeps what a process prints while tests may read it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
