package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// keeper has the keys of a source at hand, and reads the source again at an
// interval, and when a key is asked for that is not there.
//
// One goroutine asks the source, whoever is waiting: a client that names a key
// nobody knows and hangs up neither ends an attempt that others wait for, nor can a
// thousand of them make more than one in MinRefresh.
type keeper struct {
	// Static after construction.
	source source
	o      Options // with defaults
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{} // closed when the goroutine has ended
	wake   chan struct{} // holds a token when an attempt is wanted at once

	// Owned by whoever reads the source: New, then the goroutine.
	refused error // why the keys that the source had last are not used

	mu      sync.Mutex
	set     keySet
	read    time.Time     // when the source last had these keys; zero: never
	tried   time.Time     // when the last attempt began; zero: never
	failure error         // of the last attempt
	attempt chan struct{} // closed at the end of the one wanted or under way; nil: none
}

// retryInterval is how soon a source that failed is asked again at the latest.
const retryInterval = 30 * time.Second

// newKeeper starts one. Keys in a file have to be there from the start; those
// behind a URL may be late, and tokens wait for them.
func newKeeper(s source, o Options) (*keeper, error) {
	k := &keeper{source: s, o: o, log: o.Log, ended: make(chan struct{}), wake: make(chan struct{}, 1)}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	first := time.Duration(0)
	if _, ok := s.(*fileSource); ok {
		first = o.Refresh
		if err := k.first(); err != nil {
			k.cancel()
			return nil, fmt.Errorf("keys for access tokens in %s: %w", s, err)
		}
	} else {
		k.attempt = make(chan struct{})
	}
	go k.run(first)
	return k, nil
}

func (k *keeper) first() error {
	set, err := k.load(k.ctx)
	if err != nil {
		return err
	}
	if len(set) == 0 {
		return errors.New("it holds no key")
	}
	k.set, k.read = set, time.Now()
	return nil
}

// close ends the goroutine and waits for it. It may be called again.
func (k *keeper) close() {
	k.cancel()
	<-k.ended
}

func (k *keeper) run(next time.Duration) {
	defer close(k.ended)
	t := time.NewTimer(next)
	defer t.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-t.C:
		case <-k.wake:
		}
		t.Reset(k.refresh())
	}
}

// refresh asks the source, and returns in how long to ask again.
func (k *keeper) refresh() time.Duration {
	k.mu.Lock()
	if k.attempt == nil {
		k.attempt = make(chan struct{})
	}
	select {
	case <-k.wake: // for this attempt
	default:
	}
	k.tried = time.Now()
	k.mu.Unlock()

	ctx, cancel := context.WithTimeout(k.ctx, k.o.FetchTimeout)
	defer cancel()
	set, err := k.load(ctx)

	k.mu.Lock()
	before := k.failure
	if k.failure = err; err == nil {
		k.set, k.read = set, time.Now()
	}
	close(k.attempt)
	k.attempt = nil
	known, read := len(k.set), k.read
	k.mu.Unlock()
	if k.ctx.Err() == nil {
		k.tell(before, err, known, read)
	}
	if err != nil {
		return min(k.o.Refresh, retryInterval)
	}
	return k.o.Refresh
}

// tell logs what has changed between two attempts, and not each failure of a long
// outage. known keys were read last at a time, zero if never.
func (k *keeper) tell(before, after error, known int, read time.Time) {
	log := k.log.With("source", k.source.String(), "keys", known)
	switch {
	case after == nil && before != nil:
		log.Info("the keys for access tokens can be read again")
	case after == nil || before != nil && before.Error() == after.Error():
	case read.IsZero():
		log.Warn("the keys for access tokens cannot be read; until they can, all tokens are refused", "err", after)
	default:
		log.Warn("the keys for access tokens cannot be read; those known go on for a while",
			"until", read.Add(k.o.MaxStale), "err", after)
	}
}

// load returns the keys that the source has now.
func (k *keeper) load(ctx context.Context) (keySet, error) {
	b, err := k.source.fetch(ctx)
	if errors.Is(err, errUnchanged) {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.set, k.refused
	}
	if err != nil {
		return nil, err
	}
	set, skipped, err := parseKeys(b)
	if k.refused = err; err != nil {
		return nil, err
	}
	for _, s := range skipped {
		k.log.Warn("a key for access tokens is skipped", "source", k.source.String(), "err", s)
	}
	k.log.Info("keys for access tokens read", "source", k.source.String(), "keys", len(set))
	return set, nil
}

// find returns a key by the name that a token has for it, "" if it has none. It
// waits for an attempt, and so for FetchTimeout at most, only if there is no such key.
func (k *keeper) find(ctx context.Context, name string) (publicKey, error) {
	key, attempt, err := k.look(name, true)
	if attempt == nil {
		return key, err
	}
	select {
	case <-attempt:
	case <-k.ctx.Done():
	case <-ctx.Done():
		return publicKey{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	key, _, err = k.look(name, false)
	return key, err
}

// look finds a key among those known. Without it, and if asked for, it returns an
// attempt to wait for, unless the last one was only just now.
func (k *keeper) look(name string, wait bool) (publicKey, <-chan struct{}, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	usable := !k.read.IsZero() && time.Since(k.read) <= k.o.MaxStale
	var err error = errUnknownKey
	if usable {
		var key publicKey
		if key, err = k.set.find(name); !errors.Is(err, errUnknownKey) {
			return key, nil, withClass(ErrUnauthorised, err)
		}
	}
	if wait {
		if k.attempt == nil && (k.tried.IsZero() || time.Since(k.tried) >= k.o.MinRefresh) {
			k.attempt = make(chan struct{})
			k.wake <- struct{}{}
		}
		if k.attempt != nil {
			return publicKey{}, k.attempt, nil
		}
	}
	if !usable || k.failure != nil {
		return publicKey{}, nil, ErrUnavailable
	}
	return publicKey{}, nil, withClass(ErrUnauthorised, err)
}
