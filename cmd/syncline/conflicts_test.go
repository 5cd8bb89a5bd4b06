package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"syncline/peer/resolve"
)

const shopSchema = `{"schema": 1, "id": "org.example.shop", "version": 1, "collections": {"orders": {"fields": {
	"best": {"type": "number", "merge": "max"}, "note": {"type": "text"}}}}}`

// twoWriters returns two files in which one order was written apart, and a relay at which
// each of them has been since.
func twoWriters(t *testing.T) (one, two, doc, url, schema string) {
	t.Helper()
	dir := t.TempDir()
	_, url = startRelay(t, filepath.Join(dir, "relay"), "127.0.0.1:0")
	one, doc = newStore(t)
	two = filepath.Join(dir, "two.db")
	schema = filepath.Join(dir, "shop.json")
	write(t, schema, []byte(shopSchema))
	op(t, one, doc, "create", "orders", "o1", `{"best": 0, "note": ""}`)
	sync := func(db string) { done(t, "sync", "--db", db, "--to", url, "--doc", doc, "--once") }
	sync(one)
	sync(two)
	op(t, one, doc, "update", "orders", "o1", `{"best": 7, "note": "from one"}`)
	op(t, two, doc, "update", "orders", "o1", `{"best": 9, "note": "from two"}`)
	sync(one)
	sync(two)
	sync(one)
	return one, two, doc, url, schema
}

func TestConflictsOfAFile(t *testing.T) {
	db, _, doc, _, schema := twoWriters(t)
	if got := strings.Count(done(t, "conflicts", "list", "--db", db), "\n") + 1; got != 2 {
		t.Errorf("without a schema %d conflicts are listed", got)
	}
	line := done(t, "conflicts", "list", "--db", db, "--schema", schema)
	f := strings.Split(line, "\t")
	if len(f) != 4 || f[1] != "orders/o1/note" || f[2] != "no-rule" || "automerge:"+f[3] != doc {
		t.Fatalf("%q", line)
	}
	var d resolve.Detail
	if err := json.Unmarshal([]byte(done(t, "conflicts", "show", "--json", "--db", db, f[0])), &d); err != nil || len(d.Values) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	shown := done(t, "conflicts", "show", "--db", db, f[0])
	if !strings.HasPrefix(shown, "orders/o1/note\n  of "+doc+"\n  no rule") || !strings.Contains(shown, `"from one"`) {
		t.Errorf("shown as\n%s", shown)
	}
	refused(t, 2, []string{"N, or --merged"}, "conflicts", "settle", "--db", db, f[0])
	refused(t, 2, []string{"N, or --merged"}, "conflicts", "settle", "--db", db, f[0], "1", "--merged")
	refused(t, 2, []string{`"x" for N`}, "conflicts", "settle", "--db", db, f[0], "x")
	refused(t, 2, []string{"--value"}, "conflicts", "settle", "--db", db, f[0], "--value", "paid")
	refused(t, 2, []string{"--db", "--at"}, "conflicts", "list")
	refused(t, 2, []string{`"lst"`}, "conflicts", "lst")
	refused(t, 1, []string{"no value 3"}, "conflicts", "settle", "--db", db, f[0], "3")
	refused(t, 1, []string{"no conflict of this id", "conflicts list"}, "conflicts", "show", "--db", db, "abc")
	done(t, "conflicts", "settle", "--db", db, f[0], "1")
	refused(t, 1, []string{"no conflict of this id"}, "conflicts", "settle", "--db", db, f[0], "--merged")
	want := "from one"
	if string(d.Values[0].Value) != `"from one"` {
		want = "from two"
	}
	if got := done(t, "doc", "show", "--db", db, doc); !strings.Contains(got, want) {
		t.Errorf("%s was chosen, and there is %s", want, got)
	}
	if got := done(t, "conflicts", "list", "--db", db, "--schema", schema); got != "" {
		t.Errorf("left: %s", got)
	}
}

// A peer settles by rule, tells a webhook of the rest and answers for it.
func TestAPeerThatResolves(t *testing.T) {
	db, _, doc, url, schema := twoWriters(t)
	told := make(chan string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.Header.Get("Syncline-Signature") }))
	defer hook.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, []byte("0123456789abcdef\n"))
	for _, name := range []string{"RESOLVE=true", "SCHEMA=" + schema, "REST=1ms", "RESOLVE_LISTEN=127.0.0.1:0", "WEBHOOK=" + hook.URL, "WEBHOOK_SECRET_FILE=" + secret} {
		key, value, _ := strings.Cut(name, "=")
		t.Setenv("SYNCLINE_"+key, value)
	}
	p := start(t, "peer", "--db", db, "--to", url)
	at := p.await(`conflicts are listed.*url=(http://\S+)`)[1]
	p.await("conflicts settled by rule")
	p.drain()
	if sig := <-told; !strings.HasPrefix(sig, "t=") {
		t.Errorf("signed %q", sig)
	}
	f := strings.Split(done(t, "conflicts", "list", "--at", at), "\t")
	if len(f) != 4 || f[1] != "orders/o1/note" {
		t.Fatalf("%q", f)
	}
	done(t, "conflicts", "show", "--at", at, f[0])
	done(t, "conflicts", "settle", "--at", at, f[0], "--value", `"both"`)
	if got := done(t, "doc", "show", "--db", db, doc); !strings.Contains(got, "both") || !strings.Contains(compact(got), `"best":9`) {
		t.Errorf("there is %s", got)
	}
	for status := ""; !strings.Contains(status, `"conflicts":{"unsettled":0,"due":0,"held":0}`) || !strings.Contains(status, `"conflictsSettledByPerson":1`); {
		status = compact(done(t, "status", "--json", "--db", db)) // it is said within about a second
	}
	refused(t, 1, []string{"no conflict of this id"}, "conflicts", "show", "--at", at, f[0])
	refused(t, 1, []string{"resolver"}, "conflicts", "list", "--at", strings.Replace(url, "ws", "http", 1))
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestFlagsOfAPeerThatResolves(t *testing.T) {
	db, _ := newStore(t)
	for _, c := range []struct {
		words string
		args  []string
	}{
		{"--resolve too", []string{"--to", "ws://127.0.0.1:1", "--webhook", "http://h/"}},
		{"needs a secret", []string{"--resolve", "--webhook", "http://h/"}},
		{"16", []string{"--resolve", "--webhook", "http://h/", "--webhook-secret", "short"}},
		{"both given", []string{"--resolve", "--webhook", "http://h/", "--webhook-secret", "a", "--webhook-secret-file", "b"}},
		{"the address", []string{"--resolve", "--webhook", "ftp://h/", "--webhook-secret", "0123456789abcdef"}},
		{"above zero", []string{"--resolve", "--rest", "0s"}},
	} {
		refused(t, 2, []string{c.words}, append([]string{"peer", "--db", db}, c.args...)...)
	}
	refused(t, 1, []string{"nothing says who may settle", "--access-keys"}, "peer", "--db", db, "--log-level", "error", "--resolve", "--resolve-listen", "0.0.0.0:0")
	refused(t, 1, []string{"no such file"}, "peer", "--db", db, "--resolve", "--schema", filepath.Join(t.TempDir(), "none.json"))
}
