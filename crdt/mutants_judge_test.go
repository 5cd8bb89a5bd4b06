package crdt_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// judgeMemory is what a child may hold, in bytes. An honest history of this
	// size needs a tenth of it, so whoever passes it brought a bomb.
	judgeMemory = 1 << 30
	// judgePatience is how long one input may take before its child is killed
	// as hung. An input takes a millisecond; a loaded machine is not a hang.
	judgePatience = 60 * time.Second
	// judgeLife is how many inputs a child lives for: the C allocator never
	// gives back all that it took.
	judgeLife = 20_000
)

// input is one thing for the core to work on.
type input struct {
	entry entry
	bytes []byte
}

// answer is what came of an input. Death is empty unless the child died of it
// and holds then what the child last said.
type answer struct {
	verdict verdict
	heads   []byte
	text    string
	death   string
}

// core is a child process with the C core in it, restarted whenever an input
// kills it. Not for concurrent use.
type core struct {
	memory int64 // what it may hold, in bytes

	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *os.File
	answer *bufio.Reader
	stderr *tail
	served int
}

// newCore returns a child that ends with the test.
func newCore(t testing.TB) *core {
	c := &core{t: t, memory: judgeMemory}
	t.Cleanup(c.stop)
	return c
}

func (c *core) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c.cmd = exec.Command(self)
	c.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", childEnv, c.memory), "GOTRACEBACK=none", "RUST_BACKTRACE=0")
	c.stderr = &tail{}
	c.cmd.Stderr = c.stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	// A pipe of ours instead of StdoutPipe, for its read deadline.
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	c.cmd.Stdout = w
	c.stdout, c.answer, c.served = r, bufio.NewReader(r), 0
	err = c.cmd.Start()
	w.Close()
	return err
}

// stop ends the child, and returns what it last said on its standard error.
func (c *core) stop() {
	if c.cmd == nil {
		return
	}
	c.stdin.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	c.stdout.Close()
	c.cmd = nil
}

// judge asks for all inputs, in as few exchanges as there are deaths plus one.
func (c *core) judge(inputs []input) []answer {
	c.t.Helper()
	var answers []answer
	for len(answers) < len(inputs) {
		if c.cmd == nil {
			if err := c.start(); err != nil {
				c.t.Fatalf("start the judge: %v", err)
			}
		}
		got, err := c.exchange(inputs[len(answers):])
		answers = append(answers, got...)
		c.served += len(got)
		if err != nil {
			answers = append(answers, answer{death: c.autopsy(err)})
		} else if c.served > judgeLife {
			c.stop()
		}
	}
	return answers
}

// exchange sends one frame and reads its answers; after an error the child is
// dead, and the input after the last answer is what it died of.
func (c *core) exchange(inputs []input) (answers []answer, err error) {
	var body []byte
	for _, in := range inputs {
		body = append(body, byte(in.entry))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(in.bytes)))
		body = append(body, in.bytes...)
	}
	// The frame may be larger than the pipe, and so may its answers.
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = c.stdin.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...))
	}()
	defer func() {
		if err != nil {
			_ = c.cmd.Process.Kill()
			c.stdin.Close()
		}
		<-sent
	}()
	for range inputs {
		if err := c.stdout.SetReadDeadline(time.Now().Add(judgePatience)); err != nil {
			return answers, err
		}
		var head [5]byte
		if _, err := io.ReadFull(c.answer, head[:]); err != nil {
			return answers, err
		}
		text := make([]byte, binary.LittleEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(c.answer, text); err != nil {
			return answers, err
		}
		a := answer{verdict: verdict(head[0])}
		if a.verdict == fine {
			a.heads = text
		} else {
			a.text = string(text)
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// autopsy waits for the dead child and says what it died of.
func (c *core) autopsy(cause error) string {
	stderr := c.stderr
	c.stop()
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("hung for %v", judgePatience)
	}
	return stderr.cause()
}

// tail keeps the first 8 KiB that a child says: the panic comes first, the
// goroutine dump after it.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := 8<<10 - t.b.Len(); room > 0 {
		t.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// panicSite finds the message and place of a Rust panic, of which the message may
// come before or after the place.
var panicSite = regexp.MustCompile(`(?s)panicked at (.*?)\n(?:note:|SIGABRT|fatal|$)`)

// cause is the line that says why the child died.
func (t *tail) cause() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.b.String()
	if m := panicSite.FindStringSubmatch(s); m != nil {
		return strings.TrimSpace(m[1])
	}
	if line, _, _ := strings.Cut(strings.TrimSpace(s), "\n"); line != "" {
		return line
	}
	return "died without a word"
}
