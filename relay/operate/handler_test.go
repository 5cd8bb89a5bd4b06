package operate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"syncline/crdt/id"
	"syncline/relay/wire/access"
	"syncline/relay/wire/admin"
	"syncline/storage"
)

func allow(*http.Request) error { return nil }

// ask sends a request to the pages of a relay.
func ask(t *testing.T, h http.Handler, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	var b strings.Builder
	if err := resp.Write(&b); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(b.String(), "\r\n\r\n")
	return text
}

// TestARefusalSaysWhetherATokenHelps by its status, as programs read it.
func TestARefusalSaysWhetherATokenHelps(t *testing.T) {
	for _, c := range []struct {
		err       error
		status    int
		challenge string
	}{
		{access.ErrForbidden, 403, ""},
		{fmt.Errorf("%w: %w", access.ErrUnauthorised, access.ErrMissing), 401, "Bearer"},
		{access.ErrExpired, 401, "Bearer"},
		{access.ErrUnavailable, 503, ""},
	} {
		resp := ask(t, Handler(newFakeRelay(), Options{Allow: func(*http.Request) error { return c.err }}), "GET", StatusPath)
		if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != c.status || got != c.challenge {
			t.Errorf("%v: %d, %q", c.err, resp.StatusCode, got)
		}
	}
}

func TestPagesByMethodAndGate(t *testing.T) {
	f := newFakeRelay()
	doc := admin.Path + "/" + f.doc.String()
	no := errors.New("only from this machine")
	for _, c := range []struct {
		method, path string
		open, shut   int // by what Allow says
	}{
		{"GET", HealthPath, 200, 200},
		{"HEAD", HealthPath, 200, 200},
		{"POST", HealthPath, 405, 405},
		{"GET", ReadyPath, 200, 200},
		{"DELETE", ReadyPath, 405, 405},
		{"GET", CapabilitiesPath, 200, 200},
		{"PUT", CapabilitiesPath, 405, 405},
		{"GET", MetricsPath, 200, 403},
		{"HEAD", MetricsPath, 200, 403},
		{"POST", MetricsPath, 405, 403},
		{"GET", StatusPath, 200, 403},
		{"HEAD", StatusPath, 200, 403},
		{"POST", StatusPath, 405, 403},
		{"GET", admin.Path, 200, 403},
		{"DELETE", admin.Path, 405, 403},
		{"GET", doc, 200, 403},
		{"HEAD", doc, 200, 403},
		{"DELETE", doc, 200, 403},
		{"POST", doc, 405, 403},
		{"GET", admin.Path + "/" + f.doc.URL(), 200, 403},
		{"GET", admin.Path + "/nonsense", 400, 403},
		{"DELETE", admin.Path + "/nonsense", 400, 403},
		{"GET", admin.Path + "/" + id.Document{9}.String(), 404, 403},
		{"DELETE", admin.Path + "/" + id.Document{9}.String(), 404, 403},
		{"GET", admin.Path + "/", 418, 418},
		{"GET", "/status/more", 418, 418},
		{"GET", "/", 418, 418},
		{"GET", "/sync", 418, 418},
	} {
		next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		for _, g := range []struct {
			allow func(*http.Request) error
			want  int
		}{{allow, c.open}, {func(*http.Request) error { return no }, c.shut}} {
			want := g.want
			f := newFakeRelay()
			h := Handler(f, Options{Metrics: NewMetrics(MetricsOptions{}), Allow: g.allow, Next: next})
			resp := ask(t, h, c.method, c.path)
			if resp.StatusCode != want {
				t.Errorf("%s %s: %d, not %d", c.method, c.path, resp.StatusCode, want)
			}
			if resp.StatusCode == 405 && resp.Header.Get("Allow") == "" {
				t.Errorf("%s %s: no Allow", c.method, c.path)
			}
			if resp.StatusCode == 403 {
				if text := body(t, resp); !strings.Contains(text, no.Error()) || strings.Count(text, "\n") != 1 {
					t.Errorf("%s %s: refused with %q", c.method, c.path, text)
				}
			}
			if deleted := c.method == "DELETE" && want == 200; deleted != (len(f.deleted) == 1) {
				t.Errorf("%s %s: deleted %v", c.method, c.path, f.deleted)
			}
			if resp.StatusCode == 418 {
				continue // not our page
			}
			for name, value := range map[string]string{
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			} {
				if got := resp.Header.Get(name); got != value {
					t.Errorf("%s %s: %s is %q", c.method, c.path, name, got)
				}
			}
			if !strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "default-src 'none';") {
				t.Errorf("%s %s: policy %q", c.method, c.path, resp.Header.Get("Content-Security-Policy"))
			}
		}
	}
}

