package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Options of a Verifier. Audience is required, and one of KeyFile and JWKSURL.
type Options struct {
	// KeyFile has the keys that tokens may be signed with: public keys in PEM, or a
	// JWKS. It is replaced by renaming another over it.
	KeyFile string
	// JWKSURL is where an issuer publishes them: https, or http on this machine.
	JWKSURL string
	// Audience is what a token's aud has to name.
	Audience string
	// Issuer is what a token's iss has to be. "": anything.
	Issuer string

	// Leeway is how far nbf and iat may be ahead of the clock here, which clocks
	// that are kept are not. 0: 30 s.
	Leeway time.Duration
	// Refresh is how often the keys are read again, and so how long a key that was
	// taken back goes on at most. 0: 5 min for a URL, 5 s for a file.
	Refresh time.Duration
	// MinRefresh is how far apart two readings are at least that tokens with
	// unknown keys cause. 0: 10 s for a URL, 1 s for a file.
	MinRefresh time.Duration
	// FetchTimeout is how long a reading may take, and so Close. 0: 5 s.
	FetchTimeout time.Duration
	// MaxStale is how long the last keys go on while there is no reading them. 0:
	// 24 h, in which somebody repairs the issuer.
	MaxStale time.Duration

	// Client fetches the JWKS; its redirect policy is not used. nil: one of its own.
	Client *http.Client
	// Log is told of keys that change or cannot be read. nil: silent.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	refresh, least := 5*time.Minute, 10*time.Second
	if o.KeyFile != "" {
		refresh, least = 5*time.Second, time.Second
	}
	setDefault(&o.Leeway, 30*time.Second)
	setDefault(&o.Refresh, refresh)
	setDefault(&o.MinRefresh, least)
	setDefault(&o.FetchTimeout, 5*time.Second)
	setDefault(&o.MaxStale, 24*time.Hour)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault(v *time.Duration, value time.Duration) {
	if *v <= 0 {
		*v = value
	}
}

// Verifier checks tokens. It may be used from several goroutines.
type Verifier struct {
	o    Options
	keys *keeper
}

// New returns a Verifier. Close it to end the goroutine that it starts. Keys in a
// file that cannot be used are an error here; a URL that does not answer yet is not.
func New(o Options) (*Verifier, error) {
	switch {
	case o.Audience == "":
		return nil, errors.New("access: no audience: say which aud tokens for this server have")
	case (o.KeyFile == "") == (o.JWKSURL == ""):
		return nil, errors.New("access: keys for access tokens come from either a file or a URL: name one of them")
	}
	o = o.withDefaults()
	var s source = &fileSource{path: o.KeyFile}
	if o.JWKSURL != "" {
		var err error
		if s, err = newURLSource(o.JWKSURL, o.Client); err != nil {
			return nil, fmt.Errorf("access: %w", err)
		}
	}
	k, err := newKeeper(s, o)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return &Verifier{o: o, keys: k}, nil
}

// Close ends the reading of keys. It may be called again.
func (v *Verifier) Close() error {
	v.keys.close()
	return nil
}

// Verify checks a token as of now and returns what it grants. An error is of one of
// the classes of this package, and its text may go to the client. It takes as long as
// a signature does; FetchTimeout at most if the token's key is not known yet.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (Grant, error) {
	e, err := openEnvelope(token)
	if err != nil {
		return Grant{}, withClass(ErrUnauthorised, err)
	}
	key, err := v.keys.find(ctx, e.key)
	if err != nil {
		return Grant{}, err
	}
	if err := e.verify(key); err != nil {
		return Grant{}, withClass(ErrUnauthorised, err)
	}
	c, err := parseClaims(e.payload)
	if err != nil {
		return Grant{}, fmt.Errorf("%w: the access token is malformed: %w", ErrUnauthorised, err)
	}
	if err := c.check(v.o, now); err != nil {
		return Grant{}, err
	}
	return newGrant(c), nil
}
