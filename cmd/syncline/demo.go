package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncline/crdt"
	"syncline/crdt/id"
	"syncline/peer"
	"syncline/relay"
	"syncline/storage"
)

func demoCommand() *cobra.Command {
	var serve string
	var pace time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a relay and two peers that edit together, apart, and converge",
		Long: "Play a relay and peers that edit together, apart, and converge, and end.\n\n" +
			"With --serve, stay instead, with a relay, a page to open in a browser, and a\n" +
			"native peer that takes part in what is edited there. Runs until it is\n" +
			"interrupted; what the relay and the native peer kept is then removed.",
		Example: "  syncline demo\n  syncline demo --serve 127.0.0.1:3030",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := silence(cmd)
			if err != nil {
				return err
			}
			if serve != "" {
				return failed(serveDemo(cmd.Context(), serve, pace, cmd.OutOrStdout(), log))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			return failed(runDemo(ctx, cmd.OutOrStdout(), log))
		},
	}
	cmd.Flags().StringVar(&serve, "serve", "", "`address` and port of this machine to serve the page on; port 0 takes a free one (SYNCLINE_SERVE)")
	cmd.Flags().DurationVar(&pace, "pace", defaultPace, "with --serve, how often the native peer does something unasked (SYNCLINE_PACE)")
	return cmd
}

// demo is a play in which what is shown is what was measured.
type demo struct {
	out  io.Writer
	log  *slog.Logger
	dir  string
	addr string // of the relay, the same after its restart
	// pages is what the relay shows to browsers; nil: a line of text.
	pages http.Handler
	stop  func() error
}

// runDemo tells what it does on out, and fails if the peers do not converge.
func runDemo(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	dir, err := os.MkdirTemp("", "syncline-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the relay's data: %w", err)
	}
	defer os.RemoveAll(dir)
	d := &demo{out: out, log: log, dir: dir, addr: "127.0.0.1:0"}
	if err := d.startRelay(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	d.say("A relay listens on ws://%s, for native peers and browsers alike,\nand keeps its journal in %s.\n", d.addr, dir)

	ada, err := d.client(ctx, "Ada", "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ada.Close()) }()
	ben, err := d.client(ctx, "Ben", ada.doc.URL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ben.Close()) }()
	if err := d.together(ctx, ada, ben); err != nil {
		return err
	}
	if err := d.apart(ctx, ada, ben); err != nil {
		return err
	}
	return d.later(ctx, ada)
}

const demoEnd = `
Three peers converged, and no one of them was in charge. To keep a relay:
  syncline relay --listen 127.0.0.1:3030 --data DIR
A browser, or any automerge-repo app, is connected to it by
  new BrowserWebSocketClientAdapter("ws://127.0.0.1:3030")
and a file of documents by
  syncline peer --db FILE --to ws://127.0.0.1:3030
`

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// client is a person with a peer over a store of their own, which at times is
// connected to the relay.
type client struct {
	*peer.Peer
	doc  *peer.Document
	name string
	d    *demo
	stop func() error
}

