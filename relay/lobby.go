package relay

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"

	"syncline/relay/wire"
	"syncline/relay/wire/socket"
)

// lobby counts who is here, and says who is one too many.
type lobby struct {
	o Options

	present sync.WaitGroup // requests that arrived before the lobby was closed

	// ending ends when the lobby is closed; end ends it.
	ending context.Context
	end    context.CancelFunc

	mu        sync.Mutex
	closed    bool
	open      int            // connections, with those still shaking hands
	shaking   *list.List     // of *visit: those, the oldest in front
	addresses map[string]int // connections by address
	accounts  map[string]*account
}

// visit is one connection's.
type visit struct {
	address string
	end     context.CancelCauseFunc // of its handshake
	waiting *list.Element           // among those shaking hands; nil once it has joined
	name    string                  // of its account, "" if it is nobody's
}

// account is what the connections of one account have together. It is kept for a
// while after the last has gone, so that coming back gains nothing.
type account struct {
	connections int // guarded by lobby.mu, as documents is
	documents   int
	pace        pace
}

// maxGone bounds the accounts without a connection whose pace is remembered.
const maxGone = 1 << 12

func (l *lobby) init(o Options) {
	l.o, l.shaking, l.addresses, l.accounts = o, list.New(), map[string]int{}, map[string]*account{}
	l.ending, l.end = context.WithCancel(context.Background())
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

// errCrowded ends the handshake that has gone on for longest when too many do.
var errCrowded = socket.WithCode(wire.CloseOverLimit, errors.New("too many clients connect at once and this one took longest to join; try again in a minute"))

// enter counts a connection in that has not joined yet, or says why not. Then it
// is to leave. end is called if it must make way for one that comes later: a crowd
// that never joins does not keep out those who do.
func (l *lobby) enter(address string, end context.CancelCauseFunc) (*visit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tooMany := func(n int, what string) (*visit, error) {
		return nil, socket.WithCode(wire.CloseOverLimit, fmt.Errorf("the relay has %d connections %s and takes no more; try again in a minute", n, what))
	}
	switch {
	case l.closed:
		return nil, socket.WithCode(wire.CloseDraining, errDraining)
	case l.open >= l.o.MaxConnections:
		return tooMany(l.open, "open")
	case l.addresses[address] >= l.o.MaxPerAddress:
		return tooMany(l.addresses[address], "from this address")
	}
	if l.shaking.Len() >= l.o.MaxHandshakes {
		oldest := l.shaking.Front().Value.(*visit)
		l.shaking.Remove(oldest.waiting)
		oldest.waiting = nil
		oldest.end(errCrowded)
	}
	l.open++
	l.addresses[address]++
	v := &visit{address: address, end: end}
	v.waiting = l.shaking.PushBack(v)
	return v, nil
}

// joined counts a connection to its account, or says why not. "" is nobody's.
func (l *lobby) joined(v *visit, name string) (*account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v.waiting == nil {
		return nil, errCrowded
	}
	var a *account
	if name != "" {
		if a = l.accounts[name]; a == nil {
			l.forget()
			a = &account{pace: newPace(l.o, l.o.AccountShare)}
			l.accounts[name] = a
		}
		if a.connections >= l.o.MaxPerAccount {
			return nil, socket.WithCode(wire.CloseOverLimit, fmt.Errorf("the account has %d connections, and may not have more; close one", a.connections))
		}
		a.connections++
		v.name = name
	}
	l.shaking.Remove(v.waiting)
	v.waiting = nil
	return a, nil
}

// forget makes room among the accounts for one more.
func (l *lobby) forget() {
	if len(l.accounts) < maxGone {
		return
	}
	for name, a := range l.accounts {
		if a.connections == 0 {
			delete(l.accounts, name)
		}
	}
}

// leave counts a connection out.
func (l *lobby) leave(v *visit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if v.waiting != nil {
		l.shaking.Remove(v.waiting)
	}
	if l.addresses[v.address]--; l.addresses[v.address] == 0 {
		delete(l.addresses, v.address)
	}
	if a := l.accounts[v.name]; a != nil {
		a.connections--
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
	l.end()
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
	for _, a := range l.accounts {
		if a.connections > 0 {
			accounts++
		}
	}
	return l.shaking.Len(), l.open - l.shaking.Len(), accounts
}

// addressOf is where a request comes from, without the port. Of an IPv6 address it is
// the network of 64 bits, which is what one subscriber has.
func addressOf(req *http.Request) string {
	at, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return req.RemoteAddr
	}
	a := at.Addr().Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
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
