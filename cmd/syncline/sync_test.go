package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"syncline/crdt/id"
	"syncline/peer"
)

// sameHeads fails unless two stores have the same document.
func sameHeads(t *testing.T, doc string, dbs ...string) {
	t.Helper()
	heads, content := done(t, "doc", "heads", "--db", dbs[0], doc), done(t, "doc", "show", "--db", dbs[0], doc)
	for _, db := range dbs[1:] {
		if got := done(t, "doc", "heads", "--db", db, doc); got != heads {
			t.Errorf("%s has the heads\n%s\nand %s\n%s", dbs[0], heads, db, got)
		}
		if got := done(t, "doc", "show", "--db", db, doc); got != content {
			t.Errorf("%s has\n%s\nand %s\n%s", dbs[0], content, db, got)
		}
	}
}

// line matches a line of the summary.
func line(doc, state string, changes, heads int, url string) string {
	return fmt.Sprintf("%s\t%s\t%d\t%d\t%s", doc, state, changes, heads, url)
}

func TestStoresEditedApartConvergeThroughARelayThatWasAway(t *testing.T) {
	dir := t.TempDir()
	a, b, c, data := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db"), filepath.Join(dir, "c.db"), filepath.Join(dir, "relay")
	relay, url := startRelay(t, data, ownAddress())
	addr := strings.TrimPrefix(url, "ws://")

	doc := done(t, "doc", "new", "--db", a)
	op(t, a, doc, "create", "items", "milk", `{"text":"Milk","count":{"$counter":1}}`)
	if got := done(t, "sync", "--db", a, "--to", url, "--once"); got != line(doc, "synced", 1, 1, url) {
		t.Errorf("summary: %q", got)
	}
	done(t, "sync", "--db", b, "--to", url, "--once", "--doc", doc)
	sameHeads(t, doc, a, b)

	// Apart, and the relay is away.
	op(t, a, doc, "splice", "items", "milk", "text", "4", "0", " and tea")
	op(t, b, doc, "increment", "items", "milk", "count", "2")
	op(t, b, doc, "create", "items", "bread", `{}`)
	relay.stop()
	for _, db := range []string{a, b} {
		heads := done(t, "doc", "heads", "--db", db, doc)
		refused(t, 1, []string{url, "nothing listens there"}, "sync", "--db", db, "--to", url, "--once")
		if got := done(t, "doc", "heads", "--db", db, doc); got != heads {
			t.Errorf("heads were %s and are %s", heads, got)
		}
	}
	_, out, _ := cli(t, "sync", "--db", a, "--to", url, "--once")
	if want := line(doc, "pending", 2, 1, url) + "\n"; out != want {
		t.Errorf("summary %q, want %q", out, want)
	}

	startRelay(t, data, addr)
	if got := done(t, "sync", "--db", a, "--to", url, "--once"); got != line(doc, "synced", 2, 1, url) {
		t.Errorf("summary: %q", got)
	}
	if got := done(t, "sync", "--db", b, "--to", url, "--once"); got != line(doc, "synced", 4, 2, url) {
		t.Errorf("summary: %q", got)
	}
	done(t, "sync", "--db", a, "--to", url, "--once")
	done(t, "sync", "--db", c, "--to", url, "--once", "--doc", doc)
	sameHeads(t, doc, a, b, c)
	if got := compact(done(t, "doc", "show", "--db", c, doc)); got != `{"items":{"bread":{},"milk":{"count":3,"text":"Milkandtea"}}}` {
		t.Error(got)
	}
}

