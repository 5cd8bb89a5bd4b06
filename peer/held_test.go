package peer

import (
	"errors"
	"strings"
	"testing"

	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/access/accesstest"
)

// outcomes syncs once, and has the results by document.
func outcomes(t testing.TB, p *Peer, r Remote) (map[id.Document]SyncResult, error) {
	t.Helper()
	list, err := p.Sync(bounded(t), SyncOptions{Remotes: []Remote{r}})
	by := map[id.Document]SyncResult{}
	for _, res := range list {
		by[res.Document] = res
	}
	return by, err
}

// TestSyncSaysWhatIsHeldBack, and does not offer it; the rest is synced.
func TestSyncSaysWhatIsHeldBack(t *testing.T) {
	r := serveRelay(t)
	x := startProxy(t, r.url)
	remote := Remote{URL: x.url}
	p := newPeer(t, x.url)
	bad, good := create(t, p), create(t, p)
	do(t, bad, note("bad"))
	do(t, good, note("good"))
	offered := 0
	x.set(func(m wire.Message) verdict {
		if doc, ok := of(m); ok && doc == bad.ID() {
			offered++
			return verdict{answer: &wire.Notice{Code: wire.NoticeRejectedChange, Document: doc, Message: "not this one"}}
		}
		return verdict{}
	})
	// One that is refused now is told at once, and not waited for.
	all, err := outcomes(t, p, remote)
	if !errors.Is(err, ErrNotSynced) || all[good.ID()].Outcome != SyncDone || all[bad.ID()].Outcome != SyncFailed || !strings.Contains(all[bad.ID()].Err.Error(), "not this one") {
		t.Errorf("%v, %+v", err, all)
	}
	stop := run(t, p)
	untilDelivery(t, p, bad.ID(), DeliveryDead)
	stop()
	before := offered
	for i, dropped := range []bool{false, true} {
		if dropped {
			if err := p.Drop(bounded(t), x.url, bad.ID()); err != nil {
				t.Fatal(err)
			}
		}
		do(t, good, note(name(i)))
		all, err = outcomes(t, p, remote)
		if !errors.Is(err, ErrNotSynced) || all[good.ID()].Outcome != SyncDone {
			t.Errorf("%v, %+v", err, all)
		}
		if res := all[bad.ID()]; res.Outcome != SyncFailed || !errors.Is(res.Err, ErrHeld) || strings.Contains(res.Err.Error(), "dropped") != dropped || !strings.Contains(res.Err.Error(), "not this one") {
			t.Errorf("held back: %+v", res)
		}
	}
	if offered != before {
		t.Errorf("it was offered %d times", offered-before)
	}
	// It is held back at one remote, and nowhere else.
	if all, err = outcomes(t, p, Remote{URL: r.url}); err != nil || all[bad.ID()].Outcome != SyncDone {
		t.Errorf("elsewhere: %v, %+v", err, all)
	}
	x.set(nil)
	if err := p.Retry(bounded(t), x.url, bad.ID()); err != nil {
		t.Fatal(err)
	}
	if all, err = outcomes(t, p, remote); err != nil {
		t.Errorf("after it was retried: %v, %+v", err, all)
	}
}

// TestSyncWhereWeMayOnlyRead brings what there is, and says that ours is not taken.
func TestSyncWhereWeMayOnlyRead(t *testing.T) {
	issuer := accesstest.NewIssuer(t)
	ada, ben := newPeer(t), newPeer(t)
	l := listen(t, ada, ListenOptions{Access: issuer.Verifier})
	a := create(t, ada)
	do(t, a, note("first"))
	b := fetch(t, ben, a.ID())
	remote := Remote{URL: l.URL(), Token: issuer.Token("ben", accesstest.Reads(a.ID()))}
	if all, err := outcomes(t, ben, remote); err != nil || all[a.ID()].Outcome != SyncDone {
		t.Fatalf("%v, %+v", err, all)
	}
	do(t, a, note("second"))
	own := do(t, b, note("own"))
	all, err := outcomes(t, ben, remote)
	if res := all[a.ID()]; !errors.Is(err, ErrNotSynced) || res.Outcome != SyncFailed || !errors.Is(res.Err, ErrReadOnly) {
		t.Errorf("%v, %+v", err, all)
	}
	if n := collectionLen(t, b, "notes"); n != 3 {
		t.Errorf("the reader has %d notes", n)
	}
	if ok, _ := a.has(own); ok {
		t.Error("its change was taken")
	}
}

// A document that the other end lacks, and may not be given, is told of at once.
func TestWhoMayOnlyReadIsToldOfANewDocumentToo(t *testing.T) {
	issuer := accesstest.NewIssuer(t)
	ada, ben := newPeer(t), newPeer(t)
	l := listen(t, ada, ListenOptions{Access: issuer.Verifier})
	d := create(t, ben)
	do(t, d, note("mine"))
	remote := Remote{URL: l.URL(), Token: issuer.Token("ben", accesstest.Reads(d.ID()))}
	all, err := outcomes(t, ben, remote)
	if res := all[d.ID()]; !errors.Is(err, ErrNotSynced) || !errors.Is(res.Err, ErrReadOnly) {
		t.Errorf("%v, %+v", err, all)
	}
}