// client opens a store. The document is made, unless its URL is given.
func (d *demo) client(ctx context.Context, name, url string) (_ *client, err error) {
	c := &client{name: name, d: d}
	c.Peer, err = peer.Open(ctx, filepath.Join(d.dir, strings.ToLower(name)+".db"), peer.Options{Log: d.log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if url == "" {
		c.doc, err = c.Create(ctx)
	} else {
		var doc id.Document
		if doc, err = id.ParseDocument(url); err == nil {
			c.doc, err = c.Fetch(ctx, doc)
		}
	}
	if err != nil {
		return nil, err
	}
	return c, c.Connect(peer.Remote{URL: "ws://" + d.addr})
}

// online keeps the client in sync until offline.
func (c *client) online(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	c.stop = func() error {
		cancel()
		return <-done
	}
}

func (c *client) offline() error { return c.stop() }

// do edits and says so.
func (c *client) do(ctx context.Context, what string, ops ...crdt.Operation) error {
	r, err := c.doc.Do(ctx, ops...)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	c.d.say("  %s %s  (change %.8s)\n", c.name, what, r.Hash)
	return nil
}

// converge waits until both clients have the same heads, and checks that they
// then have the same document.
func (d *demo) converge(ctx context.Context, from time.Time, a, b *client) error {
	var heads []id.Hash
	for {
		aChanged, bChanged := a.doc.Changed(), b.doc.Changed()
		aHeads, err := a.doc.Heads(ctx)
		if err != nil {
			return err
		}
		if heads, err = b.doc.Heads(ctx); err != nil {
			return err
		}
		if slices.Equal(aHeads, heads) {
			break
		}
		select {
		case <-aChanged:
		case <-bChanged:
		case <-ctx.Done():
			return fmt.Errorf("%s and %s have not converged: %w", a.name, b.name, context.Cause(ctx))
		}
	}
	took := time.Since(from)
	left, err := a.doc.JSON(ctx)
	if err != nil {
		return err
	}
	right, err := b.doc.JSON(ctx)
	if err != nil {
		return err
	}
	if string(left) != string(right) {
		return fmt.Errorf("%s and %s have equal heads and different documents:\n%s\n%s", a.name, b.name, left, right)
	}
	d.say("  Both have it after %.1f ms: heads %s\n", float64(took.Microseconds())/1000, short(heads))
	return nil
}

func short(heads []id.Hash) string {
	names := make([]string, len(heads))
	for i, h := range heads {
		names[i] = h.String()[:8]
	}
	return strings.Join(names, " ")
}

// together has both online.
func (d *demo) together(ctx context.Context, ada, ben *client) error {
	d.say("\n1. Together. Ada makes a document and passes its address to Ben:\n   %s\n", ada.doc.URL())
	if err := ada.do(ctx, "writes a packing list", crdt.Create("items", "tent", map[string]any{"text": "Tent", "count": crdt.Counter(1)})); err != nil {
		return err
	}
	ada.online(ctx)
	ben.online(ctx)
	start := time.Now()
	if err := d.converge(ctx, start, ada, ben); err != nil {
		return err
	}
	start = time.Now()
	if err := ben.do(ctx, "adds matches", crdt.Create("items", "matches", map[string]any{"text": "Matches", "count": crdt.Counter(2)})); err != nil {
		return err
	}
	return d.converge(ctx, start, ben, ada)
}

// apart has Ada edit in a tunnel, and both change the same things.
func (d *demo) apart(ctx context.Context, ada, ben *client) error {
	d.say("\n2. Apart. Ada's train enters a tunnel; both go on editing the same items:\n")
	if err := ada.offline(); err != nil {
		return err
	}
	steps := []func() error{
		func() error {
			return ada.do(ctx, "types into the tent's text, offline", crdt.Splice("items", "tent", "text", 4, 0, " for two"))
		},
		func() error {
			return ada.do(ctx, "counts one match more, offline", crdt.Increment("items", "matches", "count", 1))
		},
		func() error {
			return ben.do(ctx, "types into the same text", crdt.Splice("items", "tent", "text", 0, 0, "Green "))
		},
		func() error {
			return ben.do(ctx, "counts three matches more", crdt.Increment("items", "matches", "count", 3))
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	d.say("  Out of the tunnel.\n")
	start := time.Now()
	ada.online(ctx)
	if err := d.converge(ctx, start, ada, ben); err != nil {
		return err
	}
	items, err := ada.doc.Collection(ctx, "items")
	if err != nil {
		return err
	}
	d.say("  Nobody's edit is lost:\n")
	for _, name := range slices.Sorted(maps.Keys(items)) {
		d.say("    %-8s %s\n", name, crdt.AppendJSON(nil, items[name]))
	}
	return errors.Join(ada.offline(), ben.offline())
}

// later has a third client come when everybody has gone.
func (d *demo) later(ctx context.Context, ada *client) (err error) {
	d.say("\n3. Later. Ada and Ben have gone, and the relay is stopped and started again.\n")
	if err := d.stop(); err != nil {
		return err
	}
	if err := d.startRelay(ctx); err != nil {
		return err
	}
	cleo, err := d.client(ctx, "Cleo", ada.doc.URL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleo.Close()) }()
	d.say("  Cleo, who was never there before, asks for the document.\n")
	start := time.Now()
	cleo.online(ctx)
	if err := d.converge(ctx, start, ada, cleo); err != nil {
		return err
	}
	d.say(demoEnd)
	return cleo.offline()
}

// startRelay serves until stop, on the address of the last time.
func (d *demo) startRelay(ctx context.Context) error {
	store, err := storage.Open(ctx, d.dir+"/"+relayFile, storage.Options{Log: d.log})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		return errors.Join(listenError(d.addr, err), store.Close())
	}
	d.addr = l.Addr().String()
	r, err := relay.New(relay.Options{Store: store, Log: d.log, Pages: d.pages})
	if err != nil {
		return errors.Join(err, l.Close(), store.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	stopped := false
	d.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return errors.Join(<-done, store.Close())
	}
	return nil
}
