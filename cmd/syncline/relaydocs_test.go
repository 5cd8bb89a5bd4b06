package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"syncline/crdt/id"
	"syncline/relay/wire/admin"
	"syncline/storage"
)

// relayStore makes the file of a relay with documents of 1, 2, … changes. The
// oldest change of each is folded.
func relayStore(t *testing.T, documents int) (db string, docs []id.Document) {
	t.Helper()
	db = filepath.Join(t.TempDir(), relayFile)
	s, err := storage.Open(t.Context(), db, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for n := range documents {
		doc := id.Document{1, byte(n >> 8), byte(n)}
		docs = append(docs, doc)
		b := storage.Batch{Heads: map[id.Document][]id.Hash{doc: {{byte(n)}}}}
		for i := range n%3 + 1 {
			b.Entries = append(b.Entries, storage.Entry{Doc: doc, Hash: id.Hash{byte(n), byte(i)}, Body: []byte("body")})
		}
		rows, err := s.Append(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		f := storage.Fold{Segment: storage.Segment{Doc: doc, Kind: 3, Level: 1, FirstRow: rows[0], LastRow: rows[0], Rows: 1}, Body: []byte("bundle")}
		if _, err := s.Fold(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	return db, docs
}

// serveDocuments answers as a relay does on the file, to those with the token.
func serveDocuments(t *testing.T, db, token string) (url string) {
	t.Helper()
	s, err := storage.Open(t.Context(), db, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(w http.ResponseWriter, status int, v any) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+admin.Path, func(w http.ResponseWriter, r *http.Request) {
		var after *id.Document
		if q := r.FormValue("after"); q != "" {
			doc, err := id.ParseDocument(q)
			if err != nil {
				t.Error(err)
			}
			after = &doc
		}
		// Short pages, whatever was asked for.
		found, err := s.DocumentsAfter(r.Context(), after, 2)
		if err != nil {
			t.Error(err)
		}
		answer(w, 200, admin.PageOf(found, 2))
	})
	one := func(fn func(context.Context, id.Document) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			doc, err := id.ParseDocument(r.PathValue("doc"))
			if err != nil {
				t.Error(err)
			}
			v, err := fn(r.Context(), doc)
			if err != nil {
				answer(w, 404, admin.Error{Error: "there is no such document"})
				return
			}
			answer(w, 200, v)
		}
	}
	mux.HandleFunc("GET "+admin.Path+"/{doc}", one(func(ctx context.Context, doc id.Document) (any, error) { return admin.Describe(ctx, s, doc) }))
	mux.HandleFunc("DELETE "+admin.Path+"/{doc}", one(func(ctx context.Context, doc id.Document) (any, error) {
		n, err := s.DeleteDocument(ctx, doc)
		return admin.Deleted{ID: doc.String(), Changes: n}, err
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			answer(w, 401, admin.Error{Error: "no"})
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

func TestDocumentsOfARelayFromItsFileAndFromItself(t *testing.T) {
	db, docs := relayStore(t, 5)
	url := serveDocuments(t, db, "secret")
	file, running := []string{"--db", db}, []string{"--at", url, "--token", "secret"}
	docsVerb := func(from []string, args ...string) string {
		t.Helper()
		return done(t, append(append([]string{"relay", "docs"}, args...), from...)...)
	}
	// Both say the same, in lines and in JSON.
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"show", docs[2].URL()}, {"show", docs[2].String(), "--json"}} {
		if a, b := docsVerb(file, args...), docsVerb(running, args...); a != b {
			t.Errorf("%q: the file says\n%s\nthe relay says\n%s", args, a, b)
		}
	}
	lines := strings.Split(docsVerb(running, "list"), "\n")
	if len(lines) != 5 || lines[2] != docs[2].URL()+"\t3\t1\t12\t2" {
		t.Errorf("listed %q", lines)
	}
	var p admin.Page
	if err := json.Unmarshal([]byte(docsVerb(running, "list", "--json")), &p); err != nil || len(p.Documents) != 5 || p.Next != "" {
		t.Errorf("%d documents, %v", len(p.Documents), err)
	}
	shown := docsVerb(file, "show", docs[1].URL())
	for _, want := range []string{docs[1].URL(), "changes   2, 8 B", "unfolded  1, 4 B", "segments  1, 6 B", "heads     01000000", "in their place"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}

	// The file is open in the relay, which must be asked to delete.
	refused(t, 1, []string{"another program has", "--at URL"}, "relay", "docs", "delete", "--db", db, docs[0].URL())
	if got := docsVerb(running, "delete", docs[0].URL()); got != "deleted "+docs[0].URL()+": 1 change" {
		t.Errorf("printed %q", got)
	}
	refused(t, 1, []string{"no such document"}, "relay", "docs", "delete", "--at", url, "--token", "secret", docs[0].URL())
	refused(t, 1, []string{docs[0].URL(), "is not in", "docs list"}, "relay", "docs", "show", "--db", db, docs[0].URL())
	refused(t, 1, []string{url, "--token", "admin"}, "relay", "docs", "list", "--at", url, "--token", "guess")
	if lines := strings.Split(docsVerb(file, "list"), "\n"); len(lines) != 4 {
		t.Errorf("after the deletion %q are left", lines)
	}
}

func TestDeletingFromAFileThatNobodyHasOpen(t *testing.T) {
	db, docs := relayStore(t, 2)
	var gone admin.Deleted
	out := done(t, "relay", "docs", "delete", "--json", "--db", db, docs[1].URL())
	if err := json.Unmarshal([]byte(out), &gone); err != nil || gone != (admin.Deleted{ID: docs[1].String(), Changes: 2}) {
		t.Errorf("%s: %v", out, err)
	}
	if got := done(t, "relay", "docs", "list", "--db", db); got != docs[0].URL()+"\t1\t1\t4\t0" {
		t.Errorf("listed %q", got)
	}
}

func TestManyDocumentsOfARelayAreListedInPages(t *testing.T) {
	db, docs := relayStore(t, admin.MaxLimit+1)
	lines := strings.Split(done(t, "relay", "docs", "list", "--db", db), "\n")
	if len(lines) != len(docs) {
		t.Fatalf("%d documents of %d", len(lines), len(docs))
	}
	for i, l := range lines {
		if !strings.HasPrefix(l, docs[i].URL()+"\t") {
			t.Fatalf("line %d is %s", i, l)
		}
	}
}

func TestWhereDocumentsOfARelayAreLookedFor(t *testing.T) {
	db, _ := relayStore(t, 1)
	const away = "http://127.0.0.1:1"
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }))
	defer odd.Close()
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(admin.Page{Next: id.Document{1}.String()})
	}))
	defer back.Close()
	moved := httptest.NewServer(http.RedirectHandler(odd.URL, http.StatusFound))
	defer moved.Close()

	refused(t, 2, []string{"--db FILE", "--at URL"}, "relay", "docs", "list")
	refused(t, 2, []string{"both"}, "relay", "docs", "list", "--db", db, "--at", away)
	refused(t, 2, []string{"ws://x", "http://HOST:PORT"}, "relay", "docs", "list", "--at", "ws://x")
	refused(t, 2, []string{"docs list"}, "relay", "docs", "show", "--db", db, "nonsense")
	refused(t, 2, []string{"DOC is missing"}, "relay", "docs", "show", "--db", db)
	refused(t, 2, []string{`"lists"`}, "relay", "docs", "lists")
	refused(t, 1, []string{away, "nothing listens"}, "relay", "docs", "list", "--at", away)
	refused(t, 1, []string{odd.URL, "address is right"}, "relay", "docs", "list", "--at", odd.URL)
	refused(t, 1, []string{"pages go back"}, "relay", "docs", "list", "--at", back.URL)
	refused(t, 1, []string{moved.URL, "302"}, "relay", "docs", "list", "--at", moved.URL)

	// What is typed goes before the environment.
	t.Setenv("SYNCLINE_AT", away)
	done(t, "relay", "docs", "list", "--db", db)
	t.Setenv("SYNCLINE_DB", db)
	refused(t, 2, []string{"both"}, "relay", "docs", "list")
	refused(t, 1, []string{odd.URL}, "relay", "docs", "list", "--at", odd.URL)
}
