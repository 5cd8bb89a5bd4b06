package soak

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"syncline/bench/light"
	"syncline/bench/rig"
)

// command is the syncline command, compiled when the first test wants it.
type command struct {
	once sync.Once
	dir  string
	path string
	err  error
}

var built command

func (c *command) get(ctx context.Context) (string, error) {
	c.once.Do(func() {
		if c.dir, c.err = os.MkdirTemp("", "syncline-soak-*"); c.err == nil {
			c.path, c.err = light.Build(ctx, c.dir)
		}
	})
	return c.path, c.err
}

func (c *command) remove() {
	if c.dir != "" {
		os.RemoveAll(c.dir)
	}
}

// beside has a test run beside others, in its short form, which measures nothing.
func beside(t *testing.T) {
	if !rig.Full() {
		t.Parallel()
	}
}

// relayProcess is a relay that ends with the test.
type relayProcess struct {
	*light.Server
	t    testing.TB
	dir  string
	args []string
	stop func(kill bool) // once
}

// startRelay runs the relay on a folder, with flags.
func startRelay(t testing.TB, dir string, flags ...string) *relayProcess {
	t.Helper()
	path := rig.Get(built.get(t.Context()))(t)
	r := &relayProcess{t: t, dir: dir, args: append([]string{"relay"}, flags...)}
	r.Server = rig.Get(light.Command{Path: path, Args: r.args}.Start(t.Context(), dir))(t)
	var ended sync.Once
	r.stop = func(kill bool) {
		ended.Do(func() {
			if kill {
				r.Kill()
			} else if err := r.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { r.stop(false) })
	return r
}

// kill ends the relay at once.
func (r *relayProcess) kill() { r.stop(true) }

// again starts a relay that was killed on what it has left.
func (r *relayProcess) again() *relayProcess {
	r.t.Helper()
	return startRelay(r.t, r.dir, r.args[1:]...)
}

// crash is kill and again.
func (r *relayProcess) crash() *relayProcess {
	r.t.Helper()
	r.kill()
	return r.again()
}

func (r *relayProcess) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http"+strings.TrimPrefix(r.URL, "ws")+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Do(req)
}

// metrics are all series of the relay, by name and labels.
func (r *relayProcess) metrics(ctx context.Context) (map[string]float64, error) {
	resp, err := r.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	all := make(map[string]float64)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		l := lines.Text()
		at := strings.LastIndexByte(l, ' ')
		if v, err := strconv.ParseFloat(l[at+1:], 64); err == nil && !strings.HasPrefix(l, "#") {
			all[l[:at]] = v
		}
	}
	for _, name := range []string{goroutines, joinedNow, shakingNow} {
		if _, ok := all[name]; !ok {
			return nil, fmt.Errorf("no series %s among %d: %s", name, len(all), resp.Status)
		}
	}
	return all, lines.Err()
}

// work is what a relay has done in all.
type work struct {
	cpu                time.Duration
	commits, prompt    float64 // prompt: of those, within 50 ms
	folds, foldSeconds float64
}

func (r *relayProcess) work(t testing.TB) work {
	t.Helper()
	m := rig.Get(r.metrics(t.Context()))(t)
	const commit, fold = "syncline_commit_duration_seconds_", "syncline_relay_compaction_duration_seconds_"
	return work{
		cpu:     r.Usage().CPU,
		commits: m[commit+`count{role="relay"}`], prompt: m[commit+`bucket{role="relay",le="0.05"}`],
		folds: m[fold+"count"], foldSeconds: m[fold+"sum"],
	}
}

// since says what was done after an earlier time: a disk that takes its time shows in
// every latency.
func (w work) since(before work) string {
	commits := w.commits - before.commits
	return fmt.Sprintf("CPU %v, %.0f commits, %.0f above 50 ms, %.0f compactions of %.2f s", w.cpu-before.cpu, commits, commits-(w.prompt-before.prompt), w.folds-before.folds, w.foldSeconds-before.foldSeconds)
}

// Series of the relay that the tests look at.
const (
	goroutines = "go_goroutines"
	joinedNow  = `syncline_relay_connections{state="joined"}`
	shakingNow = `syncline_relay_connections{state="handshake"}`
)

// openFiles is how many files the process has open beside those of its store, which
// opens more readers when many read at once and keeps them; 0 where the system does
// not tell.
func (r *relayProcess) openFiles() (n int) {
	dir := filepath.Join("/proc", strconv.Itoa(r.PID), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && !strings.Contains(to, "relay.db") {
			n++
		}
	}
	return n
}

// eventually asks again and again until something holds.
func eventually(ctx context.Context, what string, holds func() (bool, error)) error {
	const often = 100 * time.Millisecond
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		if err := light.Pause(ctx, often); err != nil {
			return fmt.Errorf("waits until %s: %w", what, err)
		}
	}
}

// httpFrom opens sockets from an address of this machine. With reset, closing one
// sends what a crash sends.
func httpFrom(address string, reset bool) *http.Client {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			c, err := d.DialContext(ctx, network, to)
			if tcp, ok := c.(*net.TCPConn); ok && err == nil && reset {
				tcp.SetLinger(0)
			}
			return c, err
		},
	}}
}
