package peer

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/digest"
	"syncline/crdt/id"
	"syncline/relay/wire"
	"syncline/relay/wire/socket"
	"syncline/storage"
)

// pair is two stepped peers on a line that the test carries, with one clock.
type pair struct {
	t     *testing.T
	now   time.Time
	a, b  *Stepped
	atA   *SteppedConn
	atB   *SteppedConn
	toA   lane
	toB   lane
	told  []*wire.Digest // that went over the line, and to whom
	lying func(digest.Sum) digest.Sum

	turned bool // b speaks first
}

// lane is a transport that keeps what is sent.
type lane struct {
	ctx    context.Context
	frames [][]byte
	then   []func()
}

func (l *lane) Context() context.Context { return l.ctx }

func (l *lane) Send(frame []byte, then func()) {
	l.frames = append(l.frames, bytes.Clone(frame))
	if then != nil {
		l.then = append(l.then, then)
	}
}

func (l *lane) Close(wire.CloseCode, string) bool { return false }

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, now: time.Unix(1_700_000_000, 0), lying: func(s digest.Sum) digest.Sum { return s }}
	open := func(name string, remotes []Remote, dialed *[]*SteppedLink) *Stepped {
		store, err := storage.Open(bounded(t), filepath.Join(t.TempDir(), name), storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Now: func() time.Time { return p.now }, Remotes: remotes, Rand: func() float64 { return 0.5 }}
		if name == "b" {
			o.onDigest = func(s digest.Sum) digest.Sum { return p.lying(s) }
		}
		s, err := OpenStepped(bounded(t), store, o, Steps{
			PeerID: name, Secret: bytes.Repeat([]byte(name), 32), Mint: crdt.MintActor, Ready: func() {},
			After: func(time.Duration, func()) {}, Dial: func(k *SteppedLink) { *dialed = append(*dialed, k) },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s.Release()
			store.Close()
		})
		return s
	}
	var dialed []*SteppedLink
	p.a = open("a", nil, &dialed)
	p.b = open("b", []Remote{{URL: "ws://a", Peer: true}}, &dialed)
	for p.b.Step() {
	}
	if len(dialed) != 1 {
		t.Fatalf("%d remotes are dialled", len(dialed))
	}
	p.toA.ctx, p.toB.ctx = t.Context(), t.Context()
	p.atA = p.a.Accept(&p.toB, wire.Remote{PeerID: "b", Metadata: p.b.metadata()}, true)
	p.atB = dialed[0].Connected(&p.toA, wire.Remote{PeerID: "a", Metadata: p.a.metadata()})
	p.pump()
	return p
}

// pump carries everything until nothing is left to do.
func (p *pair) pump() {
	p.t.Helper()
	for busy := true; busy; {
		busy = p.a.Step() || p.b.Step()
		for _, way := range []struct {
			from *lane
			to   *SteppedConn
		}{{&p.toA, p.atA}, {&p.toB, p.atB}} {
			frames, then := way.from.frames, way.from.then
			way.from.frames, way.from.then = nil, nil
			for _, fn := range then {
				fn()
			}
			for _, f := range frames {
				busy = true
				m, err := wire.Decode(f)
				if err != nil {
					p.t.Fatal(err)
				}
				if d, ok := m.(*wire.Digest); ok {
					p.told = append(p.told, d)
				}
				way.to.Receive(f)
			}
		}
	}
}

// rest lets time pass with nothing happening but comparisons, and returns the digests
// that were told.
func (p *pair) rest(d time.Duration) []*wire.Digest {
	p.t.Helper()
	p.told = nil
	for until := p.now.Add(d); p.now.Before(until); p.now = p.now.Add(100 * time.Millisecond) {
		first, second := p.a, p.b
		if p.turned {
			first, second = second, first
		}
		first.Compare()
		p.pump()
		second.Compare()
		p.pump()
	}
	return p.told
}

func (p *pair) document() (at *Document, there *Document) {
	p.t.Helper()
	d := create(p.t, p.a.Peer)
	p.edit(d, "first")
	if err := p.b.desks.post(bounded(p.t), d.ID(), attach{p.atB.c}, 0); err != nil {
		p.t.Fatal(err)
	}
	p.a.desks.post(bounded(p.t), d.ID(), look{}, 0)
	p.b.mu.Lock()
	p.b.wanted[d.ID()] = struct{}{}
	p.b.mu.Unlock()
	p.atB.c.p.learn(d.ID())
	p.pump()
	return d, &Document{p: p.b.Peer, doc: d.ID()}
}

func (p *pair) edit(d *Document, name string) {
	p.t.Helper()
	do(p.t, d, note(name))
	p.pump()
}

func states(p *Stepped) int64 { return p.Counters().Divergences[DivergedState] }

