package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"syncline/crdt/id"
	"syncline/relay/wire/admin"
)

// remoteDocuments are those of a running relay, asked over HTTP.
type remoteDocuments struct {
	at     string // without a slash at its end
	token  string
	client *http.Client
}

// answerTime is how long a relay may take before it begins to answer; it
// deletes a long document in seconds, and answers then.
const answerTime = 2 * time.Minute

// answerBytes is the longest answer that is read: a page of documents with
// hundreds of heads each.
const answerBytes = 64 << 20

func newRemoteDocuments(at, token string) (*remoteDocuments, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--at %q is not the address of a relay's pages: write http://HOST:PORT or https://HOST", at)
	}
	return &remoteDocuments{at: strings.TrimRight(at, "/"), token: token, client: &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: answerTime},
		// Nobody else is to get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (r *remoteDocuments) close() { r.client.CloseIdleConnections() }

func (r *remoteDocuments) page(ctx context.Context, after *id.Document) (p admin.Page, err error) {
	q := url.Values{"limit": {strconv.Itoa(admin.MaxLimit)}}
	if after != nil {
		q.Set("after", after.String())
	}
	return p, r.ask(ctx, http.MethodGet, admin.Path+"?"+q.Encode(), &p)
}

func (r *remoteDocuments) detail(ctx context.Context, doc id.Document) (d admin.Detail, err error) {
	return d, r.ask(ctx, http.MethodGet, admin.Path+"/"+doc.String(), &d)
}

func (r *remoteDocuments) remove(ctx context.Context, doc id.Document) (d admin.Deleted, err error) {
	return d, r.ask(ctx, http.MethodDelete, admin.Path+"/"+doc.String(), &d)
}

// ask makes a request and reads the answer into to.
func (r *remoteDocuments) ask(ctx context.Context, method, path string, to any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.at+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = remoteError(e.Err)
		}
		return fmt.Errorf("cannot ask %s: %w", r.at, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, answerBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("cannot read the answer of %s: %w", r.at, err)
	case len(b) > answerBytes:
		return fmt.Errorf("the answer of %s is longer than %d bytes", r.at, answerBytes)
	case res.StatusCode != http.StatusOK:
		return r.refusal(res.StatusCode, b)
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("%s does not answer as a relay does: see whether the address is right", r.at)
	}
	return nil
}

// refusal says what an answer that is none of what was asked for means.
func (r *remoteDocuments) refusal(status int, body []byte) error {
	var e admin.Error
	told := json.Unmarshal(body, &e) == nil && e.Error != ""
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("%s does not let us: give a token with the admin claim with --token or in SYNCLINE_TOKEN, or ask from the relay's own machine", r.at)
	case told:
		return fmt.Errorf("%s says: %s", r.at, printable(e.Error))
	}
	return fmt.Errorf("%s answers %d %s: see whether a relay is at that address", r.at, status, http.StatusText(status))
}
