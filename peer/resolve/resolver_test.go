package resolve

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"syncline/crdt"
	"syncline/crdt/schema"
	"syncline/peer"
)

// settles counts the changes that settle.
func settles(t testing.TB, d *peer.Document) (n int) {
	t.Helper()
	all, err := d.History(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Intent, string(crdt.VerbSettle)) {
			n++
		}
	}
	return n
}

func plain(t testing.TB, d *peer.Document) string {
	t.Helper()
	e, err := d.Entity(bounded(t), "orders", "o1")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(e["state"], " ", e["best"])
}

// Two resolvers beside two relays, which a third peer joins, settle one conflict: it is
// settled, by either or by both, once each, and what no rule decides is left and counted.
func TestTwoResolversBesideTwoRelays(t *testing.T) {
	s := orders(t, 1)
	one, two := serveRelay(t), serveRelay(t)
	a, b, p, q := forked(t, s, one, two)
	first, second := newResolver(t, p, Options{}), newResolver(t, q, Options{})
	going(t, first.Run)
	going(t, second.Run)
	bridge := openPeer(t, nil, one, two)
	going(t, bridge.Run)
	if _, err := bridge.Fetch(bounded(t), a.ID()); err != nil {
		t.Fatal(err)
	}
	peers, docs := []*peer.Peer{p, q}, []*peer.Document{a, b}
	until(t, "the rules' conflicts are settled at both", peers, docs, func() bool {
		for _, d := range docs { // each may go on while the other is looked at
			if r, err := d.ReadConflicts(bounded(t), peer.ConflictQuery{}); err != nil || plain(t, d) != "paid 9" || len(r.Conflicts) != 1 {
				return false
			}
		}
		return sameHeads(t, a, b)
	})
	if n := settles(t, a); n < 1 || n > 4 {
		t.Errorf("two conflicts were settled in %d changes by two resolvers", n)
	}
	counted := func(p *peer.Peer) bool { r := p.Resolving(); return r != nil && r.Unsettled == 1 && r.Due == 0 }
	until(t, "one is left and counted, by both", peers, docs, func() bool { return counted(p) && counted(q) })
	if n := p.Counters().SettledByRule + q.Counters().SettledByRule; n < 2 || n > 4 {
		t.Errorf("%d conflicts were counted as settled", n)
	}
	st, err := p.Status(bounded(t))
	if err != nil || st.Resolving == nil || st.Resolving.Unsettled != 1 {
		t.Errorf("%+v, %v", st.Resolving, err)
	}
}

// joined are two peers of one relay, of which both know all.
func joined(t testing.TB, s *schema.Schema) (a *peer.Document, p *peer.Peer) {
	t.Helper()
	url := serveRelay(t)
	a, b, p, q := forked(t, s, url, url)
	until(t, "both know all", []*peer.Peer{p, q}, []*peer.Document{a, b}, func() bool { return sameHeads(t, a, b) })
	return a, p
}

// Without a schema all is listed, and nothing is written.
func TestWithoutASchemaAllIsListed(t *testing.T) {
	a, p := joined(t, nil)
	was := heads(t, a)
	going(t, newResolver(t, p, Options{}).Run)
	until(t, "all are counted", only(p), only(a), func() bool { r := p.Resolving(); return r != nil && r.Unsettled == 3 })
	if now := heads(t, a); fmt.Sprint(now) != fmt.Sprint(was) {
		t.Error("something was written")
	}
}

// A document that bears the mark of a newer version is held, and that is said.
func TestANewerSchemaHoldsADocument(t *testing.T) {
	a, p := joined(t, orders(t, 1))
	newer := orders(t, 2).Mark()
	saved, err := a.Save(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	app, err := crdt.Load("app", saved)
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	_, err = app.Do(time.Unix(1_700_000_000, 0), crdt.Update(schema.Reserved, newer.Entity, map[string]any{newer.Field: newer.Value}))
	if err == nil {
		saved, err = app.Save()
	}
	if err == nil {
		_, err = p.Import(bounded(t), a.ID(), saved)
	}
	if err != nil {
		t.Fatal(err)
	}
	until(t, "it has come to the other", only(p), only(a), func() bool { return len(heads(t, a)) == 1 && heads(t, a)[0] == app.Heads()[0] })
	was := heads(t, a)
	r := newResolver(t, p, Options{})
	going(t, r.Run)
	until(t, "it is held", only(p), only(a), func() bool { c := p.Resolving(); return c != nil && c.Held == 1 && c.Due == 2 })
	if now := heads(t, a); fmt.Sprint(now) != fmt.Sprint(was) {
		t.Error("something was written")
	}
}

func conflict(name, e string, losers ...crdt.OpID) peer.Conflict {
	c := peer.Conflict{ID: name, Collection: "c", Entity: e, Losers: losers}
	if losers == nil {
		c.Reason = "no-rule"
	}
	return c
}

func reading(touched string, all ...peer.Conflict) (r peer.ConflictReading) {
	r.Read.Entities = map[string]map[string]struct{}{"c": {touched: {}}}
	r.Conflicts = all
	return r
}

// The book waits until a conflict has had the same values for a while.
func TestTheBookWaitsForRest(t *testing.T) {
	b := newBook(10 * time.Second)
	at := func(s int) time.Time { return time.Unix(int64(1000+s), 0) }
	loser := crdt.OpID{Counter: 1, Actor: "x"}
	due := func(s int) string {
		all, next := b.due(at(s))
		var names []string
		for _, list := range all {
			for _, c := range list {
				names = append(names, c.ID)
			}
		}
		wait := "-"
		if !next.IsZero() {
			wait = fmt.Sprint(next.Sub(at(0)))
		}
		return strings.Join(names, ",") + " " + wait
	}
	doc := conflict("", "").Document
	is := func(s int, want string) {
		t.Helper()
		if got := due(s); got != want {
			t.Errorf("after %d s: %q, want %q", s, got, want)
		}
	}
	b.update(doc, reading("e", conflict("a", "e", loser), conflict("p", "e")), at(0))
	is(9, " 10s")
	is(10, "a -")
	b.update(doc, reading("e", conflict("a", "e", loser), conflict("p", "e")), at(5)) // the same values
	is(10, "a -")
	b.update(doc, reading("e", conflict("b", "e", loser), conflict("p", "e")), at(8)) // another value
	is(10, " 18s")
	b.update(doc, reading("f", conflict("g", "f", loser)), at(9)) // another entity
	is(20, "b,g -")
	b.put(doc, at(20))
	is(29, " 30s")

	if got, _ := b.untold(at(9), 5); len(got) != 0 {
		t.Errorf("told before it was at rest: %v", got)
	}
	list, _ := b.untold(at(10), 5)
	if len(list) != 1 || list[0].ID != "p" {
		t.Fatalf("to be told: %v", list)
	}
	b.tell(list)
	b.update(doc, reading("e", conflict("p", "e")), at(11))
	if got, _ := b.untold(at(99), 5); len(got) != 0 {
		t.Errorf("told twice: %v", got)
	}
	if got := b.counts(); got != (peer.Resolving{Unsettled: 1, Due: 1}) {
		t.Errorf("%+v", got)
	}
	b.update(doc, reading("e"), at(12))
	if got := b.counts(); got != (peer.Resolving{Due: 1}) {
		t.Errorf("%+v", got)
	}
	if page, more := b.list("", 1); len(page) != 0 || more {
		t.Errorf("listed: %v", page)
	}
}
