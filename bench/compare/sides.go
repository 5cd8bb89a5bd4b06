package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"syncline/bench/js"
	"syncline/bench/rig"
)

// side is one server of the comparison.
type side struct {
	name    string
	keeps   bool // on disk, so that it can be started again with what it had
	dialect dialect
	start   func(ctx context.Context, dir string) (*server, error)
}

// ours is the name of the side that the others are compared with.
const ours = "Syncline"

// sides lists them all. startOurs is how our relay is started.
func sides(startOurs func(ctx context.Context, dir string) (*server, error)) []side {
	return []side{
		{ours, true, automerge{}, startOurs},
		{"automerge-repo", true, automerge{}, func(ctx context.Context, dir string) (*server, error) {
			return startNode(ctx, "server.mjs", dir)
		}},
		{"Hocuspocus", false, yjs{multiplexed: true}, func(ctx context.Context, _ string) (*server, error) {
			return startNode(ctx, filepath.Join("compare", "hocuspocus.mjs"))
		}},
		{"y-websocket", false, yjs{}, func(ctx context.Context, _ string) (*server, error) {
			return startNode(ctx, filepath.Join("compare", "ywebsocket.mjs"))
		}},
	}
}

// server is a running server in a process of its own.
type server struct {
	url  string
	pid  int
	stop func() error  // ends it and waits for that
	said func() string // the end of its stderr
}

const (
	startGrace = 20 * time.Second // for a server to listen
	stopGrace  = 20 * time.Second // for our relay to end when told to
	pollEvery  = 10 * time.Millisecond
)

// usage is what the process has taken so far.
func (s *server) usage() rig.Usage { return rig.UsageOf(s.pid) }

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// freePort returns a port of this machine that nobody listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// listening waits until something answers at an address, or alive says why not.
func listening(ctx context.Context, address string, alive func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startGrace, fmt.Errorf("it does not listen on %s after %v", address, startGrace))
	defer cancel()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		if err := errors.Join(alive(), pause(ctx, pollEvery)); err != nil {
			return err
		}
	}
}

// startNode starts a server in JavaScript with a host, a port and further arguments.
func startNode(ctx context.Context, script string, args ...string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	w, err := js.Start(context.WithoutCancel(ctx), script, append([]string{"127.0.0.1", port}, args...)...)
	if err != nil {
		return nil, err
	}
	err = listening(ctx, "127.0.0.1:"+port, func() error { return nil })
	if err != nil {
		w.Kill()
		return nil, fmt.Errorf("start %s: %w; its stderr: %s", script, err, w.Stderr())
	}
	return &server{url: "ws://127.0.0.1:" + port, pid: w.Process().Pid, stop: w.Close, said: w.Stderr}, nil
}

// startCommand starts our relay by a command that takes an address to listen on and
// a folder for its data as --listen and --data.
func startCommand(ctx context.Context, name string, args []string, env []string, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + port
	cmd := exec.Command(name, append(args, "--listen", address, "--data", dir)...)
	cmd.Env = append(os.Environ(), env...)
	log, err := os.CreateTemp("", "syncline-compare-*.log") // gone when it is closed
	if err != nil {
		return nil, err
	}
	os.Remove(log.Name())
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe() // ends with this process
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		log.Close()
		return nil, fmt.Errorf("start our relay: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		close(ended)
	}()
	s := &server{url: "ws://" + address, pid: cmd.Process.Pid}
	s.said = func() string { return endOf(log) }
	s.stop = func() error {
		defer log.Close()
		defer stdin.Close()
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(stopGrace, func() { cmd.Process.Kill() })
		defer late.Stop()
		if err := <-ended; err != nil {
			return fmt.Errorf("our relay ended with %w: %s", err, s.said())
		}
		return nil
	}
	err = listening(ctx, address, func() error {
		select {
		case err := <-ended:
			return fmt.Errorf("our relay ended by itself: %w: %s", errors.Join(err), s.said())
		default:
			return nil
		}
	})
	if err != nil {
		cmd.Process.Kill()
		<-ended
		log.Close()
		return nil, err
	}
	return s, nil
}

// mostSaid is how many bytes of what a process says are passed on.
const mostSaid = 2000

// tail is the end of a long text.
func tail(s string) string {
	return strings.TrimSpace(s[max(0, len(s)-mostSaid):])
}

// endOf reads the end of a file.
func endOf(f *os.File) string {
	b := make([]byte, mostSaid)
	at := int64(0)
	if info, err := f.Stat(); err == nil {
		at = max(0, info.Size()-mostSaid)
	}
	n, _ := f.ReadAt(b, at) // what there is
	return tail(string(b[:n]))
}

// build compiles the syncline command into a folder and returns its path.
func build(ctx context.Context, dir string) (string, error) {
	module, err := js.Dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "syncline")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/syncline")
	cmd.Dir = filepath.Dir(filepath.Dir(module))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the syncline command: %w: %s", err, out)
	}
	return path, nil
}

// untilEnd reads until the other end is gone.
func untilEnd(r io.Reader) { io.Copy(io.Discard, r) }
