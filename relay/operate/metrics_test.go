package operate

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"syncline/relay/wire"
)

// described is the line of a metric in the table of README.md.
type described struct {
	kind   string
	labels []string
}

// table is README.md's.
func table(t *testing.T) map[string]described {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\w+) \\| ([a-z, ]*) ?\\| [^|]+ \\|[^|]*\\|$")
	all := make(map[string]described)
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		if _, twice := all[m[1]]; twice {
			t.Errorf("%s is in the table twice", m[1])
		}
		all[m[1]] = described{m[2], strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' })}
	}
	if n := strings.Count(string(text), "\n| `"); n != len(all) {
		t.Errorf("%d lines of the table are readable, of %d", len(all), n)
	}
	return all
}

func TestTheTableAndTheRegistryAreTheSame(t *testing.T) {
	families, err := NewMetrics(MetricsOptions{}).Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := table(t)
	for _, f := range families {
		name := f.GetName()
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		d, ok := want[name]
		if !ok {
			t.Errorf("%s is not in the table", name)
			continue
		}
		delete(want, name)
		if kind := strings.ToLower(f.GetType().String()); kind != d.kind {
			t.Errorf("%s is a %s, in the table a %s", name, kind, d.kind)
		}
		role := false
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			if l.GetName() == "role" && l.GetValue() == "relay" {
				role = true
			} else {
				labels = append(labels, l.GetName())
			}
		}
		if slices.Sort(d.labels); !slices.Equal(labels, d.labels) {
			t.Errorf("%s has the labels %q, in the table %q", name, labels, d.labels)
		}
		if role == strings.HasPrefix(name, relayPrefix) {
			t.Errorf("%s: role %v", name, role)
		}
	}
	if len(want) > 0 {
		t.Errorf("in the table alone: %q", slices.Sorted(maps.Keys(want)))
	}
}

// Each value of a label is said in the table, in the form `value`.
func TestTheTableSaysWhatLabelsMean(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range new(Metrics).families(MetricsOptions{}) {
		if len(f.labels) != 1 {
			continue
		}
		line := regexp.MustCompile("(?m)^\\| `" + f.name + "` .*$").FindString(string(text))
		for _, s := range f.series {
			if !strings.Contains(line, "`"+s.values[0]+"`") {
				t.Errorf("%s: nothing on %q", f.name, s.values[0])
			}
		}
	}
}

func TestNamesFollowTheRules(t *testing.T) {
	m := NewMetrics(MetricsOptions{})
	problems, err := testutil.GatherAndLint(m.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	// A pedantic registry checks that what is collected is what was described.
	strict := prometheus.NewPedanticRegistry()
	strict.MustRegister(newCollector(new(Metrics), MetricsOptions{}))
	if _, err := strict.Gather(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsCountedIsShown(t *testing.T) {
	m := NewMetrics(MetricsOptions{Version: "v9", MaxConnections: 10, Sample: func(m *Metrics) { m.QueueBytes.Set(77) }})
	m.Sockets.BytesIn.Add(5)
	m.ChangesIn.Add(3)
	m.Rejected[RejectUnfit].Inc()
	m.Divergences[DivergedTwin].Inc()
	m.Dropped[DropSender].Inc()
	m.AuthFailures[AuthExpired].Inc()
	m.Joined.Add(2)
	m.Handshakes.Set(1)
	m.Delayed.Add(1500 * time.Millisecond)
	m.Closed(wire.CloseSlow, false)
	m.Closed(wire.CloseNormal, true)
	m.Closed(4999, false)
	m.Refused(Unavailable)
	m.Refused(ReasonOf(wire.CloseNormal))
	m.Committed(3*time.Millisecond, 64)
	m.FannedOut(time.Second)
	m.Compacted(time.Second)
	if n := m.Refusals(); n != 3 {
		t.Errorf("%d refusals", n)
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, s := range f.GetMetric() {
			name := f.GetName()
			for _, l := range s.GetLabel() {
				if l.GetName() != "role" {
					name += " " + l.GetValue()
				}
			}
			switch {
			case s.GetHistogram() != nil:
				got[name] = s.GetHistogram().GetSampleSum()
			case s.GetCounter() != nil:
				got[name] = s.GetCounter().GetValue()
			case s.GetGauge() != nil:
				got[name] = s.GetGauge().GetValue()
			}
		}
	}
	for name, want := range map[string]float64{
		"syncline_received_bytes_total":                      5,
		"syncline_changes_received_total":                    3,
		"syncline_changes_rejected_total unfit":              1,
		"syncline_changes_rejected_total malformed":          0,
		"syncline_divergences_total twin":                    1,
		"syncline_relay_messages_dropped_total wrong_sender": 1,
		"syncline_relay_auth_failures_total expired":         1,
		"syncline_relay_connections joined":                  2,
		"syncline_relay_connections handshake":               1,
		"syncline_relay_connections_limit":                   10,
		"syncline_relay_rate_limit_delay_seconds_total":      1.5,
		"syncline_relay_connections_closed_total slow":       1,
		"syncline_relay_connections_closed_total lost":       1,
		"syncline_relay_connections_closed_total normal":     0,
		"syncline_relay_connections_closed_total other":      1,
		"syncline_relay_refusals_total unavailable":          1,
		"syncline_relay_refusals_total protocol":             1,
		"syncline_relay_queue_bytes":                         77,
		"syncline_commit_changes":                            64,
		"syncline_commit_duration_seconds":                   .003,
		"syncline_relay_fanout_duration_seconds":             1,
		"syncline_relay_compaction_duration_seconds":         1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), not %v", name, v, ok, want)
		}
	}
}

func TestEveryCloseCodeHasAReason(t *testing.T) {
	named := 0
	for code := wire.CloseCode(1000); code < 5000; code++ {
		if strings.HasPrefix(code.String(), "close code ") {
			continue
		}
		named++
		if ReasonOf(code) == Other {
			t.Errorf("%s has no reason", code)
		}
	}
	if named < 11 {
		t.Errorf("only %d codes have a name", named)
	}
	for r := range reasons {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := NewMetrics(MetricsOptions{})
	if n := testing.AllocsPerRun(100, func() {
		m.ChangesOut.Add(2)
		m.Rejected[RejectUnfit].Inc()
		m.Refused(OverLimit)
		m.Closed(wire.CloseSlow, false)
		m.Committed(time.Millisecond, 4)
		m.FannedOut(time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCountingBesideReading(t *testing.T) {
	m := NewMetrics(MetricsOptions{Sample: func(m *Metrics) { m.QueueBytes.Set(1) }})
	r := NewMeter(m)
	var all sync.WaitGroup
	all.Go(func() {
		for i := range 200 {
			r.Tick(begun.Add(time.Duration(i) * time.Second))
		}
	})
	all.Go(func() {
		for i := range 200 {
			r.Traffic(begun.Add(time.Duration(i) * time.Second))
		}
	})
	for range 4 {
		all.Go(func() {
			for range 200 {
				m.ChangesIn.Inc()
				m.Refused(Draining)
				m.Committed(time.Millisecond, 1)
			}
		})
		all.Go(func() {
			if _, err := m.Gatherer().Gather(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := m.ChangesIn.Load(); n != 800 {
		t.Errorf("%d counted", n)
	}
}
