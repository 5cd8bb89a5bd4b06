package replay

import (
	"fmt"
	"testing"
	"time"

	"syncline/bench/js"
	"syncline/bench/rig"
	"syncline/bench/trace"
)

// shortPaper is how many edits of the paper are typed by default.
const shortPaper = 5000

// The paper is typed by a native peer, each batch of edits an operation that is
// durable before the next, while a second native peer and a stock client look on
// through a relay. All three end with its text and the same heads.
func TestPaperTyped(t *testing.T) {
	tr := open(t, trace.Paper)
	edits := shortPaper
	if rig.Full() {
		edits = len(tr.Edits)
	}
	tr = tr.Prefix(edits)
	js.Require(t)
	for _, perChange := range []int{1, 100} {
		t.Run(fmt.Sprintf("edits=%d/per change=%d", edits, perChange), func(t *testing.T) {
			typePaper(t, tr, perChange)
		})
	}
}

func typePaper(t *testing.T, tr *trace.Trace, perChange int) {
	ctx := rig.Bounded(t)
	before := rig.Conditions()
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

	typed := rig.Get(typist.Do(doc, rig.Batches(tr.Edits, perChange)))(t)
	done := time.Now()
	// What a reader has left to do when the typist is done says whether it keeps up.
	stockLag := make(chan time.Duration, 1)
	stockErr := make(chan error, 1)
	go func() {
		err := stock.WaitHeads(ctx, doc, typed.Heads)
		stockLag <- time.Since(done)
		stockErr <- err
	}()
	err := reader.WaitHeads(doc, typed.Heads)
	readerLag := time.Since(done)
	t.Logf("%d changes typed in %.1f s (%.0f edits/s; a change durable in p50 %v, p99 %v); reader has them %.2f s later",
		typed.Changes, typed.Took.Seconds(), float64(len(tr.Edits))/typed.Took.Seconds(), typed.P50, typed.P99, readerLag.Seconds())
	lag := <-stockLag
	rig.OK(t, err)
	rig.OK(t, <-stockErr)
	t.Logf("stock client has them %.2f s after the last was typed; %s before, %s after", lag.Seconds(), before, rig.Conditions())

	for who, text := range map[string]string{
		"the typist":       rig.Get(typist.Text(doc))(t),
		"the reader":       rig.Get(reader.Text(doc))(t),
		"the stock client": rig.Get(stock.Text(ctx, doc, rig.Collection, rig.Entity, rig.Field))(t),
	} {
		if text != tr.End {
			t.Errorf("%s has a text of %d bytes, not the trace's end of %d", who, len(text), len(tr.End))
		}
	}
	if heads := rig.Get(typist.Heads(doc))(t); fmt.Sprint(heads) != fmt.Sprint(typed.Heads) {
		t.Errorf("the typist's heads became %v after %v", heads, typed.Heads)
	}
	if strays := rig.Get(node.Strays(ctx))(t); len(strays) > 0 {
		t.Errorf("the stock client threw %q", strays)
	}

	counts, out, in := rig.Get(relay.Counts())(t), rig.Get(typist.Traffic())(t), rig.Get(reader.Traffic())(t)
	traffic := rig.Get(stock.Traffic(ctx))(t)
	t.Logf("relay: %s in, %s out, %d changes in, %d out, %d connections of which %d overflowed, %v",
		rig.MB(counts.BytesIn), rig.MB(counts.BytesOut), counts.ChangesIn, counts.ChangesOut, counts.Connections, counts.Overflows, relay.Usage())
	t.Logf("typist: %s sent, %s received, %v", rig.MB(out.BytesOut), rig.MB(out.BytesIn), typist.Usage())
	t.Logf("reader: %s sent, %s received, %v", rig.MB(in.BytesOut), rig.MB(in.BytesIn), reader.Usage())
	t.Logf("stock client: %s sent, %s received in %d messages over %d connections, %v",
		rig.MB(traffic.BytesOut), rig.MB(traffic.BytesIn), traffic.MessagesIn, traffic.Connections, rig.UsageOf(node.Process().Pid))
}
