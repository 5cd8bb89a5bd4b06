package operate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestStatusIsAPageOrJSON(t *testing.T) {
	h := Handler(newFakeRelay(), Options{Allow: allow})
	for _, c := range []struct{ target, accept, want string }{
		{StatusPath, "", "text/html; charset=utf-8"},
		{StatusPath, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"},
		{StatusPath, "*/*", "text/html; charset=utf-8"},
		{StatusPath, "application/json", "application/json"},
		{StatusPath + "?json", "text/html", "application/json"},
	} {
		resp := ask(t, h, "GET", c.target, "Accept", c.accept)
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != c.want || resp.Header.Get("Vary") != "Accept" {
			t.Errorf("%s for %q: %d, %s", c.target, c.accept, resp.StatusCode, got)
		}
	}
}

func TestStatusAsJSONIsTheStatus(t *testing.T) {
	f := newFakeRelay()
	f.notReady = errFake
	var got Status
	raw, err := io.ReadAll(ask(t, Handler(f, Options{Allow: allow}), "GET", StatusPath+"?json").Body)
	if err != nil {
		t.Fatal(err)
	}
	// Reasons are words there.
	if !strings.Contains(string(raw), `"reason":"over_limit","code":4005`) {
		t.Errorf("refusals: %s", raw)
	}
	var shape map[string]json.RawMessage
	if err := json.Unmarshal(raw, &shape); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ready", "reason", "peer", "version", "started", "now", "counts", "traffic", "disk", "compaction", "limits", "refusals", "connections", "rooms"} {
		if _, ok := shape[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	delete(shape, "refusals")
	rest, err := json.Marshal(shape)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(rest, &got); err != nil {
		t.Fatal(err)
	}
	if got.Ready || got.Reason != errFake.Error() || got.Counts != f.status.Counts || got.Traffic != f.status.Traffic || len(got.Conns) != len(f.status.Conns) || !got.Now.Equal(f.status.Now) {
		t.Errorf("%+v", got)
	}
}

// page reads the status page.
func page(t *testing.T, f *fakeRelay) (html string, header http.Header) {
	t.Helper()
	resp := ask(t, Handler(f, Options{Allow: allow}), "GET", StatusPath)
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d, %v: %s", resp.StatusCode, err, b)
	}
	return string(b), resp.Header
}

// The policy names the page's style and script by their hashes, and nothing else
// may run: an element too many would be dead, and this test say so.
func TestThePolicyIsForWhatThePageHas(t *testing.T) {
	html, header := page(t, newFakeRelay())
	policy := header.Get("Content-Security-Policy")
	for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		found := regexp.MustCompile(`(?s)<`+tag+`[^>]*>(.*?)</`+tag+`>`).FindAllStringSubmatch(html, -1)
		if len(found) != 1 {
			t.Fatalf("%d elements %s", len(found), tag)
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		if want := directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(policy, want) {
			t.Errorf("%s is not in %s", want, policy)
		}
	}
	for _, never := range []string{"unsafe", "http:", "https:", "*"} {
		if strings.Contains(policy, never) {
			t.Errorf("the policy has %s: %s", never, policy)
		}
	}
	for _, never := range []string{" style=", " src=", " onclick=", " onload=", "http://", "https://", "javascript:"} {
		if strings.Contains(html, never) {
			t.Errorf("the page has %q", never)
		}
	}
}

func TestHostileTextsStayTexts(t *testing.T) {
	const hostile = `</td><script>alert(1)</script><img src=x onerror="alert(2)">` + "\u202e\x00\x1b[31m\u200b{{.}}"
	f := newFakeRelay()
	f.notReady = errorText(hostile)
	f.status.Conns = []Connection{{Peer: hostile, Account: hostile, Address: hostile}}
	f.status.Rooms = []Room{{Document: hostile}}
	f.status.Refusals = []Refusal{{Text: hostile, Address: hostile, Peer: hostile}}
	f.status.Compaction.LastError = hostile
	f.status.Version, f.status.Peer = hostile, hostile
	f.status.Limits = Limits{hostile: 1}
	html, _ := page(t, f)
	for _, never := range []string{"<script>alert", "<img", "</td><script"} {
		if strings.Contains(html, never) {
			t.Errorf("the page has %s", never)
		}
	}
	rows := html[strings.Index(html, `<tbody id="connections"`):]
	rows = rows[:strings.Index(rows, "</tbody>")]
	for _, never := range []string{"\u202e", "\x00", "\x1b", "\u200b"} {
		if strings.Contains(rows, never) {
			t.Errorf("a peer id shows %q", never)
		}
	}
	if !strings.Contains(rows, "alert(1)") {
		t.Error("the peer id is not shown at all")
	}
}

type errorText string

func (e errorText) Error() string { return string(e) }

func TestTheEmptyRelayHasAPage(t *testing.T) {
	f := newFakeRelay()
	f.status = Status{}
	html, _ := page(t, f)
	for _, want := range []string{"Nobody is connected.", "No document is awake.", "None since the relay was started.", "last ran never"} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q", want)
		}
	}
}

