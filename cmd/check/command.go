package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// endGrace is how long a command has to end after it was interrupted.
const endGrace = 20 * time.Second

// command prepares a command in the module's folder that is interrupted, then
// killed, when ctx ends.
func (c *checker) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "SYNCLINE_REQUIRE_JS=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = endGrace
	return cmd
}

// output runs a command and returns what it wrote to standard output. Its error
// holds everything that it wrote.
func (c *checker) output(ctx context.Context, name string, args ...string) (string, error) {
	return outputOf(c.command(ctx, name, args...))
}

// outputOf is output of a command that is prepared.
func outputOf(cmd *exec.Cmd) (string, error) {
	var both transcript
	cmd.Stdout = writerFunc(func(p []byte) (int, error) { return both.write(p, true) })
	cmd.Stderr = writerFunc(func(p []byte) (int, error) { return both.write(p, false) })
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s\n%s: %w", both.all.String(), strings.Join(cmd.Args, " "), err)
	}
	return both.out.String(), nil
}

// transcript keeps what a command wrote to its two outputs, which are read by a
// goroutine each.
type transcript struct {
	mu       sync.Mutex
	out, all bytes.Buffer // standard output; both, as they came
}

func (t *transcript) write(p []byte, out bool) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if out {
		t.out.Write(p)
	}
	return t.all.Write(p)
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// goTest runs go test -json and hands each package's result over as it comes. Its
// error is about go test itself, not about tests that fail.
func (c *checker) goTest(ctx context.Context, env []string, args []string, each func(*packageResult)) error {
	cmd := c.command(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failed := false
	readErr := readEvents(stdout, func(r *packageResult) {
		failed = failed || r.Status == "fail"
		each(r)
	})
	io.Copy(io.Discard, stdout) // after a read error, so that it can end
	waitErr := cmd.Wait()
	switch {
	case readErr != nil:
		return fmt.Errorf("read the output of go test: %w\n%s", readErr, stderr.String())
	case waitErr != nil && !failed:
		return fmt.Errorf("%s\ngo test %s: %w", stderr.String(), strings.Join(args, " "), waitErr)
	}
	return nil
}
