package access

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// passOf makes a pass that says on the channel when it has ended.
func passOf(granted Grant) (*Pass, <-chan error) {
	over := make(chan error, 10)
	return NewPass(Gate{Secrets: []string{"s"}}, granted, func(err error) { over <- err }), over
}

// elapsed waits, and reports whether the pass has ended by then.
func elapsed(t *testing.T, over <-chan error, wait time.Duration) bool {
	t.Helper()
	time.Sleep(wait)
	synctest.Wait()
	select {
	case err := <-over:
		if !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "connect again") {
			t.Errorf("ends with %v", err)
		}
		return true
	default:
		return false
	}
}

func TestAPassEndsWithItsGrant(t *testing.T) {
	for name, lasts := range map[string]time.Duration{"before it is looked at": 10 * time.Second, "after many looks": 100 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, over := passOf(Grant{Expires: time.Now().Add(lasts)})
				if elapsed(t, over, lasts-time.Nanosecond) {
					t.Error("it ends before")
				}
				if !elapsed(t, over, time.Nanosecond) {
					t.Error("it does not end")
				}
				p.Stop()
			})
		})
	}
}

// TestATimerThatIsEarlyIsSetAnew: by the clock that tokens go by, which may have been
// set back meanwhile.
func TestATimerThatIsEarlyIsSetAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, over := passOf(Grant{Expires: time.Now().Add(time.Second)})
		p.expiry.Reset(0)
		if elapsed(t, over, 0) {
			t.Error("it ends before")
		}
		if !elapsed(t, over, time.Second) {
			t.Error("it does not end")
		}
	})
}

func TestAPassGoesOnWithAnotherGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, over := passOf(Grant{Expires: time.Now().Add(time.Second)})
		p.Set(Grant{Expires: time.Now().Add(time.Hour)})
		if elapsed(t, over, time.Hour-1) {
			t.Error("it ends with the first")
		}
		if !elapsed(t, over, 1) {
			t.Error("it does not end with the second")
		}
		p.Set(Open())
		if elapsed(t, over, 1000*time.Hour) {
			t.Error("it ends though it has no end")
		}
	})
}

func TestAPassThatWasStoppedSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, over := passOf(Grant{Expires: time.Now().Add(time.Second)})
		p.Stop()
		p.Stop()
		p.Set(Grant{Expires: time.Now().Add(time.Second)})
		if elapsed(t, over, time.Hour) {
			t.Error("it ends")
		}
	})
}

func TestTokensAreReplacedNowAndThenOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := passOf(Open())
		renew := func() error { _, err := p.Renew(context.Background(), "s"); return err }
		for range renewBurst {
			if err := renew(); err != nil {
				t.Fatal(err)
			}
		}
		if err := renew(); !errors.Is(err, ErrOverLimit) {
			t.Errorf("one more: %v", err)
		}
		time.Sleep(renewEvery)
		if err := renew(); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

func TestAPassIsRenewedForItsAccountOnly(t *testing.T) {
	key := makeSigner(t)
	g := Gate{Verifier: newVerifier(t, Options{KeyFile: keyFile(t, jwks(t, key))})}
	mint := func(account string, rules ...Rule) string {
		token, err := key.Sign(Claims{Account: account, Audience: []string{audience}, Expires: time.Now().Add(time.Hour), Documents: rules})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first, err := g.grant(t.Context(), mint("alice", Rule{Access: Read}))
	if err != nil {
		t.Fatal(err)
	}
	p := NewPass(g, first, func(error) {})
	defer p.Stop()
	next, err := p.Renew(t.Context(), mint("alice", Rule{Access: Write}))
	if err != nil || next.Document([16]byte{1}) != Write || p.Grant().Document([16]byte{1}) != Write {
		t.Errorf("renewed: %v, %v", next, err)
	}
	for name, token := range map[string]string{"another account": mint("bob", Rule{Access: Write}), "none": "", "no token": "hunter2"} {
		if _, err := p.Renew(t.Context(), token); !errors.Is(err, ErrUnauthorised) || errors.Is(err, ErrMissing) != (token == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.Grant().Account != "alice" || p.Grant().Document([16]byte{1}) != Write {
		t.Error("it has lost what it had")
	}
}
