package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"syncline/crdt/id"
)

// verb is a command that runs until it is interrupted.
type verb struct {
	t         *testing.T
	interrupt context.CancelFunc
	lines     *bufio.Scanner // of what it prints
	drained   sync.Once
	rest      sync.WaitGroup
	code      chan int
	stopped   sync.Once
	ended     int
}

// start runs a command; both of its outputs can be waited for.
func start(t *testing.T, args ...string) *verb {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	r, w := io.Pipe()
	v := &verb{t: t, interrupt: interrupt, lines: bufio.NewScanner(r), code: make(chan int, 1)}
	go func() {
		code := run(ctx, args, w, w)
		w.Close()
		v.code <- code
	}()
	t.Cleanup(func() { v.stop() })
	return v
}

// await reads lines until one matches, and returns what the groups match.
func (v *verb) await(pattern string) []string {
	v.t.Helper()
	re := regexp.MustCompile(pattern)
	var seen []string
	for v.lines.Scan() {
		if m := re.FindStringSubmatch(v.lines.Text()); m != nil {
			return m
		}
		seen = append(seen, v.lines.Text())
	}
	v.t.Fatalf("no line matches %s:\n%s", pattern, strings.Join(seen, "\n"))
	return nil
}

// stop interrupts the command and returns its exit code.
func (v *verb) stop() int {
	v.stopped.Do(func() {
		v.interrupt()
		v.drain()
		v.ended = <-v.code
		v.rest.Wait()
	})
	return v.ended
}

// drain reads what the command prints from here on, so that it never waits.
func (v *verb) drain() *verb {
	v.drained.Do(func() {
		v.rest.Go(func() {
			for v.lines.Scan() {
			}
		})
	})
	return v
}

// ownAddress is an address of this machine, with any port, at which there are no sockets
// but of this process: while a relay that was there is away, nobody else takes its port.
func ownAddress() string {
	n := os.Getpid()
	own := fmt.Sprintf("127.%d.%d.%d:0", 64|n>>16&63, n>>8&255, n&255)
	l, err := net.Listen("tcp", own)
	if err != nil {
		return "127.0.0.1:0" // some systems have no more than this one
	}
	l.Close()
	return own
}

// startRelay returns a relay's URL; addr may ask for the one of an earlier time.
func startRelay(t *testing.T, data, addr string) (relay *verb, url string) {
	t.Helper()
	v := start(t, "relay", "--data", data, "--listen", addr)
	url = v.await(`url=(ws://\S+)`)[1]
	return v.drain(), url
}

// done runs a command that must succeed, and returns what it prints.
func done(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := cli(t, args...)
	if code != 0 || errs != "" {
		t.Fatalf("syncline %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return strings.TrimSuffix(out, "\n")
}

// refused runs a command that must fail with one line in which the given words are.
func refused(t *testing.T, code int, words []string, args ...string) {
	t.Helper()
	got, _, errs := cli(t, args...)
	if got != code {
		t.Errorf("exit code %d, want %d: %s", got, code, errs)
	}
	if strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "syncline: ") {
		t.Errorf("not one line:\n%s", errs)
	}
	for _, w := range words {
		if !strings.Contains(errs, w) {
			t.Errorf("no %q in: %s", w, errs)
		}
	}
}

// newStore makes a store with a document in it.
func newStore(t *testing.T) (db, doc string) {
	t.Helper()
	db = filepath.Join(t.TempDir(), "peer.db")
	return db, done(t, "doc", "new", "--db", db)
}

// op does an operation on a document.
func op(t *testing.T, db, doc string, args ...string) (hash string) {
	t.Helper()
	hash, number, _ := strings.Cut(done(t, append([]string{"op", "--db", db, doc}, args...)...), "\t")
	if n, err := strconv.Atoi(number); err != nil || n <= 0 {
		t.Errorf("not a number of an operation: %q", number)
	}
	if _, err := id.ParseHash(hash); err != nil {
		t.Errorf("not a hash: %q", hash)
	}
	return hash
}

// stdin gives the commands of a test something to read.
func stdin(t *testing.T, b []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stdin")
	write(t, path, b)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = f
	t.Cleanup(func() {
		os.Stdin = old
		f.Close()
	})
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compact(s string) string {
	return string(bytes.Join(bytes.Fields([]byte(s)), nil))
}
