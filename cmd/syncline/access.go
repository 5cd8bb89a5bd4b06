package main

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"syncline/relay/wire/access"
)

// accessFlags say who may do what at a relay, or a peer that listens.
type accessFlags struct {
	keys     string
	audience string
	issuer   string
	origins  []string
	open     bool
}

func (f *accessFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.keys, "access-keys", "", "public keys that access tokens are checked with: a `FILE` (PEM or JWKS) or the URL of a JWKS; followed when they change (SYNCLINE_ACCESS_KEYS)")
	fl.StringVar(&f.audience, "audience", "", "what tokens must name as their audience (SYNCLINE_AUDIENCE)")
	fl.StringVar(&f.issuer, "issuer", "", "what tokens must name as their issuer; otherwise any (SYNCLINE_ISSUER)")
	fl.StringSliceVar(&f.origins, "origin", nil, "`ORIGIN` of pages that may connect, such as https://app.example, or *; may be repeated; otherwise pages of this machine (SYNCLINE_ORIGIN, separated by commas)")
	fl.BoolVar(&f.open, "open-access", false, "let everybody who reaches it read and write everything (SYNCLINE_OPEN_ACCESS)")
}

// verifier makes what checks tokens; nil if there is no access control. A client has
// to join within the handshake, of which the wait for keys takes a part.
func (f *accessFlags) verifier(handshake time.Duration, log *slog.Logger) (*access.Verifier, error) {
	if f.keys == "" {
		if f.audience != "" || f.issuer != "" {
			return nil, errors.New("--audience and --issuer are for access tokens, which need --access-keys")
		}
		return nil, nil
	}
	if f.audience == "" {
		return nil, errors.New("--access-keys needs --audience: what tokens for this server name as theirs, such as the name of your app")
	}
	if f.open {
		return nil, errors.New("--open-access and --access-keys contradict each other; give one of them")
	}
	// The wait for keys must leave time to tell the client.
	o := access.Options{Audience: f.audience, Issuer: f.issuer, FetchTimeout: max(handshake, 0) * 3 / 5, Log: log}
	if strings.Contains(f.keys, "://") {
		o.JWKSURL = f.keys
	} else {
		o.KeyFile = f.keys
	}
	return access.New(o)
}

// warnOpen says what open access means on an address.
func warnOpen(log *slog.Logger, at net.Addr) {
	log.Warn("open access: everybody who reaches this address may read and write every document whose id they know", "listen", at.String())
}
