package replay

import (
	"fmt"
	"testing"
	"time"

	"syncline/bench/js"
	"syncline/bench/rig"
	"syncline/bench/trace"
	"syncline/peer"
)

// How many edits of the paper are typed by default, by the race detector, and by what
// only shows that it runs.
const (
	shortPaper = 5000
	racedPaper = 1000
	tinyPaper  = 300
)

// The paper is typed by a native peer, each batch of edits an operation that is
// durable before the next, while a second native peer and a stock client look on
// through a relay. All three end with its text and the same heads.
func TestPaperTyped(t *testing.T) {
	tr := open(t, trace.Paper)
	switch {
	case testing.Short():
		tr = tr.Prefix(tinyPaper)
	case rig.RaceDetector:
		tr = tr.Prefix(racedPaper)
	case !rig.Full():
		tr = tr.Prefix(shortPaper)
	}
	for _, perChange := range []int{1, 100} {
		t.Run(fmt.Sprintf("edits=%d/per change=%d", len(tr.Edits), perChange), func(t *testing.T) {
			typePaper(t, tr, perChange).log(t)
		})
	}
}

// BenchmarkPaperTyped is the same as figures: of the whole paper with
// SYNCLINE_FULL=1, of a few edits if it is only to show that it runs.
func BenchmarkPaperTyped(b *testing.B) {
	tr := open(b, trace.Paper)
	switch {
	case rig.Tiny():
		tr = tr.Prefix(tinyPaper)
	case !rig.Full():
		tr = tr.Prefix(shortPaper)
	}
	for _, perChange := range []int{1, 100} {
		b.Run(fmt.Sprintf("edits=%d/per-change=%d", len(tr.Edits), perChange), func(b *testing.B) {
			for b.Loop() {
				typePaper(b, tr, perChange).report(b)
			}
		})
	}
}

// figures are what typing the paper took.
type figures struct {
	edits                int
	typed                rig.Typed
	readerLag, stockLag  time.Duration // from the last change to all of them
	counts               rig.Counts
	sent, received       peer.Traffic // by the typist, by the reader
	stock                js.Traffic
	relay, typist        rig.Usage
	reader, stockProcess rig.Usage
	before, after        string // conditions
}

func typePaper(t testing.TB, tr *trace.Trace, perChange int) (f figures) {
	js.Require(t)
	ctx := rig.Bounded(t)
	f.before, f.edits = rig.Conditions(), len(tr.Edits)
	relay := rig.StartRelay(t)
	typist := rig.StartPeer(t, rig.PeerOptions{Remotes: []string{relay.URL}})
	reader := rig.StartPeer(t, rig.PeerOptions{Remotes: []string{relay.URL}})
	node := rig.Get(js.StartRepo(ctx))(t)
	defer node.Close()
	stock := rig.Get(node.Open(ctx, js.ClientOptions{URL: relay.URL, PeerID: "stock"}))(t)
	rig.Get(stock.Connected(ctx))(t)

	doc := rig.Get(typist.Create())(t)
	rig.OK(t, reader.Fetch(doc))
	rig.OK(t, reader.WaitHeads(doc, rig.Get(typist.Heads(doc))(t)))
	rig.Get(stock.Find(ctx, doc))(t) // the relay has it, or the reader would not

	f.typed = rig.Get(typist.Do(doc, rig.Batches(tr.Edits, perChange)))(t)
	done := time.Now()
	// What a reader has left to do when the typist is done says whether it keeps up.
	stockErr := make(chan error, 1)
	go func() {
		err := stock.WaitHeads(ctx, doc, f.typed.Heads)
		f.stockLag = time.Since(done)
		stockErr <- err
	}()
	err := reader.WaitHeads(doc, f.typed.Heads)
	f.readerLag = time.Since(done)
	rig.OK(t, <-stockErr)
	rig.OK(t, err)

	for who, text := range map[string]string{
		"the typist":       rig.Get(typist.Text(doc))(t),
		"the reader":       rig.Get(reader.Text(doc))(t),
		"the stock client": rig.Get(stock.Text(ctx, doc, rig.Collection, rig.Entity, rig.Field))(t),
	} {
		if text != tr.End {
			t.Errorf("%s has a text of %d bytes, not the trace's end of %d", who, len(text), len(tr.End))
		}
	}
	if heads := rig.Get(typist.Heads(doc))(t); fmt.Sprint(heads) != fmt.Sprint(f.typed.Heads) {
		t.Errorf("the typist's heads became %v after %v", heads, f.typed.Heads)
	}
	if strays := rig.Get(node.Strays(ctx))(t); len(strays) > 0 {
		t.Errorf("the stock client threw %q", strays)
	}

	f.counts, f.sent, f.received = rig.Get(relay.Counts())(t), rig.Get(typist.Traffic())(t), rig.Get(reader.Traffic())(t)
	f.stock, f.stockProcess = rig.Get(stock.Traffic(ctx))(t), rig.UsageOf(node.Process().Pid)
	f.relay, f.typist, f.reader, f.after = relay.Usage(), typist.Usage(), reader.Usage(), rig.Conditions()
	for _, p := range []*rig.Process{typist.Process, reader.Process, relay.Process} {
		p.Stop()
	}
	return f
}

