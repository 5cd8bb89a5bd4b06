package js

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	maxFrame   = 512 << 20       // bytes; no reply of ours comes near, so a longer one is a bug
	stderrKept = 32 << 10        // bytes of stderr's end that go into errors
	closeGrace = 5 * time.Second // between closing a worker's stdin and killing it
)

// Worker is one Node process that answers requests. Its methods may be called
// from several goroutines; requests in flight at once are answered as they
// finish.
type Worker struct {
	script string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr tail
	done   chan struct{} // closed when the process has been waited for

	writing sync.Mutex // held while a request is written

	mu     sync.Mutex // guards what follows
	next   uint64
	calls  map[uint64]chan reply
	died   error // set before done is closed
	closed bool

	closing sync.Once
}

type reply struct {
	ID     uint64          `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
		Stack   string `json:"stack"`
	} `json:"error"`
}

// Error is what a method threw in the worker.
type Error struct {
	Script, Method string
	Message, Stack string // as JavaScript has them
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %s", e.Script, e.Method, e.Message) }

// Start runs one of the worker scripts of this package's folder. The process ends
// with Close, with ctx, or with this process.
func Start(ctx context.Context, script string, args ...string) (*Worker, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	w := &Worker{script: script, done: make(chan struct{}), calls: map[uint64]chan reply{}}
	w.cmd = exec.CommandContext(ctx, "node", append([]string{filepath.Join(dir, script)}, args...)...)
	w.cmd.Dir = dir
	w.cmd.Stderr = &w.stderr
	w.cmd.WaitDelay = closeGrace
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", script, err)
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", script, err)
	}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", script, err)
	}
	go w.run(stdout)
	return w, nil
}

// run reads replies until the process ends, then fails what still waits.
func (w *Worker) run(stdout io.Reader) {
	readErr := w.read(stdout)
	if readErr != nil {
		w.cmd.Process.Kill() // the stream makes no sense any more
	}
	waitErr := w.cmd.Wait()

	w.mu.Lock()
	switch {
	case w.closed:
		w.died = fmt.Errorf("%s was closed", w.script)
	case readErr != nil:
		w.died = fmt.Errorf("%s: %w", w.script, readErr)
	default:
		w.died = fmt.Errorf("%s ended by itself: %w%s", w.script, errors.Join(waitErr), w.stderr.quoted())
	}
	w.mu.Unlock()
	close(w.done)
}

func (w *Worker) read(stdout io.Reader) error {
	in := bufio.NewReaderSize(stdout, 64<<10)
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return nil // the process is gone; Wait says why
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > maxFrame {
			return fmt.Errorf("a reply claims %d bytes, the limit is %d", size, maxFrame)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			return nil
		}
		var r reply
		if err := json.Unmarshal(body, &r); err != nil {
			return fmt.Errorf("read a reply: %w", err)
		}
		w.mu.Lock()
		call := w.calls[r.ID]
		delete(w.calls, r.ID)
		w.mu.Unlock()
		if call != nil {
			call <- r // buffered
		}
	}
}

// Call sends a request and decodes its result into result, which may be nil.
// Byte slices travel both ways as they are. A call whose context ends is
// abandoned; the worker goes on with it and its reply is dropped.
func (w *Worker) Call(ctx context.Context, method string, params, result any) error {
	call := make(chan reply, 1)
	w.mu.Lock()
	w.next++
	id := w.next
	w.calls[id] = call
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.calls, id)
		w.mu.Unlock()
	}()

	frame, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("%s: %s: %w", w.script, method, err)
	}
	frame = append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(frame)), uint32(len(frame))), frame...)
	w.writing.Lock()
	_, err = w.stdin.Write(frame)
	w.writing.Unlock()
	if err != nil {
		<-w.done // stdin breaks when the process ends
		return fmt.Errorf("%s: %w", method, w.died)
	}

	select {
	case r := <-call:
		return w.finish(method, r, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %s: %w%s", w.script, method, context.Cause(ctx), w.stderr.quoted())
	case <-w.done:
		select {
		case r := <-call: // it answered first
			return w.finish(method, r, result)
		default:
			return fmt.Errorf("%s: %w", method, w.died)
		}
	}
}

func (w *Worker) finish(method string, r reply, result any) error {
	if r.Error != nil {
		return &Error{Script: w.script, Method: method, Message: r.Error.Message, Stack: r.Error.Stack}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(r.Result, result); err != nil {
		return fmt.Errorf("%s: result of %s: %w", w.script, method, err)
	}
	return nil
}

// Process returns the running process, for signals and accounts of its use.
func (w *Worker) Process() *os.Process { return w.cmd.Process }

// Stderr returns the end of what the process wrote to stderr.
func (w *Worker) Stderr() string { return w.stderr.String() }

// Kill ends the process at once and waits for it, as a crash would.
func (w *Worker) Kill() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cmd.Process.Kill()
	<-w.done
}

// Close ends the process and waits for it, killing it after five seconds. It may
// be called more than once.
func (w *Worker) Close() error {
	w.closing.Do(func() {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.stdin.Close()
		kill := time.AfterFunc(closeGrace, func() { w.cmd.Process.Kill() })
		defer kill.Stop()
		<-w.done
	})
	<-w.done
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - stderrKept; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

func (t *tail) quoted() string {
	s := strings.TrimSpace(t.String())
	if s == "" {
		return ""
	}
	return "\nits stderr ends with:\n" + s
}
