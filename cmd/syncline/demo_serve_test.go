package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// Somebody who takes part natively, as a browser would, sees the guest's workspace,
// and the guest answers.
func TestTheServedDemoTakesPart(t *testing.T) {
	v := start(t, "demo", "--serve", "127.0.0.1:0", "--pace", "1h")
	m := v.await(`http://(\S+)/#(\w+)$`)
	addr, doc := m[1], m[2]
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), `src="/app.js"`) || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page is another one: %s\n%.200s", resp.Status, page)
	}
	db := filepath.Join(t.TempDir(), "ada.db")
	sync := []string{"sync", "--db", db, "--to", "ws://" + addr, "--doc", doc, "--once"}
	done(t, sync...)
	op(t, db, doc, "create", "people", "ada", `{"name": "Ada\u001b[31m"}`)
	op(t, db, doc, "create", "todos", "rope", `{"title": "A rope"}`)
	op(t, db, doc, "update", "notes", "shared", `{"body": "one two three"}`)
	op(t, db, doc, "increment", "inventory", "gas", "count", "1")
	done(t, sync...)
	v.await(`Somebody +create people/ada`)
	v.await(`create todos/rope`)
	v.await(`Otto answers +create todos/otto-1`)
	v.drain()
	// The answer is said when it is on the guest's disk; it comes by the relay.
	for shown := ""; !strings.Contains(shown, "Help with “A rope”") || !strings.Contains(shown, "Read the notes: 3 words now"); shown = done(t, "doc", "show", "--db", db, doc) {
		if t.Context().Err() != nil {
			t.Fatalf("the answer has not come:\n%s", shown)
		}
		done(t, sync...)
	}
	if code := v.stop(); code != 0 {
		t.Errorf("exit code %d after an interrupt", code)
	}
}

func TestTheGuestGoesOnByItself(t *testing.T) {
	v := start(t, "demo", "--serve", "127.0.0.1:0", "--pace", "1ms")
	for range 12 {
		v.await(`Otto goes on +(update|increment) inventory/\w+`)
	}
	v.drain()
	if code := v.stop(); code != 0 {
		t.Errorf("exit code %d after an interrupt", code)
	}
}

func TestTheServedDemoIsForThisMachineAlone(t *testing.T) {
	refused(t, 1, []string{"others can reach", "127.0.0.1"}, "demo", "--serve", ":0")
	refused(t, 1, []string{"no address", "--serve"}, "demo", "--serve", "here")
	refused(t, 1, []string{"--pace"}, "demo", "--serve", "127.0.0.1:0", "--pace", "0s")
}

// Without a page the relay says in a line what it is.
func TestARelayServesThePageUnlessItIsToldNotTo(t *testing.T) {
	for flag, want := range map[string]string{"--page": "<title>Syncline workspace</title>", "--page=false": "This is a Syncline relay"} {
		v := start(t, "relay", "--data", t.TempDir(), "--listen", "127.0.0.1:0", flag)
		at := strings.Replace(v.await(`url=(ws://\S+)`)[1], "ws", "http", 1)
		v.drain()
		resp, err := http.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: no %q (%v) in\n%.300s", flag, want, err, body)
		}
		v.stop()
	}
}
