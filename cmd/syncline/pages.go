package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"syncline/relay/wire/admin"
)

// adminPages are what a running process answers over HTTP to who looks after it, in JSON.
type adminPages struct {
	at     string // without a slash at its end
	token  string
	who    string // what answers there
	client *http.Client
}

// answerTime is how long it may take before it begins to answer: a relay deletes
// a long document in seconds, and answers then.
const answerTime = 2 * time.Minute

// answerBytes is the longest answer that is read: a page of documents with
// hundreds of heads each.
const answerBytes = 64 << 20

func newAdminPages(at, token, who string) (*adminPages, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--at %q is not the address of a %s's pages: write http://HOST:PORT or https://HOST", at, who)
	}
	return &adminPages{at: strings.TrimRight(at, "/"), token: token, who: who, client: &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: answerTime},
		// Nobody else is to get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (r *adminPages) close() { r.client.CloseIdleConnections() }

// ask makes a request, with a body of JSON unless that is nil, and reads the answer into
// to.
func (r *adminPages) ask(ctx context.Context, method, path string, body []byte, to any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.at+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
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
		return fmt.Errorf("%s does not answer as a %s does: see whether the address is right", r.at, r.who)
	}
	return nil
}

// refusal says what an answer that is none of what was asked for means.
func (r *adminPages) refusal(status int, body []byte) error {
	var e admin.Error
	told := json.Unmarshal(body, &e) == nil && e.Error != ""
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("%s does not let us: give a token with the admin claim with --token or in SYNCLINE_TOKEN, or ask from the %s's own machine", r.at, r.who)
	case told:
		return fmt.Errorf("%s says: %s", r.at, printable(e.Error))
	}
	return fmt.Errorf("%s answers %d %s: see whether a %s is at that address", r.at, status, http.StatusText(status), r.who)
}
