package resolve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"syncline/crdt"
	"syncline/peer"
	"syncline/relay/wire/access"
)

// Path is that of the list; a conflict's is Path/ID.
const Path = "/conflicts"

// Limits of a page, in conflicts, and of a choice, in bytes: a value of the length that a
// person writes.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	maxChoice    = 1 << 20
)

// Handler answers, behind a gate, in JSON:
//
//	GET  /conflicts?after=ID&limit=N   Page
//	GET  /conflicts/ID                 Detail
//	POST /conflicts/ID                 Choice, answered by Settled
//
// Any answer but 200 carries a Failure: 400 for a request that is malformed, 404 for a
// conflict that is not there any more, 409 for one that has just become another, 422
// for a choice that is none or that the schema refuses. A POST is JSON by its
// Content-Type, which a page from elsewhere cannot send unasked.
func (r *Resolver) Handler(gate access.AdminGate) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, r.serveList)
	mux.HandleFunc("GET "+Path+"/{id}", r.serveOne)
	mux.HandleFunc("POST "+Path+"/{id}", r.serveSettle)
	return gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, req)
	}))
}

func (r *Resolver) serveList(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	limit := DefaultLimit
	if s := q.Get("limit"); s != "" {
		var err error
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 {
			fail(w, http.StatusBadRequest, fmt.Errorf("limit is a number from 1 to %d", MaxLimit))
			return
		}
	}
	r.mu.Lock()
	list, more := r.book.list(q.Get("after"), min(limit, MaxLimit))
	now := r.book.counts()
	r.mu.Unlock()
	n := r.p.Counters()
	p := Page{Conflicts: []Item{}, Counts: Counts{
		Unsettled: now.Unsettled, Due: now.Due, Held: now.Held, SettledByRule: n.SettledByRule, SettledByPerson: n.SettledByPerson,
	}}
	for _, e := range list {
		p.Conflicts = append(p.Conflicts, itemOf(e.Conflict, e.since))
	}
	if more {
		p.Next = list[len(list)-1].ID
	}
	answer(w, http.StatusOK, p)
}

// find returns a conflict of the book with its values.
func (r *Resolver) find(ctx context.Context, name string) (d *peer.Document, e entry, err error) {
	r.mu.Lock()
	found := r.book.byID[name]
	if found != nil {
		e = *found
	}
	r.mu.Unlock()
	if found == nil {
		return nil, e, ErrUnknown
	}
	if d, err = r.p.OpenDocument(ctx, e.Document); err == nil {
		e.Conflict, err = whole(ctx, d, e.Conflict)
	}
	return d, e, err
}

func (r *Resolver) serveOne(w http.ResponseWriter, req *http.Request) {
	_, e, err := r.find(req.Context(), req.PathValue("id"))
	if err != nil {
		fail(w, statusOf(err), err)
		return
	}
	answer(w, http.StatusOK, detailOf(e.Conflict, e.since))
}

func (r *Resolver) serveSettle(w http.ResponseWriter, req *http.Request) {
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, errors.New("a choice is sent as application/json"))
		return
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxChoice))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, fmt.Errorf("a choice has up to %d bytes", maxChoice))
		return
	}
	to, err := parseChoice(b)
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	d, e, err := r.find(req.Context(), req.PathValue("id"))
	var made Settled
	if err == nil {
		made, err = settle(req.Context(), d, e.Conflict, to)
	}
	if err != nil {
		fail(w, statusOf(err), err)
		return
	}
	r.o.Log.Info("conflict settled by a person", "doc", e.Document.String(), "hash", made.Hash)
	answer(w, http.StatusOK, made)
}

// parseChoice reads a choice. A member that it does not know is a mistake: it might be the
// one that counts.
func parseChoice(b []byte) (c Choice, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return c, fmt.Errorf("a choice is a JSON object: %w", err)
	}
	for name := range members {
		switch name {
		case "operation", "merged", "value":
		default:
			return c, fmt.Errorf("a choice has no member %.80q: want operation, merged or value", name)
		}
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("a choice: %w", err)
	}
	if len(members) != 1 {
		return c, errors.New("a choice has one member: operation, merged or value")
	}
	return c, nil
}

func statusOf(err error) int {
	_, refused := errors.AsType[*crdt.OperationError](err)
	switch {
	case errors.Is(err, ErrUnknown), errors.Is(err, peer.ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, peer.ErrNoConflict):
		return http.StatusConflict
	case errors.Is(err, peer.ErrNoChoice), refused:
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}

func fail(w http.ResponseWriter, status int, err error) { answer(w, status, Failure{err.Error()}) }

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // whoever asked may have gone
}