func TestWithoutOptionsNothingIsOpen(t *testing.T) {
	h := Handler(newFakeRelay(), Options{})
	for path, want := range map[string]int{HealthPath: 200, ReadyPath: 200, CapabilitiesPath: 200, StatusPath: 403, admin.Path: 403, MetricsPath: 404, "/": 404} {
		if resp := ask(t, h, "GET", path); resp.StatusCode != want {
			t.Errorf("%s: %d, not %d", path, resp.StatusCode, want)
		}
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	f := newFakeRelay()
	h := Handler(f, Options{})
	for _, reason := range []error{errors.New("starting"), errors.New("read-only: 200 MiB are free, less than 1 GiB"), errors.New("shutting down")} {
		f.notReady = reason
		resp := ask(t, h, "GET", ReadyPath)
		if text := body(t, resp); resp.StatusCode != 503 || text != reason.Error()+"\n" {
			t.Errorf("%d, %q", resp.StatusCode, text)
		}
		if resp := ask(t, h, "GET", HealthPath); resp.StatusCode != 200 {
			t.Errorf("healthz %d", resp.StatusCode)
		}
	}
}

func TestCapabilitiesAreForEveryPage(t *testing.T) {
	resp := ask(t, Handler(newFakeRelay(), Options{}), "GET", CapabilitiesPath, "Origin", "https://app.example")
	if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("allowed origin %q", got)
	}
	if got := resp.Header.Get("Cross-Origin-Resource-Policy"); got != "cross-origin" {
		t.Errorf("resource policy %q", got)
	}
	want := `{"name":"syncline","version":"v1.2.3","peer":"relay-x","protocol":["1"],"syncline":1,"sync":[1,2],"chunks":["change"],` +
		`"auth":{"required":true,"carriers":["join"]},"features":["ephemeral"],"limits":{"frameBytes":67108864}}` + "\n"
	if got := body(t, resp); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestDocumentsAreAskedForPageByPage(t *testing.T) {
	f := newFakeRelay()
	h := Handler(f, Options{Allow: allow})
	after := id.Document{3}
	for query, want := range map[string]struct {
		status, limit int
		after         *id.Document
	}{
		"":                           {200, admin.DefaultLimit, nil},
		"?limit=7":                   {200, 7, nil},
		"?limit=1000000":             {200, admin.MaxLimit, nil},
		"?after=" + after.String():   {200, admin.DefaultLimit, &after},
		"?limit=0":                   {status: 400},
		"?limit=-1":                  {status: 400},
		"?limit=x":                   {status: 400},
		"?limit=9999999999999999999": {status: 400},
		"?after=x":                   {status: 400},
	} {
		f.limit, f.after = 0, nil
		resp := ask(t, h, "GET", admin.Path+query)
		if resp.StatusCode != want.status || f.limit != want.limit || (f.after == nil) != (want.after == nil) || f.after != nil && *f.after != *want.after {
			t.Errorf("%q: %d, limit %d, after %v", query, resp.StatusCode, f.limit, f.after)
		}
		text := body(t, resp)
		var page admin.Page
		var refused admin.Error
		if want.status == 200 {
			if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Documents) != 1 || page.Next == "" {
				t.Errorf("%q: %s", query, text)
			}
		} else if err := json.Unmarshal([]byte(text), &refused); err != nil || refused.Error == "" {
			t.Errorf("%q: %s", query, text)
		}
	}
}

func TestFailuresOfTheStoreHaveTheirStatus(t *testing.T) {
	f := newFakeRelay()
	h := Handler(f, Options{Allow: allow})
	for err, want := range map[error]int{storage.ErrNotFound: 404, storage.ErrDeleting: 409, errFake: 500} {
		f.fails = err
		resp := ask(t, h, "GET", admin.Path)
		var refused admin.Error
		if e := json.Unmarshal([]byte(body(t, resp)), &refused); e != nil || resp.StatusCode != want || refused.Error == "" {
			t.Errorf("%v: %d, %q", err, resp.StatusCode, refused.Error)
		}
	}
}

func TestAnotherSiteDeletesNothing(t *testing.T) {
	for _, c := range []struct {
		header []string
		want   int
	}{
		{nil, 200}, // a program
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{"Sec-Fetch-Site", "none"}, 200},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Origin", "https://elsewhere.example"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", "http://example.com"}, 200}, // as httptest's Host
	} {
		f := newFakeRelay()
		resp := ask(t, Handler(f, Options{Allow: allow}), "DELETE", admin.Path+"/"+f.doc.String(), c.header...)
		if resp.StatusCode != c.want || (len(f.deleted) == 1) != (c.want == 200) {
			t.Errorf("%q: %d, deleted %v", c.header, resp.StatusCode, f.deleted)
		}
	}
}

func TestCheckReadyOverTheNetwork(t *testing.T) {
	f := newFakeRelay()
	s := httptest.NewServer(Handler(f, Options{}))
	defer s.Close()
	root, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckReady(t.Context(), root); err != nil {
		t.Error(err)
	}
	f.notReady = errors.New("shutting down")
	if err := CheckReady(t.Context(), root); err == nil || err.Error() != "the relay is not ready: shutting down" {
		t.Error(err)
	}
	s.Close()
	if err := CheckReady(t.Context(), root); err == nil {
		t.Error("a relay that is not there is ready")
	}
}
