package light

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"syncline/bench/rig"
)

// Server is a running server in a process of its own.
type Server struct {
	URL  string // of its WebSocket
	PID  int
	Stop func() error  // ends it and waits for that
	Said func() string // the end of its stderr
}

const (
	startGrace = time.Minute // for a server to listen
	stopGrace  = time.Minute // for our relay to end when told to
	pollEvery  = 10 * time.Millisecond
)

// Usage is what the process has taken so far.
func (s *Server) Usage() rig.Usage { return rig.UsageOf(s.PID) }

// Kill ends the process with no time to put anything in order.
func (s *Server) Kill() {
	syscall.Kill(s.PID, syscall.SIGKILL)
	s.Stop() // whose error is that it was killed
}

// Pause waits.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// FreeAddress returns an address of this machine, with a port, that nobody listens on.
// Where the system has more addresses of its own than 127.0.0.1 it is one at which
// there are only sockets of this process and those that it starts: nobody takes the
// port before the server does that is to be told of it.
func FreeAddress() (string, error) {
	n := os.Getpid()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 64|n>>16&63, n>>8&255, n&255))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Listening waits until something answers at an address, or alive says why not.
func Listening(ctx context.Context, address string, alive func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startGrace, fmt.Errorf("it does not listen on %s after %v", address, startGrace))
	defer cancel()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		if err := errors.Join(alive(), Pause(ctx, pollEvery)); err != nil {
			return err
		}
	}
}

// Command is how our relay is started: a program that takes an address to listen on
// and a folder for its data as --listen and --data.
type Command struct {
	Path      string
	Args, Env []string // beside --listen and --data, and this process's own
}

// Start runs the command and waits until it listens. It ends with this process at
// the latest if it watches its stdin.
func (c Command) Start(ctx context.Context, dir string) (*Server, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.Path, append(c.Args[:len(c.Args):len(c.Args)], "--listen", address, "--data", dir)...)
	cmd.Env = append(os.Environ(), c.Env...)
	log, err := os.CreateTemp("", "syncline-relay-*.log") // gone when it is closed
	if err != nil {
		return nil, err
	}
	os.Remove(log.Name())
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe() // ends with this process
	if err != nil {
		log.Close()
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
	s := &Server{URL: "ws://" + address, PID: cmd.Process.Pid}
	s.Said = func() string { return endOf(log) }
	s.Stop = func() error {
		defer log.Close()
		defer stdin.Close()
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(stopGrace, func() { cmd.Process.Kill() })
		defer late.Stop()
		if err := <-ended; err != nil {
			return fmt.Errorf("our relay ended with %w: %s", err, s.Said())
		}
		return nil
	}
	err = Listening(ctx, address, func() error {
		select {
		case err := <-ended:
			return fmt.Errorf("our relay ended by itself: %w: %s", errors.Join(err), s.Said())
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

// Build compiles the syncline command into a folder and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(dir, "syncline")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/syncline")
	cmd.Dir = filepath.Join(filepath.Dir(here), "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the syncline command: %w: %s", err, out)
	}
	return path, nil
}

// mostSaid is how many bytes of what a process says are passed on.
const mostSaid = 2000

// Tail is the end of a long text.
func Tail(s string) string {
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
	return Tail(string(b[:n]))
}
