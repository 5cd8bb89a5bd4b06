package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"syncline/peer/resolve"
)

// remoteConflicts are those of a running resolver, asked over HTTP.
type remoteConflicts struct{ *adminPages }

func (r remoteConflicts) list(ctx context.Context) (all []resolve.Item, err error) {
	q := url.Values{"limit": {strconv.Itoa(resolve.MaxLimit)}}
	for {
		var p resolve.Page
		if err := r.ask(ctx, http.MethodGet, resolve.Path+"?"+q.Encode(), nil, &p); err != nil {
			return nil, err
		}
		if all = append(all, p.Conflicts...); p.Next == "" {
			return all, nil
		}
		q.Set("after", p.Next)
	}
}

func (r remoteConflicts) show(ctx context.Context, name string) (d resolve.Detail, err error) {
	return d, r.ask(ctx, http.MethodGet, resolve.Path+"/"+url.PathEscape(name), nil, &d)
}

func (r remoteConflicts) settle(ctx context.Context, name string, to resolve.Choice) (made resolve.Settled, err error) {
	b, err := json.Marshal(to)
	if err != nil {
		return made, err
	}
	return made, r.ask(ctx, http.MethodPost, resolve.Path+"/"+url.PathEscape(name), b, &made)
}
