package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func sample() *table {
	t := &table{
		work:  work{name: "w", metrics: []metric{{name: cpuSeconds, format: "%.2f"}, {name: "per second", format: "%.0f", higher: true}}, patience: time.Minute},
		title: "some work", sides: sides(nil),
	}
	for _, cpu := range []float64{3, 1, 2} {
		t.add(ours, figures{cpuSeconds: cpu, "per second": 100}, nil)
	}
	t.add("automerge-repo", nil, fmt.Errorf("wait: %w", errPatience))
	t.add("Hocuspocus", nil, fmt.Errorf("broken"))
	t.add("Hocuspocus", figures{cpuSeconds: 4}, nil)
	t.add("y-websocket", nil, fmt.Errorf("broken"))
	return t
}

func TestTheTableHasMediansAndRatios(t *testing.T) {
	for _, c := range []struct{ server, metric, value, ratio string }{
		{ours, cpuSeconds, "2.00", ""},
		{"Hocuspocus", cpuSeconds, "4.00", "0.50"}, // of the run that succeeded
		{"Hocuspocus", "per second", "-", ""},
		{"automerge-repo", cpuSeconds, "> 60 s", ""},
		{"y-websocket", cpuSeconds, "failed", ""},
	} {
		tb := sample()
		for _, m := range tb.work.metrics {
			if value, ratio := tb.cell(c.server, m); m.name == c.metric && (value != c.value || ratio != c.ratio) {
				t.Errorf("%s of %s is %q, %q", c.metric, c.server, value, ratio)
			}
		}
	}
}

func TestTheTableFitsATerminal(t *testing.T) {
	var plain, markdown strings.Builder
	sample().print(&plain, false)
	sample().print(&markdown, true)
	for line := range strings.Lines(plain.String()) {
		if len(strings.TrimSpace(line)) > 80 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	if want := "| server CPU, s | 2.00 | > 60 s | 4.00 (0.50) | failed |\n"; !strings.Contains(markdown.String(), want) {
		t.Errorf("no %q in\n%s", want, markdown.String())
	}
	for _, w := range works() {
		for _, m := range w.metrics {
			if len(m.name) > 16 {
				t.Errorf("%q does not fit its column", m.name)
			}
		}
	}
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	got, err := choose(works(), "Upload,fanout", func(w work) string { return w.name })
	if err != nil || len(got) != 2 || got[0].name != fanout.name {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose(works(), "fanin", func(w work) string { return w.name }); err == nil {
		t.Error("fanin is taken for a workload")
	}
}