// The script takes over elements by their ids.
func TestWhatIsLiveHasAnIDOfItsOwn(t *testing.T) {
	html, _ := page(t, newFakeRelay())
	live := regexp.MustCompile(`<[^>]* data-live[^>]*>`).FindAllString(html, -1)
	if len(live) < 8 {
		t.Fatalf("%q", live)
	}
	for _, tag := range live {
		m := regexp.MustCompile(` id="([^"]+)"`).FindStringSubmatch(tag)
		if m == nil || strings.Count(html, ` id="`+m[1]+`"`) != 1 {
			t.Errorf("%s", tag)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	at := func(d time.Duration) string { return showSince(begun.Add(d), begun) }
	for got, want := range map[string]string{
		showBytes(0): "0 B", showBytes(1023): "1023 B", showBytes(1024): "1.00 KiB", showBytes(1_023_000): "999 KiB", showBytes(1_023_999): "0.98 MiB",
		showBytes(1 << 20): "1.00 MiB", showBytes(52_428_800): "50.0 MiB", showBytes(1 << 40): "1.00 TiB", showBytes(1<<63 - 1): "8192 PiB",
		showCount(0): "0", showCount(999): "999", showCount(1000): "1\u202f000", showCount(-1234567): "−1\u202f234\u202f567",
		showRate(0): "0", showRate(.04): "0", showRate(2): "2", showRate(12.34): "12.3", showRate(1234.5): "1\u202f235",
		at(0): "0 s", at(-time.Hour): "0 s", at(75 * time.Second): "1 m 15 s", at(3*time.Hour + time.Minute): "3 h 1 m", at(49 * time.Hour): "2 d 1 h",
		showClock(begun.Add(time.Hour), begun): "05:06:07", showClock(begun.Add(24*time.Hour), begun): "4 Mar 05:06",
		showMillis(5000): "5 s", showMillis(250): "250 ms", spaced("connectionsPerAddress"): "connections per address",
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if showPercent(1, 0) != 0 || showPercent(1, 4) != 25 || showPercent(5, 4) != 100 || showPercent(-1, 4) != 0 {
		t.Error("percent")
	}
}

func TestBarsFillTheDrawing(t *testing.T) {
	var f Flow
	if got := showBars(f); len(got) != 0 {
		t.Errorf("%v of nothing", got)
	}
	f.Seconds[3], f.Seconds[59] = 1, 1_000_000
	got := showBars(f)
	if len(got) != 2 || got[0] != (bar{3, 19, 1}) || got[1] != (bar{59, 0, 20}) {
		t.Errorf("%v", got)
	}
}

func TestOrderOfRows(t *testing.T) {
	top := NewTop(2, CompareConnections)
	for _, c := range []Connection{{ID: 1}, {ID: 2, BytesIn: 5}, {ID: 3, Queue: 1}, {ID: 4}} {
		top.Offer(c)
	}
	if got := top.List(); got[0].ID != 3 || got[1].ID != 2 {
		t.Errorf("%+v", got)
	}
	rooms := NewTop(3, CompareRooms)
	for _, r := range []Room{{Document: "b"}, {Document: "a"}, {Document: "c", Sessions: 1}, {Document: "d", Last60s: .5}} {
		rooms.Offer(r)
	}
	if got := rooms.List(); got[0].Document != "d" || got[1].Document != "c" || got[2].Document != "a" {
		t.Errorf("%+v", got)
	}
}
