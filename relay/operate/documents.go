package operate

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"syncline/crdt/id"
	"syncline/relay/wire/admin"
	"syncline/storage"
)

// documents answers with a page of the list.
func (p *pages) documents(w http.ResponseWriter, r *http.Request) {
	after, limit, err := pageAsked(r)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err)
		return
	}
	page, err := p.source.Documents(r.Context(), after, limit)
	p.answer(w, r, page, err)
}

// pageAsked reads what part of the list a request is for.
func pageAsked(r *http.Request) (after *id.Document, limit int, err error) {
	q := r.URL.Query()
	if s := q.Get("after"); s != "" {
		doc, err := id.ParseDocument(s)
		if err != nil {
			return nil, 0, fmt.Errorf("after is no document: %w", err)
		}
		after = &doc
	}
	limit = admin.DefaultLimit
	if s := q.Get("limit"); s != "" {
		limit, err = strconv.Atoi(s)
		if err != nil || limit < 1 {
			return nil, 0, errors.New("limit is no number from 1 on")
		}
	}
	return after, min(limit, admin.MaxLimit), nil
}

// document answers with one document, or deletes it.
func (p *pages) document(w http.ResponseWriter, r *http.Request) {
	doc, err := id.ParseDocument(r.PathValue("id"))
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err)
		return
	}
	if r.Method != http.MethodDelete {
		detail, err := p.source.Document(r.Context(), doc)
		p.answer(w, r, detail, err)
		return
	}
	// A page of another site must not delete with the rights of who looks at it.
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		refuse(w, r, http.StatusForbidden, errors.New("a document is not deleted from a page of another site"))
		return
	}
	deleted, err := p.source.DeleteDocument(r.Context(), doc)
	if err == nil {
		p.o.Log.Warn("document deleted", "doc", doc.String(), "changes", deleted.Changes, "address", r.RemoteAddr)
	}
	p.answer(w, r, deleted, err)
}

// answer writes a result, or the error that there is instead.
func (p *pages) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, v)
	case errors.Is(err, storage.ErrNotFound):
		refuse(w, r, http.StatusNotFound, errors.New("the relay has no such document"))
	case errors.Is(err, storage.ErrDeleting):
		refuse(w, r, http.StatusConflict, err)
	case r.Context().Err() != nil:
		refuse(w, r, http.StatusServiceUnavailable, err)
	default:
		p.o.Log.Warn("admin request failed", "path", r.URL.Path, "err", err)
		refuse(w, r, http.StatusInternalServerError, err)
	}
}