func (f figures) log(t testing.TB) {
	t.Helper()
	t.Logf("%d changes typed in %.1f s: %.0f edits/s; each durable in p50 %v, p99 %v; %s before, %s after",
		f.typed.Changes, f.typed.Took.Seconds(), float64(f.edits)/f.typed.Took.Seconds(), f.typed.P50, f.typed.P99, f.before, f.after)
	t.Logf("after the last one the reader has all in %.2f s, the stock client in %.2f s", f.readerLag.Seconds(), f.stockLag.Seconds())
	t.Logf("relay: %s in, %s out, %d changes in, %d out, %d connections of which %d overflowed, %v",
		rig.MB(f.counts.BytesIn), rig.MB(f.counts.BytesOut), f.counts.ChangesIn, f.counts.ChangesOut, f.counts.Connections, f.counts.Overflows, f.relay)
	t.Logf("typist: %s sent, %s received, %v", rig.MB(f.sent.BytesOut), rig.MB(f.sent.BytesIn), f.typist)
	t.Logf("reader: %s sent, %s received, %v", rig.MB(f.received.BytesOut), rig.MB(f.received.BytesIn), f.reader)
	t.Logf("stock client: %s sent, %s received in %d messages over %d connections, %v",
		rig.MB(f.stock.BytesOut), rig.MB(f.stock.BytesIn), f.stock.MessagesIn, f.stock.Connections, f.stockProcess)
}

func (f figures) report(b *testing.B) {
	const mb = 1e6
	b.ReportMetric(float64(f.edits)/f.typed.Took.Seconds(), "edits/s")
	b.ReportMetric(f.typed.P50.Seconds()*1e3, "durable-p50-ms")
	b.ReportMetric(f.typed.P99.Seconds()*1e3, "durable-p99-ms")
	b.ReportMetric(f.readerLag.Seconds(), "reader-lag-s")
	b.ReportMetric(f.stockLag.Seconds(), "stock-lag-s")
	b.ReportMetric(float64(f.counts.BytesIn)/mb, "relay-in-MB")
	b.ReportMetric(float64(f.counts.BytesOut)/mb, "relay-out-MB")
	b.ReportMetric(f.relay.CPU.Seconds(), "relay-CPU-s")
	b.ReportMetric(float64(f.relay.Peak)/mb, "relay-peak-MB")
	b.ReportMetric(float64(f.typist.Peak)/mb, "typist-peak-MB")
	b.ReportMetric(float64(f.reader.Peak)/mb, "reader-peak-MB")
	b.ReportMetric(float64(f.stockProcess.Peak)/mb, "stock-peak-MB")
}
