package relay

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"syncline/crdt/id"
	"syncline/relay/operate"
	"syncline/relay/wire"
	"syncline/relay/wire/access"
	"syncline/relay/wire/access/accesstest"
	"syncline/relay/wire/admin"
)

// ask makes a request to the relay as somebody on this machine.
func (s *server) ask(t *testing.T, method, path string, into any) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http"+strings.TrimPrefix(s.url, "ws")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		req.Header.Set("Accept", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil && res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s %s: %v in %.200s", method, path, err, b)
		}
	}
	return res.StatusCode, string(b)
}

// reading is what /metrics says, by name and labels.
func (s *server) reading(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := s.metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() != "role" {
					name += "/" + l.GetValue()
				}
			}
			switch f.GetType().String() {
			case "COUNTER":
				values[name] = m.GetCounter().GetValue()
			case "GAUGE":
				values[name] = m.GetGauge().GetValue()
			case "HISTOGRAM":
				values[name+"/count"] = float64(m.GetHistogram().GetSampleCount())
				values[name+"/sum"] = m.GetHistogram().GetSampleSum()
			}
		}
	}
	return values
}

func TestMetricsMoveWithWhatHappens(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	doc := id.NewDocument()
	a := joinBearing(t, s, "a", i.Token("alice", accesstest.Writes(doc)), wire.Syncline)
	b := joinBearing(t, s, "b", i.Token("bob", accesstest.Reads(doc)), wire.Syncline)
	ra, rb := newReplica(t, doc, "a"), newReplica(t, doc, "b")
	var changes float64
	for n := range 3 {
		for range n + 1 {
			ra.edit("k")
			changes++
		}
		a.sync(ra)
		a.acked(ra)
		b.sync(rb)
		b.fetch(rb, ra.g.Heads()...)
		b.acked(rb)
	}
	a.say(doc, "s", 1, "hello")
	b.until("gossip comes", func() bool { return len(b.gossip) == 1 })
	rb.edit("mine")
	b.send(changesOf(b, rb))
	b.until("it is told", func() bool { return len(b.notices) == 1 })
	upgrade(t, s.url, "c").refusal(wire.Local{PeerID: "c"})
	until(t, "it has left", func() bool { shaking, _, _ := s.lobby.counts(); return shaking == 0 })
	upgrading := upgrade(t, s.url, "d")
	until(t, "it is counted", func() bool { shaking, _, _ := s.lobby.counts(); return shaking == 1 })
	a.sync(newReplica(t, id.NewDocument(), "a"))
	a.until("it may not", func() bool { return len(a.unavailable) == 1 })

	got := s.reading(t)
	for name, want := range map[string]float64{
		"syncline_relay_connections/joined":                    2,
		"syncline_relay_connections/handshake":                 1,
		"syncline_relay_connections_accepted_total":            4,
		"syncline_relay_connections_closed_total/unauthorised": 1,
		"syncline_relay_refusals_total/unauthorised":           1,
		"syncline_relay_refusals_total/unavailable":            1,
		"syncline_relay_auth_failures_total/missing":           1,
		"syncline_relay_accounts":                              2,
		"syncline_relay_sessions":                              2,
		"syncline_relay_documents":                             1,
		"syncline_changes_received_total":                      changes,
		"syncline_changes_rejected_total/forbidden":            1,
		"syncline_commit_changes/sum":                          changes,
		"syncline_ephemeral_messages_received_total":           1,
		"syncline_ephemeral_messages_sent_total":               1,
		"syncline_relay_read_only":                             0,
		"syncline_commit_failures_total":                       0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for _, name := range []string{
		"syncline_commit_duration_seconds/count", "syncline_relay_fanout_duration_seconds/count", "syncline_changes_sent_total",
		"syncline_received_bytes_total", "syncline_sent_bytes_total", "syncline_messages_received_total", "syncline_relay_store_bytes",
		"syncline_relay_disk_free_bytes", "syncline_relay_disk_low_water_bytes",
	} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	if rooms := got["syncline_relay_rooms/awake"] + got["syncline_relay_rooms/asleep"]; rooms != 1 {
		t.Errorf("%v rooms", rooms)
	}
	status, page := s.ask(t, "GET", operate.MetricsPath, nil)
	if status != 200 || !strings.Contains(page, "\nsyncline_commit_changes_sum") {
		t.Errorf("%d: %.300s", status, page)
	}
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for _, c := range []*client{a, b, upgrading} {
		c.ws.CloseNow()
	}
	until(t, "all have left", func() bool {
		got := s.reading(t)
		return got["syncline_relay_connections/joined"] == 0 && got["syncline_relay_connections/handshake"] == 0 &&
			got["syncline_relay_sessions"] == 0 && got["syncline_relay_accounts"] == 0 && got["syncline_relay_rooms/asleep"] == 0 &&
			got["syncline_relay_rooms/awake"] == 0 && got["syncline_relay_queue_bytes"] == 0
	})
}

func TestStatusShowsWhoIsHere(t *testing.T) {
	i := accesstest.NewIssuer(t)
	o := guarded(i)
	o.IdleBytes = 1 << 20 // documents stay in memory
	o.Version = "1.2.3"
	s := serve(t, o)
	doc := id.NewDocument()
	a := joinBearing(t, s, "peer <a>", i.Token("alice", accesstest.Writes(doc)), wire.Syncline)
	r := newReplica(t, doc, "a")
	for range 3 {
		r.edit("k")
	}
	a.sync(r)
	a.acked(r)
	upgrade(t, s.url, "c").refusal(wire.Local{PeerID: "c"})
	s.settled(t, doc)

	var st struct {
		operate.Status
		// A reason is written and not read.
		Refusals []struct {
			Code    wire.CloseCode
			Address string
		} `json:"refusals"`
	}
	if status, body := s.ask(t, "GET", operate.StatusPath, &st); status != 200 {
		t.Fatalf("%d: %s", status, body)
	}
	if !st.Ready || st.Peer != s.PeerID() || st.Version != "1.2.3" || st.Counts.Connections != 1 || st.Counts.Documents != 1 || st.Counts.Sessions != 1 || st.Counts.Accounts != 1 {
		t.Errorf("have %+v", st)
	}
	if len(st.Conns) != 1 {
		t.Fatalf("%d connections are shown", len(st.Conns))
	}
	c := st.Conns[0]
	if c.Peer != "peer <a>" || c.Account != "alice" || c.Address != "127.0.0.1" || c.Syncline != 1 || c.Documents != 1 || c.BytesIn == 0 || c.BytesOut == 0 || time.Since(c.Since) > patience {
		t.Errorf("have %+v", c)
	}
	if len(st.Rooms) != 1 || st.Rooms[0].Document != doc.String() || st.Rooms[0].Sessions != 1 || st.Rooms[0].Changes != 3 {
		t.Errorf("have %+v", st.Rooms)
	}
	if len(st.Refusals) != 1 || st.Refusals[0].Code != wire.CloseUnauthorised || st.Refusals[0].Address != "127.0.0.1" {
		t.Errorf("have %+v", st.Refusals)
	}
	status, page := s.ask(t, "GET", operate.StatusPath, nil)
	for _, want := range []string{"<html", "peer &lt;a&gt;", "alice", doc.String(), "1.2.3"} {
		if status != 200 || !strings.Contains(page, want) {
			t.Errorf("%d, and the page has no %s", status, want)
		}
	}
}

func TestWhatARelayCanDoIsToldToAll(t *testing.T) {
	i := accesstest.NewIssuer(t)
	o := guarded(i)
	o.MaxFrame, o.MaxDocuments, o.HandshakeTimeout = 12345, 77, 3*time.Second
	s := serve(t, o)
	var c operate.Capabilities
	if status, body := s.ask(t, "GET", operate.CapabilitiesPath, &c); status != 200 {
		t.Fatalf("%d: %s", status, body)
	}
	if c.Name != "syncline" || c.Peer != s.PeerID() || c.Syncline != wire.Syncline || len(c.Protocol) != 1 || !c.Auth.Required || c.Auth.Audience != accesstest.Audience || len(c.Auth.Algorithms) != 3 {
		t.Errorf("have %+v", c)
	}
	if c.Limits["frameBytes"] != 12345 || c.Limits["documentsPerConnection"] != 77 || c.Limits["handshakeMs"] != 3000 {
		t.Errorf("limits are %v", c.Limits)
	}
	open := serve(t, Options{})
	c = operate.Capabilities{}
	if open.ask(t, "GET", operate.CapabilitiesPath, &c); c.Auth.Required || c.Auth.Audience != "" {
		t.Errorf("have %+v", c.Auth)
	}
}

// TestPagesForWhom asks as others do, who are not on this machine.
func TestPagesForWhom(t *testing.T) {
	i := accesstest.NewIssuer(t)
	s := serve(t, guarded(i))
	doc := id.NewDocument()
	c := joinBearing(t, s, "c", i.Token("alice", accesstest.WritesAll), 0)
	r := newReplica(t, doc, "a")
	r.edit("k")
	c.sync(r)
	c.acked(r)
	h := s.Handler()
	from := func(address, token, method, path string) int {
		req := httptest.NewRequest(method, "http://relay.example"+path, nil)
		req.RemoteAddr = address
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res := httptest.NewRecorder()
		h.ServeHTTP(res, req)
		if strings.Contains(res.Body.String(), doc.String()) && res.Code != 200 {
			t.Errorf("%s is refused and names the document", path)
		}
		return res.Code
	}
	keeper := i.Sign(access.Claims{Account: "keeper", Admin: true})
	const away = "203.0.113.7:4711"
	private := []string{operate.MetricsPath, operate.StatusPath, operate.StatusPath + "?json", admin.Path, admin.Path + "/" + doc.String()}
	for _, path := range private {
		for who, token := range map[string]string{"nobody": "", "a writer of all": i.Token("alice", accesstest.WritesAll), "a forger": keeper[:len(keeper)-8] + "AAAAAAAA"} {
			for _, method := range []string{"GET", "DELETE", "POST"} {
				if code := from(away, token, method, path); code != http.StatusForbidden && code != http.StatusUnauthorized {
					t.Errorf("%s %s by %s: %d", method, path, who, code)
				}
			}
		}
		if code := from(away, keeper, "GET", path); code != 200 {
			t.Errorf("%s by who may: %d", path, code)
		}
	}
	for _, path := range []string{operate.HealthPath, operate.ReadyPath, operate.CapabilitiesPath, "/"} {
		if code := from(away, "", "GET", path); code != 200 {
			t.Errorf("%s: %d", path, code)
		}
	}
	if _, err := s.store.DocumentStat(t.Context(), doc); err != nil {
		t.Errorf("somebody deleted the document: %v", err)
	}
}

func TestReadyMeansThatChangesAreTaken(t *testing.T) {
	s := serve(t, Options{})
	if status, body := s.ask(t, "GET", operate.HealthPath, nil); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
	if status, body := s.ask(t, "GET", operate.ReadyPath, nil); status != 200 || body != "ready\n" {
		t.Errorf("%d %q", status, body)
	}
	// No disk has so much room.
	full := serve(t, Options{DiskLowWater: 1 << 62})
	status, body := full.ask(t, "GET", operate.ReadyPath, nil)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "stores nothing below") {
		t.Errorf("%d %q", status, body)
	}
	if status, _ := full.ask(t, "GET", operate.HealthPath, nil); status != 200 {
		t.Errorf("health is %d while nothing can be stored", status)
	}
	for version, peer := range []string{"stock", "syncline"} {
		c := joinAs(t, full.url, wire.Local{PeerID: peer, Metadata: wire.Metadata{Syncline: uint64(version)}})
		r := newReplica(t, id.NewDocument(), peer)
		r.edit("k")
		c.sync(r)
		if code := c.untilClosed(); code != wire.CloseReadOnly {
			t.Errorf("%s: closed with %s", peer, code)
		}
		told := append([]string{}, c.errors...)
		for _, n := range c.notices {
			if n.Code != wire.NoticeStorageFull || n.RetryAfter != 30*time.Second {
				t.Errorf("told %v", n)
			}
			told = append(told, n.Message)
		}
		if len(told) != 1 || len(c.notices) != version || !strings.Contains(told[0], "what you have stays with you") {
			t.Errorf("%s: told %q", peer, told)
		}
	}
}

