package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"syncline/bench/js"
)

func TestADocumentOfOneClientIsFoundByAnother(t *testing.T) {
	w := newWorld(t, true)
	alice, bob := w.client("alice"), w.client("bob")
	made := get(alice.Create(w.ctx, js.Set(js.At("title"), "groceries"), js.Set(js.At("n"), 7)))(t)
	w.ok(alice.WaitAcknowledged(w.ctx, made.Doc, nil))

	get(bob.Find(w.ctx, made.Doc))(t)
	d := w.same(made.Doc, made.Heads, alice, bob)
	if string(d.Doc) != `{"n":7,"title":"groceries"}` {
		t.Fatalf("both show %s", d.Doc)
	}

	// And back: bob's edit reaches alice, who asked for nothing.
	heads := get(bob.Change(w.ctx, made.Doc, js.Set(js.At("title"), "shopping")))(t)
	w.same(made.Doc, heads, alice, bob)
}

func TestAnUnknownDocumentIsUnavailable(t *testing.T) {
	w := newWorld(t, true)
	alice, bob := w.client("alice"), w.client("bob")
	known := get(alice.Create(w.ctx, js.Set(js.At("here"), true)))(t)
	unknown := get(w.node.NewDocumentID(w.ctx))(t)
	if _, err := bob.Find(w.ctx, unknown); !errors.Is(err, js.ErrUnavailable) {
		t.Fatalf("want %v, have %v", js.ErrUnavailable, err)
	}
	// The refusal was about that document, not about the connection.
	w.ok(alice.WaitAcknowledged(w.ctx, known.Doc, nil))
	get(bob.Find(w.ctx, known.Doc))(t)
	w.same(known.Doc, known.Heads, alice, bob)
}

func TestALateJoinerFindsWhatAWriterLeft(t *testing.T) {
	w := newWorld(t, true)
	writers := w.startNode()
	writer := get(writers.Open(w.ctx, js.ClientOptions{URL: w.relay.url(), PeerID: "writer"}))(t)
	get(writer.Connected(w.ctx))(t)
	made := get(writer.Create(w.ctx, js.Set(js.At("text"), "")))(t)
	var heads []string
	for i := range 50 {
		heads = get(writer.Change(w.ctx, made.Doc, js.Append(js.At("text"), fmt.Sprintf("%d,", i))))(t)
	}
	w.ok(writer.WaitAcknowledged(w.ctx, made.Doc, heads))
	left := get(writer.Dump(w.ctx, made.Doc))(t)
	writers.Kill()

	for _, peer := range []string{"late", "after a restart"} {
		late := w.client(peer)
		get(late.Find(w.ctx, made.Doc))(t)
		w.ok(late.WaitHeads(w.ctx, made.Doc, heads))
		if d := get(late.Dump(w.ctx, made.Doc))(t); string(d.Doc) != string(left.Doc) {
			t.Fatalf("the writer left %s, %s sees %s", left.Doc, peer, d.Doc)
		}
		w.ok(late.Close(w.ctx))
		w.relay.stop()
		w.relay.start()
	}
}

// concurrent is a document and two edits that know nothing of each other.
type concurrent struct {
	base       []js.Op
	left       []js.Op
	right      []js.Op
	want       func(doc string) error // of the merged content, as JSON
	spans      js.Path                // a text whose marks and blocks must agree too
	wantMarked []string               // parts that the spans must show
}

var text = js.At("text")

