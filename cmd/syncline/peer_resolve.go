package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"

	"syncline/peer"
	"syncline/peer/resolve"
	"syncline/relay/wire/access"
)

// resolveFlags have a peer settle conflicts.
type resolveFlags struct {
	on         bool
	schema     string
	rest       time.Duration
	listen     string
	webhook    string
	secret     string
	secretFile string
}

func (f *resolveFlags) add(fl *pflag.FlagSet) {
	fl.BoolVar(&f.on, "resolve", false, "settle the conflicts that the schema's rules decide, and list the others (SYNCLINE_RESOLVE)")
	fl.StringVar(&f.schema, "schema", "", "JSON `FILE` with the schema of the documents (SYNCLINE_SCHEMA)")
	fl.DurationVar(&f.rest, "rest", 10*time.Second, "for how long a conflict has had the same values before anything is done about it (SYNCLINE_REST)")
	fl.StringVar(&f.listen, "resolve-listen", "", "`ADDR`ess and port of the pages that syncline conflicts --at asks, such as 127.0.0.1:3032; others need --access-keys (SYNCLINE_RESOLVE_LISTEN)")
	fl.StringVar(&f.webhook, "webhook", "", "`URL` that is told of conflicts that no rule decides (SYNCLINE_WEBHOOK)")
	fl.StringVar(&f.secret, "webhook-secret", "", "`SECRET` of 16 bytes or more that signs what it is told (SYNCLINE_WEBHOOK_SECRET, which other users of this machine do not see)")
	fl.StringVar(&f.secretFile, "webhook-secret-file", "", "`FILE` with that secret; white space around it is left out (SYNCLINE_WEBHOOK_SECRET_FILE)")
}

// check says what does not go together.
func (f *resolveFlags) check() error {
	switch {
	case !f.on && (f.listen != "" || f.webhook != ""):
		return errors.New("--resolve-listen and --webhook are of a peer that settles conflicts: give --resolve too")
	case f.secret != "" && f.secretFile != "":
		return errors.New("--webhook-secret and --webhook-secret-file are both given: name one of them")
	case f.webhook != "" && f.secret == "" && f.secretFile == "":
		return errors.New("--webhook needs a secret to sign with: --webhook-secret-file FILE, or SYNCLINE_WEBHOOK_SECRET in the environment")
	case f.rest <= 0:
		return errors.New("--rest must be above zero")
	}
	return nil
}

// maxSecret bounds what is read of a file that should hold a secret.
const maxSecret = 4096

func (f *resolveFlags) options(log *slog.Logger) (o resolve.Options, err error) {
	o = resolve.Options{Rest: f.rest, Log: log, Webhook: resolve.Webhook{URL: f.webhook, Secret: []byte(f.secret)}}
	if f.webhook == "" {
		return o, nil
	}
	if f.secretFile != "" {
		file, err := os.Open(f.secretFile)
		if err != nil {
			return o, failed(fmt.Errorf("read the webhook's secret: %w", bare(err)))
		}
		defer file.Close()
		b, err := io.ReadAll(io.LimitReader(file, maxSecret))
		if err != nil {
			return o, failed(fmt.Errorf("read the webhook's secret: %w", err))
		}
		o.Webhook.Secret = bytes.TrimSpace(b)
	}
	if err := o.Webhook.Check(); err != nil {
		return o, fmt.Errorf("--webhook: %w", err)
	}
	return o, nil
}

// start has conflicts settled until ctx ends, if that is asked for; wait is to be called
// then, and returns what went wrong. stop has everything end that must not go on
// without it.
func (f *resolveFlags) start(ctx context.Context, p *peer.Peer, o resolve.Options, keys *access.Verifier, stop func()) (wait func() error, err error) {
	served := func() error { return nil }
	if !f.on {
		return served, nil
	}
	r, err := resolve.New(p, o)
	if err != nil {
		return nil, err
	}
	if f.listen != "" {
		if served, err = f.serve(ctx, r, access.AdminGate{Verifier: keys}, o.Log); err != nil {
			return nil, err
		}
	}
	done := make(chan error, 1)
	go func() {
		done <- r.Run(ctx)
		stop()
	}()
	o.Log.Info("peer settles conflicts", "schema", f.schema != "", "rest", o.Rest, "webhook", f.webhook != "")
	return func() error { return errors.Join(<-done, served()) }, nil
}

// serve answers syncline conflicts --at until ctx ends.
func (f *resolveFlags) serve(ctx context.Context, r *resolve.Resolver, gate access.AdminGate, log *slog.Logger) (wait func() error, err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return nil, listenError(f.listen, err)
	}
	if gate.Verifier == nil && !access.Loopback(l.Addr()) {
		l.Close()
		return nil, fmt.Errorf("others can reach %s, and nothing says who may settle conflicts: give --access-keys and --audience, or listen on 127.0.0.1", f.listen)
	}
	s := &http.Server{
		Handler: r.Handler(gate), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	release := context.AfterFunc(ctx, func() { s.Close() })
	log.Info("conflicts are listed", "url", "http://"+l.Addr().String(), "access", gate.Verifier != nil)
	return func() error {
		defer release()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, nil
}
