package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// issuer answers for a JWKS URL, without a socket, so that it works in a bubble.
type issuer struct {
	mu       sync.Mutex
	body     []byte
	etag     string
	status   int           // 0: 200
	delay    time.Duration // before it answers
	requests int
	matched  int // requests answered with 304
}

func (s *issuer) publish(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.etag, s.status, s.delay = b, fmt.Sprintf("%q", fmt.Sprint(len(b), s.requests)), 0, 0
}

func (s *issuer) fail(status int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.delay = status, delay
}

func (s *issuer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *issuer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests++
	body, etag, status, delay := s.body, s.etag, s.status, s.delay
	if status == 0 {
		status = http.StatusOK
		if etag != "" && req.Header.Get("If-None-Match") == etag {
			status, body = http.StatusNotModified, nil
			s.matched++
		}
	}
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)),
		Header: http.Header{"Etag": {etag}}, Body: io.NopCloser(bytes.NewReader(body)), Request: req,
	}, nil
}

// world is a bubble with an issuer and a Verifier of its keys.
type world struct {
	t *testing.T
	*issuer
	v    *Verifier
	logs *bytes.Buffer
}

func inWorld(t *testing.T, first []byte, test func(w world)) {
	inWorldOf(t, &issuer{body: first}, test)
}

func inWorldOf(t *testing.T, first *issuer, test func(w world)) {
	synctest.Test(t, func(t *testing.T) {
		w := world{t: t, issuer: first, logs: new(bytes.Buffer)}
		w.v = newVerifier(t, Options{
			JWKSURL: "https://issuer.example/keys",
			Client:  &http.Client{Transport: w.issuer},
			Log:     slog.New(slog.NewTextHandler(w.logs, nil)),
		})
		test(w)
	})
}

// logged is what was logged up to now.
func (w world) logged() string {
	synctest.Wait()
	return w.logs.String()
}

// accepts and refuses verify a token of a key.
func (w world) accepts(k *SigningKey) {
	w.t.Helper()
	if _, err := w.v.Verify(w.t.Context(), token(w.t, k), now); err != nil {
		w.t.Error(err)
	}
}

func (w world) refuses(k *SigningKey, class error) {
	w.t.Helper()
	if _, err := w.v.Verify(w.t.Context(), token(w.t, k), now); !errors.Is(err, class) {
		w.t.Errorf("%v, want %v", err, class)
	}
}

func TestRotatedKeysArePickedUpAndOldOnesRefused(t *testing.T) {
	old, next := makeSigner(t), makeSigner(t)
	inWorld(t, jwks(t, old), func(w world) {
		w.accepts(old)
		w.publish(jwks(t, old, next))
		time.Sleep(10 * time.Second)
		w.accepts(next) // at once, because it is asked for
		w.accepts(old)
		w.publish(jwks(t, next))
		time.Sleep(5*time.Minute + time.Second)
		w.refuses(old, ErrUnauthorised)
		w.accepts(next)
	})
}

func TestAnIssuerTakesBackAllOfItsKeys(t *testing.T) {
	k := makeSigner(t)
	inWorld(t, jwks(t, k), func(w world) {
		w.accepts(k)
		w.publish(jwks(t))
		time.Sleep(5*time.Minute + time.Second)
		w.refuses(k, ErrUnauthorised)
	})
}

func TestUnknownKeysDoNotFloodTheIssuer(t *testing.T) {
	k := makeSigner(t)
	inWorld(t, jwks(t, k), func(w world) {
		w.accepts(k)
		stranger := makeSigner(t)
		for range 600 { // a minute of them
			var together sync.WaitGroup
			for range 3 {
				together.Go(func() { w.refuses(stranger, ErrUnauthorised) })
			}
			together.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if n := w.asked(); n < 2 || n > 8 {
			t.Errorf("asked %d times in a minute, want one in 10 s", n)
		}
	})
}

func TestLastKeysGoOnForABoundedTimeWhileTheIssuerIsDown(t *testing.T) {
	k, next := makeSigner(t), makeSigner(t)
	inWorld(t, jwks(t, k), func(w world) {
		w.accepts(k)
		w.fail(http.StatusBadGateway, 0)
		for range 23 {
			time.Sleep(time.Hour)
			w.accepts(k)
		}
		w.refuses(next, ErrUnavailable) // it may be good
		time.Sleep(2 * time.Hour)
		w.refuses(k, ErrUnavailable)
		if n := strings.Count(w.logged(), "cannot be read"); n != 1 {
			t.Errorf("it is said %d times that keys cannot be read, want once", n)
		}
		w.publish(jwks(t, next))
		time.Sleep(31 * time.Second)
		w.accepts(next)
		w.refuses(k, ErrUnauthorised)
	})
}

func TestAnIssuerThatIsDownAtTheStart(t *testing.T) {
	k := makeSigner(t)
	inWorldOf(t, &issuer{status: http.StatusBadGateway}, func(w world) {
		w.refuses(k, ErrUnavailable)
		w.publish(jwks(t, k))
		time.Sleep(31 * time.Second)
		w.accepts(k)
		for _, said := range []string{"all tokens are refused", "502", "can be read again"} {
			if !strings.Contains(w.logged(), said) {
				t.Errorf("the log does not say %q: %s", said, w.logged())
			}
		}
	})
}

func TestTokensWaitForTheFirstKeysAndNoLonger(t *testing.T) {
	k := makeSigner(t)
	inWorldOf(t, &issuer{body: jwks(t, k), delay: 3 * time.Second}, func(w world) {
		from := time.Now()
		w.accepts(k)
		if waited := time.Since(from); waited != 3*time.Second {
			t.Errorf("waited %v for keys that came after 3 s", waited)
		}
		// An issuer that takes for ever delays no token whose key is known.
		w.fail(0, time.Hour)
		time.Sleep(5*time.Minute + 2*time.Second) // an attempt is under way
		from = time.Now()
		w.accepts(k)
		if waited := time.Since(from); waited != 0 {
			t.Errorf("waited %v for a key that was there", waited)
		}
		w.refuses(makeSigner(t), ErrUnavailable)
		if waited := time.Since(from); waited > 5*time.Second {
			t.Errorf("waited %v, longer than an attempt may take", waited)
		}
	})
}

func TestWhoeverHangsUpEndsNoAttempt(t *testing.T) {
	k, next := makeSigner(t), makeSigner(t)
	inWorld(t, jwks(t, k), func(w world) {
		w.accepts(k)
		time.Sleep(time.Minute)
		w.publish(jwks(t, next))
		w.fail(0, time.Second)
		ctx, hangUp := context.WithTimeout(w.t.Context(), 500*time.Millisecond)
		defer hangUp()
		if _, err := w.v.Verify(ctx, token(t, makeSigner(t)), now); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the end of the context", err)
		}
		w.accepts(next)
	})
}