var concurrents = map[string]concurrent{
	"maps": {
		base:  []js.Op{js.Set(js.At("m"), map[string]any{"gone": 1, "both": 0})},
		left:  []js.Op{js.Set(js.At("m", "l"), 1.5), js.Set(js.At("m", "both"), "left"), js.Delete(js.At("m", "gone"))},
		right: []js.Op{js.Set(js.At("m", "r"), js.Date(1e12)), js.Set(js.At("m", "both"), js.Scalar("right"))},
		want:  contains(`"l":1.5`, `"r":{"$date":1000000000000}`, `"both":`),
	},
	"lists": {
		base:  []js.Op{js.Set(js.At("l"), []any{"a", "b", "c", "d"})},
		left:  []js.Op{js.Insert(js.At("l"), 1, "left1", js.Bytes("c0ffee")), js.Remove(js.At("l"), 5, 1)},
		right: []js.Op{js.Insert(js.At("l"), 1, "right1"), js.Set(js.At("l", 0), nil), js.Push(js.At("l"), "end")},
		want:  contains(`"left1",{"$bytes":"c0ffee"}`, `"right1"`, `"end"]`, `[null,`, `"b","c"`),
	},
	"text": {
		base:  []js.Op{js.Set(text, "The fox jumps 漢.")},
		left:  []js.Op{js.Splice(text, 4, 0, "quick "), js.Splice(text, 0, 3, "A")},
		right: []js.Op{js.Splice(text, 7, 0, " 😀"), js.Append(text, " End")},
		want:  contains(`"A quick fox 😀 jumps 漢. End"`),
	},
	"counters": {
		base:  []js.Op{js.Set(js.At("n"), js.Counter(10)), js.Set(js.At("l"), []any{js.Counter(0)})},
		left:  []js.Op{js.Increment(js.At("n"), 5), js.Increment(js.At("l", 0), 1)},
		right: []js.Op{js.Increment(js.At("n"), -3), js.Increment(js.At("l", 0), 1)},
		want:  contains(`"n":{"$counter":12}`, `"l":[{"$counter":2}]`),
	},
	"marks": {
		base:       []js.Op{js.Set(text, "one two three"), js.Mark(text, 0, 13, "old", true)},
		left:       []js.Op{js.Mark(text, 0, 7, "bold", true), js.Unmark(text, 4, 7, "old")},
		right:      []js.Op{js.Mark(text, 4, 13, "link", "https://example.org"), js.Splice(text, 3, 0, "!")},
		want:       contains(`"one! two three"`),
		spans:      text,
		wantMarked: []string{`"bold":true`, `"link":"https://example.org"`, `"old":true`},
	},
	"block markers": {
		base:       []js.Op{js.Set(text, "heading body list"), js.SplitBlock(text, 0, "paragraph")},
		left:       []js.Op{js.UpdateBlock(text, 0, "heading"), js.Append(text, "!")},
		right:      []js.Op{js.SplitBlock(text, 9, "list-item"), js.SplitBlock(text, 15, "list-item"), js.JoinBlock(text, 15)},
		want:       contains("\ufffcheading \ufffcbody list!"),
		spans:      text,
		wantMarked: []string{`"heading"`, `"list-item"`},
	},
}

func contains(parts ...string) func(string) error {
	return func(doc string) error {
		for _, p := range parts {
			if !strings.Contains(doc, p) {
				return fmt.Errorf("%s lacks %s", doc, p)
			}
		}
		return nil
	}
}

// Edits made apart and edits made while connected end alike everywhere, at a
// client that only watches too.
func TestConcurrentEditsConverge(t *testing.T) {
	w := newWorld(t, true)
	left, right, watcher := w.client("left"), w.client("right"), w.client("watcher")
	for name, c := range concurrents {
		for _, apart := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/apart=%t", name, apart), func(t *testing.T) {
				w := &world{t: t, ctx: w.ctx, relay: w.relay, node: w.node}
				made := get(left.Create(w.ctx, c.base...))(t)
				w.ok(left.WaitAcknowledged(w.ctx, made.Doc, nil))
				for _, other := range []*js.Client{right, watcher} {
					get(other.Find(w.ctx, made.Doc))(t)
					w.ok(other.WaitHeads(w.ctx, made.Doc, made.Heads))
				}

				if apart {
					w.ok(left.Disconnect(w.ctx))
					w.ok(right.Disconnect(w.ctx))
				}
				// The stock client waits 100 ms before it sends a change, so while
				// connected too neither edit knows the other, unless the machine is busy.
				l := get(left.Change(w.ctx, made.Doc, c.left...))(t)
				r := get(right.Change(w.ctx, made.Doc, c.right...))(t)
				if apart {
					w.ok(left.Connect(w.ctx))
					w.ok(right.Connect(w.ctx))
				}

				d := w.same(made.Doc, slices.Concat(l, r), left, right, watcher)
				c := c
				if !apart && len(d.Heads) < 2 { // one knew the other: then they only have to agree
					c.want, c.wantMarked = contains(), nil
				}
				if err := c.want(string(d.Doc)); err != nil {
					t.Error(err)
				}
				if c.spans != nil {
					w.sameSpans(made.Doc, c.spans, c.wantMarked, left, right, watcher)
				}
			})
		}
	}
}

