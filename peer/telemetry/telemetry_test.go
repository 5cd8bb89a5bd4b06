package telemetry

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"syncline/crdt"
	"syncline/peer"
)

func gather(t *testing.T, p *peer.Peer, o Options) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(p, o))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			role := ""
			for _, l := range m.GetLabel() {
				if l.GetName() == "role" {
					role = l.GetValue()
				} else {
					name += "," + l.GetValue()
				}
			}
			if role != "peer" {
				t.Errorf("%s has the role %q", name, role)
			}
			switch {
			case m.GetCounter() != nil:
				values[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				values[name] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				values[name] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return values
}

func TestCollectorTellsHowThePeerStands(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	at := time.UnixMilli(1_700_000_000_000)
	open := func(name string, o peer.Options) *peer.Peer {
		o.Now = func() time.Time { return at }
		p, err := peer.Open(ctx, filepath.Join(t.TempDir(), name), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	ada, ben := open("ada.db", peer.Options{}), open("ben.db", peer.Options{})
	doc, err := ada.Create(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, err := doc.Do(ctx, crdt.Create("items", "milk", nil))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Now: func() time.Time { return at.Add(90 * time.Second) }}
	got := gather(t, ada, o)
	if got["syncline_pending_changes"] != 1 || got["syncline_oldest_pending_seconds"] != 90 || got["syncline_reconciliation_duration_seconds"] != 0 {
		t.Errorf("offline: %v", got)
	}
	l, err := ben.Listen(ctx, "127.0.0.1:0", peer.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ada.Connect(peer.Remote{URL: l.URL()}); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- ada.Run(running) }()
	if err := r.Wait(ctx, peer.Acknowledged); err != nil {
		t.Fatal(err)
	}
	got = gather(t, ada, o)
	for name, want := range map[string]float64{
		"syncline_pending_changes": 0, "syncline_oldest_pending_seconds": 0, "syncline_reconciliation_duration_seconds": 1,
		"syncline_remotes,connected": 1, "syncline_remotes,waiting": 0, "syncline_changes_sent_total": 1,
		"syncline_retries_total,refused": 0, "syncline_divergences_total,twin": 0, "syncline_undelivered_documents,dead": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
	if got["syncline_sent_bytes_total"] == 0 || got["syncline_messages_received_total"] == 0 {
		t.Errorf("traffic: %v", got)
	}
	if theirs := gather(t, ben, o); theirs["syncline_changes_received_total"] != 1 {
		t.Errorf("ben: %v", theirs)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	sent := gather(t, ada, o)["syncline_sent_bytes_total"]
	if sent < got["syncline_sent_bytes_total"] {
		t.Error("what a connection has counted goes with it")
	}
	ada.Close()
	if v, ok := gather(t, ada, o)["syncline_sent_bytes_total"]; !ok || v != sent {
		t.Errorf("of a closed peer: %v", v)
	}
}

// The package comment has all names, and the names are the relay's where it has them.
func TestNamesAreTheDocumentedOnes(t *testing.T) {
	p, err := peer.Open(t.Context(), filepath.Join(t.TempDir(), "p.db"), peer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ch := make(chan *prometheus.Desc, 100)
	NewCollector(p, Options{}).Describe(ch)
	close(ch)
	var have []string
	for d := range ch {
		have = append(have, regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1])
	}
	source, err := os.ReadFile("telemetry.go")
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	comment, _, _ := strings.Cut(string(source), "\npackage telemetry")
	for _, m := range regexp.MustCompile(`(?m)^//\t(syncline_\w+)`).FindAllStringSubmatch(comment, -1) {
		said = append(said, m[1])
	}
	slices.Sort(have)
	slices.Sort(said)
	if !slices.Equal(have, said) {
		t.Errorf("there is %q\nand the comment has %q", have, said)
	}
	relay, err := os.ReadFile(filepath.Join("..", "..", "relay", "operate", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range have {
		own := slices.Contains([]string{
			"syncline_retries_total", "syncline_pending_changes", "syncline_oldest_pending_seconds",
			"syncline_undelivered_documents", "syncline_remotes", "syncline_reconciliation_duration_seconds",
			"syncline_conflicts_settled_total", "syncline_unsettled_conflicts",
		}, name)
		if shared := strings.Contains(string(relay), "`"+name+"`"); shared == own {
			t.Errorf("%s: shared with the relay: %v", name, shared)
		}
	}
}
