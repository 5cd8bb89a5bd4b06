package rig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleEnv makes the test binary a process of the rig; roles are listed in child.go.
const roleEnv = "SYNCLINE_RIG_ROLE"

// stopGrace is how long a process may take to end by itself; then it prints its
// goroutines and the test fails.
const stopGrace = 30 * time.Second

// Main runs the tests of a package, or what one of them has started this binary
// for.
func Main(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// Process is a child that answers requests. Calls wait for each other.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr lockedBuffer

	mu      sync.Mutex // held for a request and its answer
	replies *json.Decoder
	stop    func()
}

// start runs this binary in a role, to end with the test at the latest.
func start(t testing.TB, role string) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role)
	p.cmd.Stderr = &p.stderr
	p.stdin = Get(p.cmd.StdinPipe())(t)
	stdout := Get(p.cmd.StdoutPipe())(t)
	p.replies = json.NewDecoder(stdout)
	OK(t, p.cmd.Start())
	// A process that is stuck prints its goroutines and ends, and the request fails.
	stuck := time.AfterFunc(bound(), func() { p.cmd.Process.Signal(syscall.SIGQUIT) })
	p.stop = sync.OnceFunc(func() {
		p.stdin.Close()
		stuck.Stop()
		late := time.AfterFunc(stopGrace, func() { p.cmd.Process.Signal(syscall.SIGQUIT) })
		defer late.Stop()
		io.Copy(io.Discard, stdout)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("a %s ended with %v:\n%s", role, err, p.stderr.String())
		} else if s := strings.TrimSpace(p.stderr.String()); s != "" && !isBenchmark(t) {
			t.Logf("a %s wrote:\n%s", role, s)
		}
	})
	t.Cleanup(p.stop)
	return p
}

// isBenchmark: what a benchmark logs is always printed, in the midst of results.
func isBenchmark(t testing.TB) bool {
	_, ok := t.(*testing.B)
	return ok
}

// Stop has the process end, in order, and waits for it. It may be called again.
func (p *Process) Stop() { p.stop() }

// Usage is what the process has taken so far.
func (p *Process) Usage() Usage { return UsageOf(p.cmd.Process.Pid) }

type request struct {
	Verb   string
	Params json.RawMessage
}

type reply struct {
	Result json.RawMessage
	Error  string
}

// call asks for something and waits for the answer, which comes as long as the
// process runs.
func (p *Process) call(verb string, params, result any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := json.Marshal(params)
	if err != nil {
		return err
	}
	var r reply
	if err := json.NewEncoder(p.stdin).Encode(request{verb, b}); err != nil {
		return fmt.Errorf("%s: %w; its stderr: %s", verb, err, p.stderr.String())
	}
	if err := p.replies.Decode(&r); err != nil {
		return fmt.Errorf("%s: the process is gone: %w; its stderr: %s", verb, err, p.stderr.String())
	}
	if r.Error != "" {
		return fmt.Errorf("%s: %s", verb, r.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(r.Result, result)
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
