package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"syncline/crdt"
	"syncline/peer"
	"syncline/peer/browser"
	"syncline/relay/wire/access"
)

const serveBegin = `A relay and a native peer, Otto, share a workspace. Take part in a browser:

  http://%s/#%s

A second browser, or another profile, with the same address is a third peer.
Switch to Offline there, edit, and come back: Otto edits the same things
meanwhile. What he sees:

`

// serveDemo serves the page with a relay, and takes part natively, until ctx ends.
func serveDemo(ctx context.Context, addr string, pace time.Duration, out io.Writer, log *slog.Logger) (err error) {
	if err := onThisMachine(addr); err != nil {
		return err
	}
	if pace <= 0 {
		return fmt.Errorf("--pace %s: the native peer cannot do something that often; 1h is nearly never", pace)
	}
	pages, err := browser.Handler()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "syncline-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the relay's data: %w", err)
	}
	defer os.RemoveAll(dir)
	d := &demo{out: out, log: log, dir: dir, addr: addr, pages: pages}
	if err := d.startRelay(ctx); err != nil {
		return fmt.Errorf("cannot serve the demo on %s: %w; choose another address with --serve", addr, bare(err))
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	otto, err := d.client(ctx, guestName, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, otto.Close()) }()
	r, err := otto.doc.Do(ctx, workspaceBegin()...)
	if err != nil {
		return err
	}
	last, err := otto.doc.Do(ctx, crdt.Set("people", guestID, "device", r.Device))
	if err != nil {
		return err
	}
	otto.online(ctx)
	defer func() { err = errors.Join(err, otto.offline()) }()
	// Whoever comes by the address finds the workspace.
	if err := last.Wait(ctx, peer.Acknowledged); ctx.Err() != nil {
		return nil
	} else if err != nil {
		return err
	}
	d.say(serveBegin, d.addr, otto.doc.ID())
	g := &guest{client: otto, device: r.Device, pace: pace, clock: time.Now}
	return g.stay(ctx)
}

// onThisMachine refuses an address that others reach: the demo asks nobody for a
// token, and browsers let a page keep documents only on this machine or with TLS.
func onThisMachine(addr string) error {
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return fmt.Errorf("%q is no address to serve on: --serve wants one such as 127.0.0.1:3030", addr)
	}
	if !access.Loopback(at) {
		return fmt.Errorf("others can reach %s, and the demo lets everybody in: serve it on 127.0.0.1", addr)
	}
	return nil
}

// workspaceBegin is what the page shows when it is opened first.
func workspaceBegin() []crdt.Operation {
	task := func(id, title, state string, priority int, owner string) crdt.Operation {
		return crdt.Create("todos", id, map[string]any{"title": title, "state": crdt.Scalar(state), "priority": priority, "owner": crdt.Scalar(owner)})
	}
	item := func(id, name string, count int64, price float64, stage string, tags ...any) crdt.Operation {
		return crdt.Create("inventory", id, map[string]any{"name": name, "count": crdt.Counter(count), "price": price, "stage": crdt.Scalar(stage), "tags": tags})
	}
	return []crdt.Operation{
		crdt.Create("people", guestID, map[string]any{"name": guestName, "kind": "native"}),
		task("ferry", "Book the ferry for Friday", "todo", 1, ""),
		task("maps", "Find last year’s maps", "todo", 3, ""),
		task("stove", "Borrow the small stove", "todo", 2, guestID),
		task("walk", "Plan the second day’s walk", "doing", 2, guestID),
		task("tent", "Mend the tent", "done", 2, guestID),
		item("tent", "Tent", 2, 180, "stored", crdt.Scalar("shelter")),
		item("gas", "Gas cartridge", 6, 7.5, "ordered", crdt.Scalar("kitchen")),
		item("aid", "First-aid kit", 1, 24.9, "planned", crdt.Scalar("safety")),
		crdt.Create("notes", "shared", map[string]any{"body": "Island weekend\n\n" +
			"Ferry at 08:20 from the north pier. Whoever arrives first makes coffee.\n\n" +
			"Still open:\n- who brings the small stove\n- rain plan for Sunday\n"}),
	}
}
