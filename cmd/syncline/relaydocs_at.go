package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"syncline/crdt/id"
	"syncline/relay/wire/admin"
)

// remoteDocuments are those of a running relay, asked over HTTP.
type remoteDocuments struct{ *adminPages }

func newRemoteDocuments(at, token string) (*remoteDocuments, error) {
	p, err := newAdminPages(at, token, "relay")
	return &remoteDocuments{p}, err
}

func (r *remoteDocuments) page(ctx context.Context, after *id.Document) (p admin.Page, err error) {
	q := url.Values{"limit": {strconv.Itoa(admin.MaxLimit)}}
	if after != nil {
		q.Set("after", after.String())
	}
	return p, r.ask(ctx, http.MethodGet, admin.Path+"?"+q.Encode(), nil, &p)
}

func (r *remoteDocuments) detail(ctx context.Context, doc id.Document) (d admin.Detail, err error) {
	return d, r.ask(ctx, http.MethodGet, admin.Path+"/"+doc.String(), nil, &d)
}

func (r *remoteDocuments) remove(ctx context.Context, doc id.Document) (d admin.Deleted, err error) {
	return d, r.ask(ctx, http.MethodDelete, admin.Path+"/"+doc.String(), nil, &d)
}
