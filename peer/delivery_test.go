package peer

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire"
)

func outboxOf(t testing.TB, p *Peer) map[id.Document]Delivery {
	t.Helper()
	list, err := p.Outbox(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	byDoc := map[id.Document]Delivery{}
	for _, d := range list {
		byDoc[d.Document] = d
	}
	return byDoc
}

// untilDelivery waits until a document stands as wanted in the outbox.
func untilDelivery(t testing.TB, p *Peer, doc id.Document, want DeliveryState) Delivery {
	t.Helper()
	var last Delivery
	until(t, fmt.Sprintf("%s is %q", doc, want), []*Document{{p, doc}}, func() bool {
		last = outboxOf(t, p)[doc]
		return last.State == want
	})
	return last
}

// A document that is refused for each reason there is does not hold up the others,
// and is dead or comes through in the end.
func TestOneRefusedDocumentDoesNotStopTheOutbox(t *testing.T) {
	for _, code := range []wire.NoticeCode{wire.NoticeUnavailable, wire.NoticeReadOnly, wire.NoticeOverLimit, wire.NoticeStorageFull, wire.NoticeRejectedChange} {
		t.Run(string(code), func(t *testing.T) {
			r := serveRelay(t)
			x := startProxy(t, r.url)
			path := filepath.Join(t.TempDir(), "peer.db")
			p := openPeer(t, path, remotes(testOptions(), x.url))
			bad := create(t, p)
			receipt := do(t, bad, note("bad"))
			var good []Receipt
			for i := range 10 {
				good = append(good, do(t, create(t, p), note(name(i))))
			}
			var refused atomic.Int64
			x.set(func(m wire.Message) verdict {
				if doc, ok := of(m); ok && doc == bad.ID() {
					refused.Add(1)
					return verdict{answer: &wire.Notice{Code: code, Document: doc, Hash: receipt.Hash, Message: "not this one"}}
				}
				return verdict{}
			})
			stop := run(t, p)
			for _, g := range good {
				await(t, g, Acknowledged, x.url)
			}
			f, _ := faultOfNotice(&wire.Notice{Code: code})
			if !f.Class.Mendable() {
				d := untilDelivery(t, p, bad.ID(), DeliveryDead)
				if d.Class != f.Class || d.Hash != receipt.Hash || d.Pending != 1 || d.Reason == "" || d.Since.IsZero() {
					t.Errorf("%+v", d)
				}
				// Another connection, and another start, leave it where it is.
				before := refused.Load()
				stop()
				p.Close()
				p = openPeer(t, path, remotes(testOptions(), x.url))
				bad = fetch(t, p, bad.ID())
				run(t, p)
				after := do(t, create(t, p), note("after"))
				await(t, after, Acknowledged, x.url)
				if n := refused.Load(); n != before && !f.Receives {
					t.Errorf("offered again %d times", n-before)
				}
				if d := outboxOf(t, p)[bad.ID()]; d.State != DeliveryDead {
					t.Errorf("after a restart %+v", d)
				}
			}
			x.set(nil)
			if !f.Class.Mendable() {
				if err := p.Retry(bounded(t), x.url, bad.ID()); err != nil {
					t.Fatal(err)
				}
			}
			again, err := p.Receipt(bounded(t), receipt.Sequence)
			if err != nil {
				t.Fatal(err)
			}
			await(t, again, Acknowledged, x.url)
			until(t, "the outbox is empty", []*Document{bad}, func() bool { return len(outboxOf(t, p)) == 0 })
			if err := p.Retry(bounded(t), x.url, bad.ID()); !errors.Is(err, ErrNotDead) {
				t.Errorf("retry of what is not dead: %v", err)
			}
		})
	}
}

// A document over which the remote ends the whole connection is found out among many
// others, which all arrive.
func TestADocumentThatEndsTheConnectionIsFoundOut(t *testing.T) {
	for _, code := range []wire.CloseCode{wire.CloseInternal, wire.CloseTooLarge, wire.CloseProtocol} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			r := serveRelay(t)
			x := startProxy(t, r.url)
			p := newPeer(t, x.url)
			var receipts []Receipt
			var bad Receipt
			for i := range 30 {
				receipt := do(t, create(t, p), note(name(i)))
				if i == 3 {
					bad = receipt
				} else {
					receipts = append(receipts, receipt)
				}
			}
			x.set(func(m wire.Message) verdict {
				if doc, ok := of(m); ok && doc == bad.Document {
					return verdict{code: code}
				}
				return verdict{}
			})
			run(t, p)
			for _, r := range receipts {
				await(t, r, Acknowledged, x.url)
			}
			d := untilDelivery(t, p, bad.Document, DeliveryDead)
			if d.Class != classOfCode(code) || d.Failures != 0 && d.Failures < maxBlames {
				t.Errorf("%+v", d)
			}
			for doc, d := range outboxOf(t, p) {
				if doc != bad.Document {
					t.Errorf("%s is blamed, too: %+v", doc, d)
				}
			}
			n := x.conns.Load()
			await(t, do(t, create(t, p), note("after")), Acknowledged, x.url)
			if x.conns.Load() > n+1 {
				t.Errorf("%d more connections", x.conns.Load()-n)
			}
		})
	}
}