func (w *world) sameSpans(doc string, path js.Path, want []string, clients ...*js.Client) {
	w.t.Helper()
	var first json.RawMessage
	for _, c := range clients {
		spans := get(c.Spans(w.ctx, doc, path...))(w.t)
		if first == nil {
			first = spans
			if err := contains(want...)(string(spans)); err != nil {
				w.t.Error(err)
			}
		}
		if string(spans) != string(first) {
			w.t.Errorf("marks and blocks differ:\n%s\n%s", first, spans)
		}
	}
}

func TestAClientCutOffWhileWritingCatchesUp(t *testing.T) {
	const cuts = 5
	if reference {
		// Seen in half of the runs.
		t.Skip("the reference believes for ever that what it sent into a cut connection has arrived, and goes on answering")
	}
	w := newWorld(t, true)
	alice, bob := w.client("alice"), w.client("bob")
	made := get(alice.Create(w.ctx, js.Set(text, "")))(t)
	w.ok(alice.WaitAcknowledged(w.ctx, made.Doc, nil))
	get(bob.Find(w.ctx, made.Doc))(t)
	var heads []string
	for round := range cuts {
		for i := range 20 {
			a := get(alice.Change(w.ctx, made.Doc, js.Append(text, "a")))(t)
			b := get(bob.Change(w.ctx, made.Doc, js.Append(text, "b")))(t)
			heads = slices.Concat(a, b)
			if i == 4*round {
				w.ok(alice.Drop(w.ctx))
			}
		}
		w.same(made.Doc, heads, alice, bob)
	}
	traffic := get(alice.Traffic(w.ctx))(t)
	if traffic.Connections < 1+cuts {
		t.Errorf("%d connections after %d cuts", traffic.Connections, cuts)
	}
}

func TestABurstOfFiveHundredDocuments(t *testing.T) {
	const documents = 500
	w := newWorld(t, true)
	alice := w.client("alice")
	made := each(w, documents, func(i int) (js.State, error) {
		return alice.Create(w.ctx, js.Set(js.At("number"), i), js.Set(text, "document"))
	})
	each(w, documents, func(i int) (any, error) {
		return nil, alice.WaitAcknowledged(w.ctx, made[i].Doc, made[i].Heads)
	})

	bob := w.client("bob")
	each(w, documents, func(i int) (any, error) {
		if _, err := bob.Find(w.ctx, made[i].Doc); err != nil {
			return nil, fmt.Errorf("document %d: %w", i, err)
		}
		if err := bob.WaitHeads(w.ctx, made[i].Doc, made[i].Heads); err != nil {
			return nil, err
		}
		d, err := bob.Dump(w.ctx, made[i].Doc)
		if err == nil && string(d.Doc) != fmt.Sprintf(`{"number":%d,"text":"document"}`, i) {
			err = fmt.Errorf("document %d is %s", i, d.Doc)
		}
		return nil, err
	})
}

// each calls f for 0 to n-1 all at once and returns the results in order.
func each[T any](w *world, n int, f func(i int) (T, error)) []T {
	w.t.Helper()
	results, errs := make([]T, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { results[i], errs[i] = f(i) })
	}
	wg.Wait()
	w.ok(errors.Join(errs...))
	return results
}