func TestEndsCompareADocumentOnceItRests(t *testing.T) {
	p := newPair(t)
	d, there := p.document()
	jsonOf(t, there) // both have it open
	p.edit(d, "second")
	if told := p.rest(compareAfter - time.Second); len(told) > 0 {
		t.Fatalf("after four seconds %d digests were told", len(told))
	}
	for range 20 { // somebody types on
		p.edit(d, name(int(p.now.Unix())))
		if told := p.rest(time.Second); len(told) > 0 {
			t.Fatalf("%d digests were told while somebody types", len(told))
		}
	}
	told := p.rest(compareAfter + time.Second)
	if len(told) != 2 || told[0].SenderID == told[1].SenderID || told[0].Sum != told[1].Sum || !slices.Equal(told[0].Heads, headsOf(t, d)) {
		t.Fatalf("at rest these were told: %+v", told)
	}
	if told := p.rest(10 * compareEvery); len(told) > 0 {
		t.Errorf("%d digests were told again", len(told))
	}
	p.a.rests.stir(d.ID(), p.now) // something happens that leaves the heads as they are
	p.b.rests.stir(d.ID(), p.now)
	if told := p.rest(2 * compareEvery); len(told) > 0 {
		t.Errorf("%d digests were told again of the same heads", len(told))
	}
	// Not more often than once a minute.
	p.edit(d, "third")
	first := p.rest(2 * compareAfter)
	p.edit(d, "fourth")
	if second := p.rest(compareEvery / 2); len(first) != 2 || len(second) != 0 {
		t.Errorf("%d digests were told, and %d half a minute later", len(first), len(second))
	}
	if states(p.a)+states(p.b) != 0 {
		t.Error("a mismatch was counted")
	}
}

func TestADocumentThatIsNotOpenIsNotComparedForThat(t *testing.T) {
	p := newPair(t)
	d, there := p.document()
	p.edit(d, "second")
	if told := p.rest(2 * compareEvery); len(told) != 1 || told[0].SenderID != "a" {
		t.Fatalf("told were %+v, want that of the end that has it open", told)
	}
	if n := p.b.cache.Len(); n != 0 {
		t.Errorf("%d documents were opened", n)
	}
	jsonOf(t, there)
	p.edit(d, "third")
	if told := p.rest(2 * compareEvery); len(told) != 2 {
		t.Errorf("%d digests were told of a document that both have open", len(told))
	}
}

func TestAnEndThatReadsWronglyFindsOutAndLoadsAnew(t *testing.T) {
	// Who speaks second hears of it; if that is the one that is right, it says so.
	t.Run("told by the other", func(t *testing.T) { readsWrongly(t, false) })
	t.Run("telling the other", func(t *testing.T) { readsWrongly(t, true) })
}

func readsWrongly(t *testing.T, turned bool) {
	p := newPair(t)
	p.turned = turned
	d, there := p.document()
	jsonOf(t, there)
	p.lying = func(s digest.Sum) digest.Sum { s[0]++; return s } // what b has in memory is wrong
	p.edit(d, "second")
	p.rest(compareAfter + time.Second)
	st, err := p.b.Status(bounded(t))
	if err != nil || len(st.Mismatches) != 1 || st.Counters.Divergences[DivergedState] != 1 {
		t.Fatalf("%+v, %v", st.Mismatches, err)
	}
	m := st.Mismatches[0]
	if m.Verdict != VerdictRebuilt || m.Document != d.ID() || m.Ours == m.Theirs || len(m.Ours) != 64 || len(m.Theirs) != 64 || m.Time.IsZero() || m.Peer != "a" || !slices.Equal(m.Heads, headsOf(t, d)) {
		t.Errorf("%+v", m)
	}
	// The other counts it if it was told of what is wrong, and forgets it as soon as
	// it is told of what is right.
	want := int64(0)
	if turned {
		want = 1
	}
	if n := states(p.a); n != want || len(p.a.mismatches.all()) > 0 {
		t.Errorf("the end that is right counted %d, want %d, and keeps %+v", n, want, p.a.mismatches.all())
	}
	if n := p.b.cache.Len(); n != 0 {
		t.Error("what was wrong is still in memory")
	}
	// Having told each other of what is right, they agree, and it is forgotten.
	p.lying = func(s digest.Sum) digest.Sum { return s }
	jsonOf(t, there)
	p.edit(d, "third")
	p.rest(2 * compareEvery)
	for _, s := range []*Stepped{p.a, p.b} {
		if got := s.mismatches.all(); len(got) > 0 || states(s) > 1 {
			t.Errorf("%s: %+v, %d counted", s.self, got, states(s))
		}
	}
}