func TestDroppedIsNotOfferedUntilRetried(t *testing.T) {
	r := serveRelay(t)
	x := startProxy(t, r.url)
	path := filepath.Join(t.TempDir(), "peer.db")
	p := openPeer(t, path, remotes(testOptions(), x.url))
	run(t, p)
	d := create(t, p)
	var refusing atomic.Bool
	refusing.Store(true)
	var seen atomic.Int64
	x.set(func(m wire.Message) verdict {
		doc, ok := of(m)
		if !ok || doc != d.ID() {
			return verdict{}
		}
		seen.Add(1)
		if refusing.Load() {
			return verdict{answer: &wire.Notice{Code: wire.NoticeReadOnly, Document: doc, Message: "no"}}
		}
		return verdict{}
	})
	receipt := do(t, d, note("a"))
	untilDelivery(t, p, d.ID(), DeliveryDead)
	// From another process, as the command does it.
	other := openPeer(t, path, testOptions())
	if err := other.Drop(bounded(t), x.url, d.ID()); err != nil {
		t.Fatal(err)
	}
	if err := other.Drop(bounded(t), x.url, id.Document{9}); !errors.Is(err, ErrNotDead) {
		t.Errorf("%v", err)
	}
	if got := outboxOf(t, other)[d.ID()]; got.State != DeliveryDropped {
		t.Errorf("%+v", got)
	}
	refusing.Store(false)
	if err := other.Retry(bounded(t), x.url, d.ID()); err != nil {
		t.Fatal(err)
	}
	await(t, receipt, Acknowledged, x.url) // the running one has noticed
}

// A remote that takes no token is left alone until something changes, and says so.
func TestARemoteThatRefusesUsIsNotTriedForEver(t *testing.T) {
	r := serveRelay(t)
	x := startProxy(t, r.url)
	x.shut(wire.CloseUnauthorised)
	good := serveRelay(t)
	network := newFakeNetwork()
	o := remotes(testOptions(), x.url, good.url)
	o.Network, o.NetworkPoll = network, time.Millisecond
	path := filepath.Join(t.TempDir(), "peer.db")
	p := openPeer(t, path, o)
	stop := run(t, p)
	d := create(t, p)
	receipt := do(t, d, note("a"))
	await(t, receipt, Acknowledged, good.url) // the other remote has nothing to do with it
	stopped := func(class Class) bool {
		s, err := p.Status(bounded(t))
		return err == nil && s.Remotes[0].State == LinkStopped && s.Remotes[0].Class == class
	}
	until(t, "it is stopped", []*Document{d}, func() bool { return stopped(ClassUnauthorised) })
	if got := outboxOf(t, p)[id.Document{}]; got.State != DeliveryDead || got.Remote != x.url || got.Class != ClassUnauthorised {
		t.Errorf("%+v", got)
	}
	n := x.conns.Load()
	if n != 1 {
		t.Errorf("%d attempts", n)
	}
	// A new network may let us in; it does not.
	network.change(true)
	until(t, "it is tried and stopped again", []*Document{d}, func() bool { return x.conns.Load() > n && stopped(ClassUnauthorised) })
	x.shut(0)
	if err := p.Retry(bounded(t), x.url, id.Document{}); err != nil {
		t.Fatal(err)
	}
	await(t, receipt, Acknowledged, x.url)
	until(t, "nothing is held back", []*Document{d}, func() bool { return len(outboxOf(t, p)) == 0 })
	stop()
}

func TestALinkWaitsForARouteAndGoesAtOnce(t *testing.T) {
	r := serveRelay(t)
	network := newFakeNetwork()
	network.change(false)
	o := remotes(testOptions(), r.url)
	o.Network, o.NetworkPoll = network, time.Millisecond
	// Should a link wait for its turn, it waits for longer than the test.
	o.Backoff, o.Rand = Backoff{First: time.Hour, Most: time.Hour}, func() float64 { return .99 }
	p := openPeer(t, filepath.Join(t.TempDir(), "peer.db"), o)
	run(t, p)
	d := create(t, p)
	receipt := do(t, d, note("a"))
	state := func(want LinkState) {
		t.Helper()
		until(t, "the link is "+string(want), []*Document{d}, func() bool {
			s, err := p.Status(bounded(t))
			return err == nil && s.Remotes[0].State == want
		})
	}
	state(LinkOffline)
	if s, _ := p.Status(bounded(t)); s.Remotes[0].Failures != 0 || len(s.Remotes[0].Retries) != 0 {
		t.Errorf("it was tried without a way: %+v", s.Remotes[0])
	}
	network.change(true)
	await(t, receipt, Acknowledged)
	// The relay goes, and the link waits for an hour, until the network changes.
	r.stop()
	state(LinkWaiting)
	receipt = do(t, d, note("b"))
	serveRelayOn(t, r.path, r.addr)
	network.change(true)
	await(t, receipt, Acknowledged)
}