func TestSyncWithTwoRelaysBringsWhatEachLacks(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db"), filepath.Join(dir, "c.db")
	_, one := startRelay(t, filepath.Join(dir, "one"), "127.0.0.1:0")
	_, two := startRelay(t, filepath.Join(dir, "two"), "127.0.0.1:0")
	doc := done(t, "doc", "new", "--db", a)
	op(t, a, doc, "create", "items", "milk", `{}`)
	done(t, "sync", "--db", a, "--to", two, "--once")
	done(t, "sync", "--db", b, "--to", one, "--to", two, "--doc", doc, "--once")
	done(t, "sync", "--db", c, "--to", one, "--doc", doc, "--once")
	sameHeads(t, doc, a, b, c)

	t.Setenv("SYNCLINE_TO", one+",ws://127.0.0.1:1,"+two)
	code, out, errs := cli(t, "sync", "--db", a, "--once")
	want := line(doc, "synced", 1, 1, one) + "\n" + line(doc, "pending", 1, 1, "ws://127.0.0.1:1") + "\n" + line(doc, "synced", 1, 1, two) + "\n"
	if code != 1 || out != want || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "ws://127.0.0.1:1: nothing listens") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestSyncOfDocumentsThatNobodyHas(t *testing.T) {
	dir := t.TempDir()
	a := filepath.Join(dir, "a.db")
	_, url := startRelay(t, filepath.Join(dir, "relay"), "127.0.0.1:0")
	doc := done(t, "doc", "new", "--db", a)
	if got := done(t, "sync", "--db", a, "--to", url, "--once"); got != line(doc, "empty", 0, 0, url) {
		t.Errorf("summary: %q", got)
	}
	unknown := id.NewDocument().URL()
	refused(t, 1, []string{"1 of 1", unknown, "neither"}, "sync", "--db", a, "--to", url, "--once", "--doc", unknown)
}

func TestSyncRefusesWhatItDoesNotUnderstand(t *testing.T) {
	db, doc := newStore(t)
	for _, tt := range []struct {
		args  []string
		words []string
	}{
		{[]string{"sync"}, []string{"--to URL"}},
		{[]string{"sync", "--to", "http://127.0.0.1:1"}, []string{"http://127.0.0.1:1", "ws://"}},
		{[]string{"sync", "--to", "ws://"}, []string{"ws://HOST:PORT"}},
		{[]string{"sync", "--to", "127.0.0.1:3030"}, []string{"127.0.0.1:3030", "ws://"}},
		{[]string{"sync", "--to", "ws://127.0.0.1:1", "--doc", "nonsense"}, []string{"nonsense"}},
		{[]string{"sync", "--to", "ws://127.0.0.1:1", "--timeout", "soon"}, []string{"soon", "--timeout"}},
		{[]string{"sync", "--to", "ws://127.0.0.1:1", "--timeout", "0s"}, []string{"--timeout 0s"}},
		{[]string{"sync", "--to", "ws://127.0.0.1:1", doc}, []string{doc, "too many"}},
		{[]string{"peer"}, []string{"--to URL", "--listen"}},
		{[]string{"peer", "--to", "wss:nothing"}, []string{"wss:nothing"}},
		{[]string{"peer", "--to", "ws://127.0.0.1:1", "more"}, []string{"more"}},
		{[]string{"doc", "list", "--to", "x"}, []string{"--to"}},
	} {
		refused(t, 2, tt.words, append(tt.args, "--db", db)...)
	}
	refused(t, 2, []string{"--db FILE", "SYNCLINE_DB"}, "sync", "--to", "ws://127.0.0.1:1")
	refused(t, 2, []string{"--db FILE"}, "doc", "new")
	refused(t, 2, []string{"shw"}, "doc", "shw")
	refused(t, 2, []string{"DOC is missing"}, "doc", "show", "--db", db)
}

func TestSyncGivesUpOnARelayThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	db, _ := newStore(t)
	refused(t, 1, []string{l.Addr().String(), "no answer in time"}, "sync", "--db", db, "--to", "ws://"+l.Addr().String(), "--once", "--timeout", "50ms")
}

func TestSyncKeepsOnUntilItIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	relay, url := startRelay(t, filepath.Join(dir, "relay"), ownAddress())
	addr := strings.TrimPrefix(url, "ws://")
	relay.stop()
	doc := done(t, "doc", "new", "--db", a)
	op(t, a, doc, "create", "items", "milk", `{"count":{"$counter":1}}`)

	// It begins offline, and finds the relay when that comes.
	v := start(t, "sync", "--db", b, "--to", url, "--doc", doc)
	v.await(`nothing listens there.*still trying`)
	relay, _ = startRelay(t, filepath.Join(dir, "relay"), addr)
	done(t, "sync", "--db", a, "--to", url, "--once")
	v.await(regexp.QuoteMeta(line(doc, "synced", 1, 1, url)))

	// What another verb does in its file goes out, what others do comes in.
	op(t, b, doc, "increment", "items", "milk", "count", "1")
	v.await(regexp.QuoteMeta(line(doc, "synced", 2, 1, url)))
	done(t, "sync", "--db", a, "--to", url, "--once")
	op(t, a, doc, "increment", "items", "milk", "count", "1")
	done(t, "sync", "--db", a, "--to", url, "--once")
	v.await(regexp.QuoteMeta(line(doc, "synced", 3, 1, url)))
	if code := v.stop(); code != 0 {
		t.Errorf("exit code %d with all acknowledged", code)
	}
	sameHeads(t, doc, a, b)

	// With the relay away, not all is acknowledged in the end.
	v = start(t, "sync", "--db", b, "--to", url)
	v.await("synced")
	relay.stop()
	op(t, b, doc, "increment", "items", "milk", "count", "1")
	if code := v.stop(); code != 1 {
		t.Errorf("exit code %d with a change that nobody else has", code)
	}
}

func TestAnOperationWhileAPeerRunsOnTheFileReachesOthers(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	_, url := startRelay(t, filepath.Join(dir, "relay"), "127.0.0.1:0")
	doc := done(t, "doc", "new", "--db", a)
	op(t, a, doc, "create", "items", "milk", `{"count":{"$counter":1}}`)
	running := start(t, "peer", "--db", a, "--to", url)
	running.await(`msg=connected`)
	running.drain()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	other, err := peer.Open(ctx, b, peer.Options{Remotes: []peer.Remote{{URL: url}}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	name, err := id.ParseDocument(doc)
	if err != nil {
		t.Fatal(err)
	}
	there, err := other.Fetch(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- other.Run(ctx) }()
	until := func(hash string) {
		t.Helper()
		for heads, err := range there.Watch(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if len(heads) == 1 && heads[0].String() == hash {
				return
			}
		}
	}
	until(done(t, "doc", "heads", "--db", a, doc))
	until(op(t, a, doc, "increment", "items", "milk", "count", "-3"))
	// A document that the running peer has not heard of.
	second := done(t, "doc", "import", "--db", a, mixed)
	name, err = id.ParseDocument(second)
	if err != nil {
		t.Fatal(err)
	}
	if there, err = other.Fetch(ctx, name); err != nil {
		t.Fatal(err)
	}
	heads := strings.Split(done(t, "doc", "heads", "--db", a, second), "\n")
	for got, err := range there.Watch(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == len(heads) && got[0].String() == heads[0] {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if code := running.stop(); code != 0 {
		t.Errorf("the peer's exit code is %d", code)
	}
}

func TestAPeerThatListensIsSyncedWithByOthers(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	doc := done(t, "doc", "new", "--db", a)
	op(t, a, doc, "create", "items", "milk", `{}`)
	t.Setenv("SYNCLINE_LISTEN_TOKEN", "first,second")
	v := start(t, "peer", "--db", a, "--listen", "127.0.0.1:0")
	url := v.await(`msg="peer is listening" url=(\S+)`)[1]
	v.drain()
	refused(t, 1, []string{url, "token"}, "sync", "--db", b, "--to", url, "--doc", doc, "--once", "--token", "third")
	t.Setenv("SYNCLINE_TOKEN", "second")
	done(t, "sync", "--db", b, "--to", url, "--doc", doc, "--once")
	sameHeads(t, doc, a, b)
	refused(t, 1, []string{"another program has that port"}, "peer", "--db", b, "--listen", strings.TrimPrefix(url, "ws://"))
}

func TestDemoConverges(t *testing.T) {
	out := done(t, "demo")
	for _, want := range []string{"Green Tent for two", `"count":6`, "Three peers converged", "BrowserWebSocketClientAdapter"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for l := range strings.SplitSeq(out, "\n") {
		if len(l) > 80 {
			t.Errorf("wider than 80 columns: %s", l)
		}
	}
}
