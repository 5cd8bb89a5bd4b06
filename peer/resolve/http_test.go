package resolve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"syncline/peer"
	"syncline/relay/wire/access"
)

// served is a resolver with three conflicts that nobody settles, and its pages.
func served(t testing.TB) (s *httptest.Server, p *peer.Peer, a *peer.Document) {
	t.Helper()
	a, p = joined(t, nil)
	r := newResolver(t, p, Options{})
	going(t, r.Run)
	until(t, "all are counted", only(p), only(a), func() bool { c := p.Resolving(); return c != nil && c.Unsettled == 3 })
	s = httptest.NewServer(r.Handler(access.AdminGate{}))
	t.Cleanup(s.Close)
	return s, p, a
}

// call makes a request and reads the answer into to.
func call(t testing.TB, method, url, body string, to any, change ...func(*http.Request)) int {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, fn := range change {
		fn(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if to != nil {
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(to); err != nil {
			t.Errorf("%s %s answers %d and no JSON: %s", method, url, res.StatusCode, b)
		}
	}
	return res.StatusCode
}

func TestConflictsAreListedShownAndSettledOverHTTP(t *testing.T) {
	s, p, a := served(t)
	var all []Item
	for after := ""; ; {
		var page Page
		if status := call(t, "GET", s.URL+Path+"?limit=2&after="+after, "", &page); status != 200 || page.Counts.Unsettled != 3 || len(page.Conflicts) > 2 {
			t.Fatalf("%d: %+v", status, page)
		}
		all = append(all, page.Conflicts...)
		if after = page.Next; after == "" {
			break
		}
	}
	if len(all) != 3 {
		t.Fatalf("%+v", all)
	}
	i := 0
	for all[i].Path[0] != "note" {
		i++
	}
	if all[i].Place() != "orders/o1/note" || all[i].Since == nil {
		t.Errorf("%+v", all[i])
	}
	at := s.URL + Path + "/" + all[i].ID
	var d Detail
	if status := call(t, "GET", at, "", &d); status != 200 || len(d.Values) != 2 || string(d.Values[1].Value) != string(d.Merged) || d.Values[0].Chosen {
		t.Fatalf("%d: %+v", status, d)
	}
	var settled Settled
	if status := call(t, "POST", at, fmt.Sprintf(`{"operation": %q}`, d.Values[0].Operation), &settled); status != 200 || settled.Hash == "" || settled.Sequence <= 0 {
		t.Fatalf("%d: %+v", status, settled)
	}
	e, err := a.Entity(bounded(t), "orders", "o1")
	if want, _ := json.Marshal(e["note"]); err != nil || string(want) != string(d.Values[0].Value) {
		t.Errorf("%s was chosen, and it reads %s, %v", d.Values[0].Value, want, err)
	}
	var f Failure
	if status := call(t, "POST", at, `{"merged": true}`, &f); status != 404 && status != 409 || f.Error == "" {
		t.Errorf("settled twice: %d %+v", status, f)
	}
	until(t, "it is off the list", only(p), only(a), func() bool { return p.Resolving().Unsettled == 2 })
	if p.Counters().SettledByPerson != 1 {
		t.Errorf("%+v", p.Counters())
	}
}

// What is malformed, or comes from elsewhere, gets an answer that says so and does nothing.
func TestHostileRequests(t *testing.T) {
	s, _, a := served(t)
	var page Page
	call(t, "GET", s.URL+Path, "", &page)
	at := s.URL + Path + "/" + page.Conflicts[0].ID
	was := fmt.Sprint(heads(t, a))
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		method, url, body string
		change            func(*http.Request)
		want              int
	}{
		{"POST", at, ``, nil, 400},
		{"POST", at, `{`, nil, 400},
		{"POST", at, `[]`, nil, 400},
		{"POST", at, `null`, nil, 400},
		{"POST", at, `{}`, nil, 400},
		{"POST", at, `{"merged": true, "value": 1}`, nil, 400},
		{"POST", at, `{"merged": true, "force": true}`, nil, 400},
		{"POST", at, `{"merged": "yes"}`, nil, 400},
		{"POST", at, `{"merged": false}`, nil, 422},
		{"POST", at, `{"operation": ""}`, nil, 422},
		{"POST", at, `{"operation": "x"}`, nil, 422},
		{"POST", at, `{"operation": "1@zz"}`, nil, 422},
		{"POST", at, `{"operation": "1@ff"}`, nil, 422},
		{"POST", at, `{"operation": "99999999999999999999@ff"}`, nil, 422},
		{"POST", at, `{"value": null}`, nil, 422},
		{"POST", at, `{"value": ` + strings.Repeat("[", 100_000) + `}`, nil, 400},
		{"POST", at, `{"value": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, nil, 422},
		{"POST", at, `{"value": "` + strings.Repeat("x", maxChoice) + `"}`, nil, 413},
		{"POST", at, `{"merged": true}`, header("Content-Type", "text/plain"), 415},
		{"POST", at, `{"merged": true}`, header("Content-Type", "application/x-www-form-urlencoded"), 415},
		{"POST", at, `{"merged": true}`, header("Origin", "https://elsewhere.example"), 403},
		{"POST", at, `{"merged": true}`, header("X-Forwarded-For", "1.2.3.4"), 403},
		{"POST", at, `{"merged": true}`, func(r *http.Request) { r.Host = "rebound.example" }, 403},
		{"GET", s.URL + Path, ``, func(r *http.Request) { r.Host = "rebound.example" }, 403},
		{"POST", s.URL + Path + "/nothing", `{"merged": true}`, nil, 404},
		{"GET", s.URL + Path + "/..%2f..%2fetc", ``, nil, 404},
		{"GET", s.URL + Path + "?limit=0", ``, nil, 400},
		{"GET", s.URL + Path + "?limit=x", ``, nil, 400},
		{"GET", s.URL + Path + "?limit=99999999999999999999", ``, nil, 400},
		{"GET", s.URL + Path + "?after=%00%ff", ``, nil, 200},
		{"GET", s.URL + "/", ``, nil, 404},
		{"DELETE", at, ``, nil, 405},
	} {
		change := c.change
		if change == nil {
			change = func(*http.Request) {}
		}
		if got := call(t, c.method, c.url, c.body, nil, change); got != c.want {
			t.Errorf("%s %s %.60s: %d, want %d", c.method, c.url, c.body, got, c.want)
		}
	}
	if now := fmt.Sprint(heads(t, a)); now != was {
		t.Error("something was written")
	}
}

func FuzzChoice(f *testing.F) {
	for _, s := range []string{`{"operation":"1@ab"}`, `{"merged":true}`, `{"value":{"type":"counter","value":1}}`, `{"value":null}`, `{"value":[[]]}`, `{"operation":"18446744073709551616@"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseChoice(b)
		if err != nil {
			return
		}
		if to, err := c.choice(); err == nil && c.Value != nil && to.Value == nil {
			t.Errorf("%s: a value that is none", b)
		}
	})
}