func TestDocumentsAreListedShownAndDeleted(t *testing.T) {
	s := serve(t, Options{})
	deleted, kept := id.Document{1}, id.Document{2}
	writer, reader, other := join(t, s.url, "writer"), join(t, s.url, "reader"), join(t, s.url, "other")
	rw, rr, ro := newReplica(t, deleted, "writer"), newReplica(t, deleted, "reader"), newReplica(t, kept, "other")
	rw.edit("k")
	rw.edit("k")
	writer.sync(rw)
	writer.acked(rw)
	reader.sync(rr)
	reader.fetch(rr, rw.g.Heads()...)
	ro.edit("k")
	other.sync(ro)
	other.acked(ro)

	var p admin.Page
	if s.ask(t, "GET", admin.Path, &p); len(p.Documents) != 2 || p.Documents[0].ID != deleted.String() || p.Documents[0].Changes != 2 {
		t.Errorf("listed %+v", p)
	}
	p = admin.Page{}
	if s.ask(t, "GET", admin.Path+"?limit=1&after="+deleted.String(), &p); len(p.Documents) != 1 || p.Documents[0].ID != kept.String() || p.Next != kept.String() {
		t.Errorf("listed %+v", p)
	}
	var d admin.Detail
	if s.ask(t, "GET", admin.Path+"/"+deleted.String(), &d); d.Changes != 2 || len(d.Heads) != 1 || d.Heads[0] != rw.g.Heads()[0].String() {
		t.Errorf("shown %+v", d)
	}

	// Both who have it open are closed; the deletion waits for them.
	var gone admin.Deleted
	codes := make(chan wire.CloseCode, 2)
	for _, c := range []*client{writer, reader} {
		go func() { codes <- c.untilClosed() }()
	}
	if status, body := s.ask(t, "DELETE", admin.Path+"/"+deleted.String(), &gone); status != 200 || gone.Changes != 2 || gone.ID != deleted.String() {
		t.Errorf("%d: %s", status, body)
	}
	for range 2 {
		if code := <-codes; code != wire.CloseNormal {
			t.Errorf("closed with %s", code)
		}
	}
	other.alive()
	if status, body := s.ask(t, "GET", admin.Path+"/"+deleted.String(), &d); status != 404 {
		t.Errorf("%d: %s", status, body)
	}
	if status, _ := s.ask(t, "DELETE", admin.Path+"/"+deleted.String(), nil); status != 404 {
		t.Errorf("deleted twice: %d", status)
	}
	// It is gone for who asks, until somebody brings it again.
	late := join(t, s.url, "late")
	rl := newReplica(t, deleted, "late")
	late.sync(rl)
	late.until("it is not there", func() bool { return len(late.unavailable) == 1 })
	rw.begin(nil)
	writer = join(t, s.url, "writer")
	writer.sync(rw)
	writer.acked(rw)
	late.fetch(rl, rw.g.Heads()...)
	if stat, err := s.store.DocumentStat(t.Context(), deleted); err != nil || stat.Changes != 2 {
		t.Errorf("%+v, %v", stat, err)
	}
}