func TestMadeUpDigestsCostLittle(t *testing.T) {
	p := newPair(t)
	d, _ := p.document()
	heads := headsOf(t, d)
	say := func(heads []id.Hash, sum byte, doc id.Document) {
		frame, err := wire.Encode(&wire.Digest{Route: wire.Route{SenderID: "b", TargetID: "a"}, Document: doc, Heads: heads, Sum: [wire.DigestSize]byte{sum}})
		if err != nil {
			t.Fatal(err)
		}
		p.atA.Receive(frame)
		p.pump()
	}
	say([]id.Hash{{1}}, 1, d.ID())
	say(heads, 1, id.NewDocument())
	if states(p.a) != 0 {
		t.Error("a digest of other heads, or another document, was counted")
	}
	for i := range 100 {
		say(heads, byte(i), d.ID())
	}
	if n := states(p.a); n != maxDiffer {
		t.Errorf("%d mismatches counted of a hundred made up ones, want %d", n, maxDiffer)
	}
	if m := p.a.mismatches.all(); len(m) != 1 || m[0].Verdict != VerdictSound {
		t.Errorf("%+v", m)
	}
	n := 0
	for i := range 100 { // at new heads in turn, as fast as they come
		p.edit(d, name(i))
		before := p.a.desks.get(d.ID()).compared.loaded
		say(headsOf(t, d), 7, d.ID())
		if p.a.desks.get(d.ID()).compared.loaded != before {
			n++
		}
	}
	if n > 0 {
		t.Errorf("the document was loaded anew %d times within a minute", n)
	}
	// The line was not closed for any of it.
	p.edit(d, "last")
	if p.toB.ctx.Err() != nil {
		t.Error("the connection has ended")
	}
	p.atA.Ended(socket.Ending{}, nil)
}

func TestRestsShareTheTime(t *testing.T) {
	now := time.Unix(0, 0)
	r := newRests(compareAfter, compareEvery)
	doc := func(i byte) id.Document { return id.Document{i} }
	for i := range byte(3) {
		r.stir(doc(i), now)
	}
	if docs, wait := r.take(now); len(docs) > 0 || wait != compareAfter {
		t.Fatalf("at once %v, then in %v", docs, wait)
	}
	now = now.Add(compareAfter)
	if docs, wait := r.take(now); !slices.Equal(docs, []id.Document{doc(0), doc(1), doc(2)}) || wait != 0 {
		t.Fatalf("then %v, then in %v", docs, wait)
	}
	if !r.afford(doc(0), now) {
		t.Fatal("there is no time for the first")
	}
	r.spent(doc(0), now, 20*time.Millisecond)
	if r.afford(doc(1), now) || r.afford(doc(2), now) {
		t.Fatal("there is time for all at once")
	}
	docs, wait := r.take(now)
	if len(docs) > 0 || wait != 20*time.Millisecond*(compareShare-1) {
		t.Fatalf("after one that took 20 ms %v, then in %v", docs, wait)
	}
	now = now.Add(wait)
	if docs, _ = r.take(now); !slices.Equal(docs, []id.Document{doc(1), doc(2)}) || !r.afford(doc(1), now) {
		t.Fatalf("when there is time again %v", docs)
	}
	r.stir(doc(0), now)
	if docs, wait = r.take(now.Add(10 * time.Second)); len(docs) > 0 || wait > compareEvery || wait < 40*time.Second {
		t.Errorf("one that was compared lately: %v, then in %v", docs, wait)
	}
	if docs, wait = r.take(now.Add(time.Hour)); len(docs) != 1 || wait != 0 || len(r.last) > 0 {
		t.Errorf("in the end %v, then in %v, remembered %d", docs, wait, len(r.last))
	}
	never := newRests(-1, compareEvery)
	never.stir(doc(1), now)
	if docs, wait := never.take(now.Add(time.Hour)); len(docs) > 0 || wait != 0 {
		t.Errorf("never: %v, %v", docs, wait)
	}
}

func TestPeersBehindARelayCompareToo(t *testing.T) {
	r := serveRelay(t)
	o := remotes(testOptions(), r.url)
	// Time passes when the test says so: nothing is compared before both have the
	// document open and at rest, and no digest takes any of what there is for them.
	var passed atomic.Int64
	o.Now = func() time.Time { return time.Unix(1_700_000_000, 0).Add(time.Duration(passed.Load())) }
	o.CompareAfter = 20 * time.Millisecond
	a := openPeer(t, filepath.Join(t.TempDir(), "a.db"), o)
	o.onDigest = func(s digest.Sum) digest.Sum { s[0]++; return s }
	b := openPeer(t, filepath.Join(t.TempDir(), "b.db"), o)
	run(t, a)
	run(t, b)
	d := create(t, a)
	do(t, d, note("first"))
	there := fetch(t, b, d.ID())
	converge(t, d, there)
	docs := []*Document{d, there}
	until(t, "both are in step with the relay", docs, func() bool {
		up := 0
		for _, c := range append(a.connections(), b.connections()...) {
			if c.standings([]id.Document{d.ID()})[0].now == standingSynced {
				up++
			}
		}
		return up == 2
	})
	for _, d := range docs { // each has done what came of that
		if err := d.p.ask(bounded(t), d.ID(), func(*desk) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	passed.Add(int64(time.Second))
	until(t, "the one that is wrong has found out", docs, func() bool { return len(b.mismatches.all()) > 0 })
	if m := b.mismatches.all()[0]; m.Verdict != VerdictRebuilt || m.Document != d.ID() {
		t.Errorf("%+v", m)
	}
}
