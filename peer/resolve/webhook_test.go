package resolve

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"syncline/peer"
)

const secret = "a secret of many bytes"

type post struct {
	id, signature, body string
}

// receiver is a server that answers as it is told, and otherwise that it has taken it.
func receiver(t testing.TB, answers ...int) (url string, posts chan post) {
	t.Helper()
	posts = make(chan post, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		status := http.StatusNoContent
		if len(answers) > 0 {
			status, answers = answers[0], answers[1:]
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "http://127.0.0.1:1/")
		}
		w.WriteHeader(status)
		posts <- post{r.Header.Get("Syncline-Delivery"), r.Header.Get("Syncline-Signature"), string(b)}
	}))
	t.Cleanup(s.Close)
	return s.URL + "/hook", posts
}

// checkSignature is what a receiver does.
func checkSignature(t testing.TB, p post) {
	t.Helper()
	at, mac, _ := strings.Cut(strings.TrimPrefix(p.signature, "t="), ",v1=")
	h := hmac.New(sha256.New, []byte(secret))
	io.WriteString(h, at+"."+p.body)
	if got, err := hex.DecodeString(mac); err != nil || !hmac.Equal(got, h.Sum(nil)) {
		t.Errorf("the signature %q is not that of %s", p.signature, p.body)
	}
}

// A webhook that fails, refuses and sends elsewhere is tried again, with the same body,
// until it takes it. The documents are synced meanwhile.
func TestTheWebhookIsToldAtLeastOnce(t *testing.T) {
	url, posts := receiver(t, http.StatusInternalServerError, http.StatusForbidden, http.StatusFound)
	a, p := joined(t, nil)
	fast := peer.Backoff{First: time.Millisecond, Most: 2 * time.Millisecond}
	stop := going(t, newResolver(t, p, Options{Webhook: Webhook{URL: url, Secret: []byte(secret), Backoff: fast}}).Run)
	first := <-posts
	var last post
	for range 3 {
		last = <-posts
		checkSignature(t, last)
		if last.id != first.id || last.body != first.body {
			t.Errorf("it was told %s, and then %s", first.body, last.body)
		}
	}
	var d delivery
	if err := json.Unmarshal([]byte(last.body), &d); err != nil || d.ID != last.id || d.StorageID != p.StorageID() {
		t.Fatalf("%+v, %v", d, err)
	}
	names := map[string]bool{}
	for _, c := range d.Conflicts {
		names[c.ID] = true
		if c.Document != a.ID().String() || c.Why == "" || strings.Contains(last.body, "from a") {
			t.Errorf("%+v", c)
		}
	}
	for len(names) < 3 { // those that were not at rest yet
		if err := json.Unmarshal([]byte((<-posts).body), &d); err != nil {
			t.Fatal(err)
		}
		for _, c := range d.Conflicts {
			names[c.ID] = true
		}
	}
	stop()
	if n := len(posts); n > 0 {
		t.Errorf("told %d times more", n)
	}
}

// A resolver ends while its webhook does not answer.
func TestAWebhookThatHangsHoldsNothingUp(t *testing.T) {
	reached, release := make(chan struct{}, 9), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		reached <- struct{}{}
		<-release
	}))
	defer s.Close()
	defer close(release)
	a, p := joined(t, orders(t, 1))
	stop := going(t, newResolver(t, p, Options{Webhook: Webhook{URL: s.URL, Secret: []byte(secret)}}).Run)
	<-reached
	until(t, "the rules' conflicts are settled", only(p), only(a), func() bool { return plain(t, a) == "paid 9" })
	stop()
}

func TestWebhooksThatAreNone(t *testing.T) {
	for _, w := range []Webhook{
		{URL: "ftp://h/", Secret: []byte(secret)}, {URL: "http://", Secret: []byte(secret)}, {URL: "http://u:p@h/", Secret: []byte(secret)},
		{URL: "http://h/", Secret: []byte("short")}, {URL: "http://h/"}, {URL: ":", Secret: []byte(secret)},
	} {
		if _, err := New(nil, Options{Webhook: w}); !errors.Is(err, errWebhook) {
			t.Errorf("%s: %v", w.URL, err)
		}
	}
	at := time.Unix(1_700_000_000, 0)
	if got := Sign([]byte("key"), at, []byte("body")); !strings.HasPrefix(got, "t=1700000000,v1=") || got == Sign([]byte("key"), at.Add(time.Second), []byte("body")) {
		t.Error(got)
	}
}
