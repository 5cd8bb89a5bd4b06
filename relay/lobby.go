package relay

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"

	"golang.org/x/time/rate"

	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// lobby counts who is here, and says who is one too many.
type lobby struct {
	o Options

	present sync.WaitGroup // requests that arrived before the lobby was closed

	mu        sync.Mutex
	closed    bool
	open      int            // connections, with those still shaking hands
	shaking   int            // those
	addresses map[string]int // connections by address
	accounts  map[string]*account
}

// account is what the connections of one account have together.
type account struct {
	connections int // guarded by lobby.mu, as documents is
	documents   int
	pace        pace
}

func (l *lobby) init(o Options) {
	l.o, l.addresses, l.accounts = o, map[string]int{}, map[string]*account{}
}

// arrive has the end wait for a request, until it calls present.Done. It reports
// false at the end, when requests are only told so.
func (l *lobby) arrive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.present.Add(1)
	}
	return !l.closed
}

// enter counts a connection in that has not joined yet, or says why not. Then it
// is to leave.
func (l *lobby) enter(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	tooMany := func(n int, what string) error {
		return socket.WithCode(wire.CloseOverLimit, fmt.Errorf("the relay has %d connections %s and takes no more; try again in a minute", n, what))
	}
	switch {
	case l.closed:
		return socket.WithCode(wire.CloseDraining, errDraining)
	case l.open >= l.o.MaxConnections:
		return tooMany(l.open, "open")
	case l.addresses[address] >= l.o.MaxPerAddress:
		return tooMany(l.addresses[address], "from this address")
	case l.shaking >= l.o.MaxHandshakes:
		return tooMany(l.shaking, "that have not joined yet")
	}
	l.open++
	l.shaking++
	l.addresses[address]++
	return nil
}

// joined counts a connection to its account, or says why not. "" is nobody's.
func (l *lobby) joined(name string) (*account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shaking--
	if name == "" {
		return nil, nil
	}
	a := l.accounts[name]
	if a == nil {
		a = &account{pace: newPace(l.o, l.o.AccountShare)}
		l.accounts[name] = a
	}
	if a.connections >= l.o.MaxPerAccount {
		l.shaking++ // as it was
		return nil, socket.WithCode(wire.CloseOverLimit, fmt.Errorf("the account has %d connections, and may not have more; close one", a.connections))
	}
	a.connections++
	return a, nil
}

// leave counts a connection out. joined says that it was counted in by that, too.
func (l *lobby) leave(address string, joined bool, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if !joined {
		l.shaking--
	}
	if l.addresses[address]--; l.addresses[address] == 0 {
		delete(l.addresses, address)
	}
	if a := l.accounts[name]; joined && a != nil {
		if a.connections--; a.connections == 0 {
			delete(l.accounts, name)
		}
	}
}

// documents counts documents of an account, and reports false if they are too many.
func (l *lobby) documents(a *account, n int) bool {
	if a == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 0 && a.documents+n > l.o.MaxAccountDocuments {
		return false
	}
	a.documents += n
	return true
}

func (l *lobby) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

func (l *lobby) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// counts are the connections that have not joined, those that have, and accounts.
func (l *lobby) counts() (shaking, joined, accounts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shaking, l.open - l.shaking, len(l.accounts)
}

// addressOf is where a request comes from, without the port.
func addressOf(req *http.Request) string {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return req.RemoteAddr
	}
	return host
}

// pace is what may come in the long run, of changes and of bytes.
type pace struct{ changes, bytes *rate.Limiter }

// burst is how many seconds' worth may come at once: what a client typed offline.
const burst = 10

func newPace(o Options, times int) pace {
	limiter := func(perSecond int) *rate.Limiter {
		// As floats: two that are no limits multiply to more than an int holds.
		each := float64(perSecond) * float64(times)
		return rate.NewLimiter(rate.Limit(each), int(min(each*burst, math.MaxInt/2)))
	}
	return pace{changes: limiter(o.ChangesPerSecond), bytes: limiter(o.BytesPerSecond)}
}
