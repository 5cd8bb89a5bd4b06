package access

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pass is what one connection holds: its grant, until that is renewed or ends. It may
// be used from several goroutines.
type Pass struct {
	// Static after construction.
	gate    Gate
	expired func(error)
	paced   *rate.Limiter // of renewals: each costs a signature

	mu      sync.Mutex
	grant   Grant
	expiry  *time.Timer
	stopped bool
}

// renewEvery is how often a client may replace its token in the long run, and
// renewBurst how many times at once.
const (
	renewEvery = time.Second
	renewBurst = 10
)

// expiryLook is how often it is looked at least whether a grant has ended: its end
// is a time of day, and a timer knows neither of a clock that is set nor of a
// machine that slept.
const expiryLook = time.Minute

var (
	errTooOften = errors.New("access tokens are replaced too often; once an hour is enough")
	errOver     = errors.New("connect again with a new one")
)

// NewPass is for a connection that a gate has admitted. expired is called, on a
// goroutine of its own, when a grant has ended, with an ErrExpired for the client.
func NewPass(g Gate, granted Grant, expired func(error)) *Pass {
	p := &Pass{gate: g, expired: expired, paced: rate.NewLimiter(rate.Every(renewEvery), renewBurst)}
	p.expiry = time.AfterFunc(time.Hour, p.look)
	p.expiry.Stop()
	p.Set(granted)
	return p
}

// Grant is what the connection may do.
func (p *Pass) Grant() Grant {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grant
}

// Renew takes another token for the same account in place of the one before, and
// returns what that grants. If the keys cannot be had (ErrUnavailable) the grant
// before goes on for as long as it says; after any other error the connection is to
// be closed. It is not for a gate that asks for no token.
func (p *Pass) Renew(ctx context.Context, token string) (Grant, error) {
	if !p.paced.Allow() {
		return Grant{}, withClass(ErrOverLimit, errTooOften)
	}
	next, err := p.gate.grant(ctx, token)
	if err == nil {
		err = p.Grant().Renew(next)
	}
	if err != nil {
		return Grant{}, err
	}
	p.Set(next)
	return next, nil
}

// Set replaces the grant, whatever it was.
func (p *Pass) Set(g Grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grant = g
	p.awaitLocked()
}

// Stop forgets when the grant ends: expired is not called any more, but for a call
// that is under way. It may be called again.
func (p *Pass) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.expiry.Stop()
}

func (p *Pass) awaitLocked() {
	if !p.stopped && !p.grant.Expires.IsZero() {
		p.expiry.Reset(min(time.Until(p.grant.Expires), expiryLook))
	}
}

// look is what the timer calls.
func (p *Pass) look() {
	p.mu.Lock()
	over := !p.stopped && p.grant.Expired(time.Now())
	if !over {
		p.awaitLocked()
	}
	p.mu.Unlock()
	if over {
		p.expired(withClass(ErrExpired, errOver))
	}
}
