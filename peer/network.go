package peer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// Network is what a peer knows of the networks of its machine. Its methods are
// called from several goroutines.
type Network interface {
	// Fingerprint changes when the machine's addresses or routes do.
	Fingerprint() string
	// Routes reports whether there is a way to a host: a name or an IP address.
	Routes(host string) bool
}

// systemNetwork asks the operating system.
type systemNetwork struct{}

// routeFiles are Linux's tables of routes. On other systems a route that comes or
// goes shows in whether there is one to the outside.
var routeFiles = [...]string{"/proc/net/route", "/proc/net/ipv6_route"}

// outside are addresses that are nobody's, in the ranges for documentation. Nothing
// is sent to them: to connect a UDP socket only looks up the route.
var outside = [...]string{"192.0.2.1", "2001:db8::1"}

// Fingerprint implements Network.
func (systemNetwork) Fingerprint() string {
	h := sha256.New()
	addrs, err := net.InterfaceAddrs()
	fmt.Fprintln(h, addrs, err)
	for _, name := range routeFiles {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// All but the counters: of references and uses, which move by themselves.
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			switch {
			case len(f) == 11: // IPv4: interface destination gateway flags refs uses metric mask …
				f[4], f[5] = "", ""
			case len(f) == 10: // IPv6: … next-hop metric refs uses flags interface
				f[6], f[7] = "", ""
			}
			fmt.Fprintln(h, f)
		}
	}
	for _, ip := range outside {
		fmt.Fprintln(h, hasRoute(ip))
	}
	return string(h.Sum(nil))
}

// Routes implements Network. For a name, any address of this machine but those of
// itself counts as a way: its network may know the name.
func (systemNetwork) Routes(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return hasRoute(host)
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true // it is not known, so it is tried
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return true
		}
	}
	// A hosts file or a resolver on this machine may say that it is this machine.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && len(found) > 0 && found[0].IsLoopback()
}

func hasRoute(ip string) bool {
	c, err := net.Dial("udp", net.JoinHostPort(ip, "9"))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// hostOf is the host of a remote's address.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// networkWatch tells links when the network changes.
type networkWatch struct {
	mu      sync.Mutex
	changed chan struct{}
}

func newNetworkWatch() *networkWatch { return &networkWatch{changed: make(chan struct{})} }

// channel returns a channel that the next change closes.
func (w *networkWatch) channel() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

func (w *networkWatch) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

// run looks at the network every so often until ctx ends.
func (w *networkWatch) run(ctx context.Context, n Network, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	last := n.Fingerprint()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if now := n.Fingerprint(); now != last {
			last = now
			w.ring()
		}
	}
}
