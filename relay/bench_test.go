package relay

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/crdt/session"
	"syncline/relay/wire"
)

// BenchmarkEdit is one edit from one client to another through a relay on this
// machine, durable in between.
func BenchmarkEdit(b *testing.B) {
	s := serve(b, Options{})
	doc := id.NewDocument()
	from, to := join(b, s.url, "from"), join(b, s.url, "to")
	rf, rt := newReplica(b, doc, "from"), newReplica(b, doc, "to")
	rf.edit("k")
	from.sync(rf)
	from.acked(rf)
	to.sync(rt)
	to.acked(rt)
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		change := rf.edit("k")
		from.sync(rf)
		to.fetch(rt, change.Hash)
		times = append(times, time.Since(start))
		from.acked(rf)
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkUpload is a history of 260,000 changes, uploaded as one document chunk
// and durable.
func BenchmarkUpload(b *testing.B) {
	document, err := os.ReadFile(filepath.Join(sharedDir(b), "corpus", "documents", "paper-js-1op.automerge"))
	if err != nil {
		b.Skip(err)
	}
	changes, err := chunk.ParseDocument(document)
	if err != nil {
		b.Fatal(err)
	}
	g := graph.New()
	for _, c := range changes {
		if err := g.Add(graph.MetaOf(c)); err != nil {
			b.Fatal(err)
		}
	}
	g.Publish(make([]int64, len(changes)))
	s := serve(b, Options{})
	c := join(b, s.url, "p")
	b.SetBytes(int64(len(document)))
	for b.Loop() {
		m := &session.Message{V2: true, Heads: g.Heads(), Have: []session.Have{{LastSync: g.Heads()}}, Chunks: [][]byte{document}, HasFlags: true, Flags: session.SupportsSyncReset}
		c.send(&wire.Sync{Route: c.route(), Document: id.NewDocument(), Data: m.Encode()})
		for {
			got, err := c.next()
			if err != nil {
				b.Fatal(err)
			}
			if answer, ok := got.(*wire.Sync); ok {
				if m, err := session.Decode(answer.Data); err != nil || !slices.Equal(m.Heads, g.Heads()) {
					b.Fatalf("answered with heads %v, %v", m.Heads, err)
				}
				break
			}
		}
	}
}
