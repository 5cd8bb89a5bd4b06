package resolve

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"syncline/peer"
)

// Webhook is who is told of conflicts that are left for a person: by a POST of JSON,
//
//	{"id": "…", "storageId": "…", "conflicts": [{"id", "document", "collection",
//	 "entity", "path", "rule", "reason", "why", "since"}, …]}
//
// with the conflicts as GET /conflicts lists them, 100 at most, and no values: those are
// for who asks. The headers are
//
//	Content-Type: application/json
//	Syncline-Delivery: the id of the body
//	Syncline-Signature: t=1700000000,v1=<hex>
//
// v1 is the HMAC-SHA256, under the secret, of t, a full stop and the body. A receiver
// computes it over the bytes that came, compares in constant time, and refuses a t that
// is more than five minutes from its clock; it is new with each attempt.
//
// Any 2xx is taken for delivered. All else is tried again by Backoff, without end and one
// delivery at a time, with the same id and body; a Retry-After of up to an hour is
// heeded. Conflicts that come meanwhile wait in the resolver's list, which is bounded, and
// those that are settled meanwhile are not told. After a restart all that are left are told
// again: a receiver knows them by their ids.
type Webhook struct {
	URL string // http:// or https://; redirects are not followed
	// Secret signs; at least 16 bytes.
	Secret []byte
	// Backoff spaces attempts. Its zero: up to 1 s, growing to 1 min, and five times that
	// for an answer that says the request is wrong.
	Backoff peer.Backoff
	// Timeout bounds an attempt. 0: 15 s.
	Timeout time.Duration
}

// deliveryMost is how many conflicts one delivery has: some tens of kilobytes.
const deliveryMost = 100

// minSecret is the shortest secret, in bytes: what 32 hexadecimal digits of chance hold.
const minSecret = 16

var errWebhook = errors.New("not a webhook")

// Check says why nobody could be told.
func (w Webhook) Check() error {
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return fmt.Errorf("%w: the address: write http://HOST/PATH or https://HOST/PATH, without a password", errWebhook)
	case len(w.Secret) < minSecret:
		return fmt.Errorf("%w: the secret has %d bytes, and needs %d", errWebhook, len(w.Secret), minSecret)
	}
	return nil
}

// Sign is the Syncline-Signature of a body at a time.
func Sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(t + "."))
	h.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(h.Sum(nil))
}

// delivery is the body of a POST.
type delivery struct {
	ID        string `json:"id"`
	StorageID string `json:"storageId"`
	Conflicts []Item `json:"conflicts"`
}

// hook delivers.
type hook struct {
	o         Webhook
	storageID string
	now       func() time.Time
	log       *slog.Logger
	client    *http.Client
}

func newHook(o Webhook, storageID string, now func() time.Time, log *slog.Logger) *hook {
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	return &hook{o: o, storageID: storageID, now: now, log: log, client: &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// deliver tells of conflicts, until that has come through; its error is that of ctx.
func (h *hook) deliver(ctx context.Context, list []entry) error {
	defer h.client.CloseIdleConnections()
	d := delivery{StorageID: h.storageID}
	sum := sha256.New()
	for _, c := range list {
		d.Conflicts = append(d.Conflicts, itemOf(c.Conflict, c.since))
		io.WriteString(sum, c.ID)
	}
	d.ID = hex.EncodeToString(sum.Sum(nil)[:12])
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	for failures := 1; ; failures++ {
		fault := h.post(ctx, d.ID, body)
		if fault == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		delay, ok := h.o.Backoff.After(fault, failures, rand.Float64())
		if !ok {
			return fault
		}
		h.log.Warn("webhook not told of conflicts; it is tried again", "conflicts", len(list), "failures", failures, "wait", delay, "err", fault)
		pause := time.NewTimer(delay)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// post makes one attempt. Its faults are of classes that time may mend: whoever runs the
// receiver mends it without a word to us.
func (h *hook) post(ctx context.Context, name string, body []byte) *peer.Fault {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.o.URL, bytes.NewReader(body))
	if err != nil {
		return &peer.Fault{Class: peer.ClassInternal, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Syncline-Delivery", name)
	req.Header.Set("Syncline-Signature", Sign(h.o.Secret, h.now(), body))
	res, err := h.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the address, which may hold a key
		}
		return &peer.Fault{Class: peer.ClassLost, Err: err}
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	f := &peer.Fault{Class: peer.ClassLost, Err: fmt.Errorf("it answers %d %s", res.StatusCode, http.StatusText(res.StatusCode))}
	if after, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && after > 0 && after <= 3600 {
		f.RetryAfter = time.Duration(after) * time.Second
	}
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return nil
	case res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusRequestTimeout:
		f.Class = peer.ClassInternal
	}
	return f
}