func TestCloseEndsAWaitAndMayBeCalledAgain(t *testing.T) {
	inWorldOf(t, &issuer{delay: time.Hour}, func(w world) {
		var waiting sync.WaitGroup
		waiting.Go(func() { w.refuses(makeSigner(t), ErrUnavailable) })
		synctest.Wait()
		w.v.Close()
		w.v.Close()
		waiting.Wait()
		w.refuses(makeSigner(t), ErrUnavailable)
	})
}

func TestASetThatIsUnchangedIsNotSentAgain(t *testing.T) {
	k := makeSigner(t)
	inWorldOf(t, &issuer{body: jwks(t, k), etag: `"1"`}, func(w world) {
		w.accepts(k)
		time.Sleep(time.Hour + time.Second)
		w.accepts(k)
		w.mu.Lock()
		if w.requests != 13 || w.matched != 12 {
			t.Errorf("%d requests, %d of them answered with 304; want 13 and 12", w.requests, w.matched)
		}
		w.mu.Unlock()
		// Nor does an answer of 304 make a set good that was not.
		w.publish([]byte("{}"))
		time.Sleep(25 * time.Hour)
		w.refuses(k, ErrUnavailable)
		w.publish(jwks(t, k))
		time.Sleep(31 * time.Second)
		w.accepts(k)
	})
}

func TestAFileIsReadAgainWhenItChanges(t *testing.T) {
	old, next := makeSigner(t), makeSigner(t)
	synctest.Test(t, func(t *testing.T) {
		path := keyFile(t, publicPEM(t, old))
		w := world{t: t, v: newVerifier(t, Options{KeyFile: path})}
		w.accepts(old)
		replace(t, path, jwks(t, old, next))
		w.accepts(next)
		replace(t, path, jwks(t, next))
		time.Sleep(6 * time.Second)
		w.refuses(old, ErrUnauthorised)
		// A half-written file changes nothing.
		replace(t, path, []byte(`{"keys":[`))
		time.Sleep(time.Hour)
		w.accepts(next)
		w.refuses(old, ErrUnavailable)
	})
}

// over is a Verifier of keys behind a server with sockets.
func over(t *testing.T, h http.HandlerFunc) *Verifier {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return newVerifier(t, Options{JWKSURL: s.URL, MinRefresh: time.Nanosecond})
}

func TestKeysOverHTTP(t *testing.T) {
	k, next := makeSigner(t), makeSigner(t)
	var mu sync.Mutex
	published, hits := jwks(t, k), 0
	v := over(t, func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		hits++
		http.ServeContent(rw, r, "keys.json", time.Unix(int64(len(published)), 0), bytes.NewReader(published))
	})
	w := world{t: t, v: v}
	w.accepts(k)
	w.refuses(next, ErrUnauthorised) // by a 304 to If-Modified-Since
	mu.Lock()
	published = jwks(t, k, next)
	mu.Unlock()
	w.accepts(next)
	mu.Lock()
	defer mu.Unlock()
	if hits != 3 {
		t.Errorf("%d requests, want 3", hits)
	}
}

func TestAnswersThatAreNoKeys(t *testing.T) {
	k := makeSigner(t)
	set := jwks(t, k)
	tests := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"huge", func(w http.ResponseWriter, _ *http.Request) {
			w.Write(set[:len(set)-2])
			for range 100 {
				w.Write(bytes.Repeat([]byte(" "), maxKeyBytes/64))
			}
			io.WriteString(w, "}")
		}},
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(set)+1))
			w.Write(set)
		}},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }},
		{"not found", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.Write(set)
		}},
		{"unchanged, though nothing was there", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }},
		{"redirected to where anybody can answer", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://issuer.example/keys", http.StatusFound)
		}},
		{"redirected for ever", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world{t: t, v: over(t, tt.answer)}.refuses(k, ErrUnavailable)
		})
	}
}

func TestARedirectWithinThisMachineIsFollowed(t *testing.T) {
	k := makeSigner(t)
	set := jwks(t, k)
	v := over(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/keys" {
			http.Redirect(w, r, "/keys", http.StatusFound)
			return
		}
		w.Write(set)
	})
	world{t: t, v: v}.accepts(k)
}
