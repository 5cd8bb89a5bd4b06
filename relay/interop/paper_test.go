package interop

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"syncline/bench/js"
)

// sharedEnv names the folder that holds traces/ and corpus/, which are too large
// for the repository. Unset, it is the folder "shared" beside the module's.
const sharedEnv = "SYNCLINE_SHARED"

// paperBound is how long the trace may take before it counts as stuck: the stock
// client alone needs up to a minute for a document of this size.
const paperBound = 15 * time.Minute

func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(sharedEnv)
	if dir == "" {
		scripts, err := js.Dir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(scripts, "..", "..", "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "traces")); err != nil {
		t.Skipf("needs the editing traces in %s (or %s): %v", dir, sharedEnv, err)
	}
	return dir
}

// The automerge-paper trace, 259,779 changes of one edit each, goes from one
// client through a restarted relay to another. It prints what that costs.
func TestPaperTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	dir := shared(t)
	document, err := os.ReadFile(filepath.Join(dir, "corpus", "documents", "paper-js-1op.automerge"))
	if err != nil {
		t.Fatal(err)
	}
	want := endContent(t, filepath.Join(dir, "traces", "automerge-paper.json.gz"))

	js.Require(t)
	ctx, cancel := context.WithTimeout(context.Background(), paperBound)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, relay: newRelay(t)}
	w.relay.race = false // it is measured

	w.relay.start()
	node := w.startNode()
	uploader := get(node.Open(ctx, js.ClientOptions{URL: w.relay.url(), PeerID: "uploader"}))(t)
	get(uploader.Connected(ctx))(t)
	begun := time.Now()
	made := get(uploader.Import(ctx, document, ""))(t)
	loaded := time.Now()
	w.ok(uploader.WaitAcknowledged(ctx, made.Doc, made.Heads))
	w.report("upload", loaded.Sub(begun), time.Since(loaded), get(uploader.Traffic(ctx))(t))
	node.Kill() // the writer is gone

	w.relay.start()
	w.node = w.startNode()
	fresh := w.client("fresh")
	begun = time.Now()
	get(fresh.Find(ctx, made.Doc))(t)
	w.ok(fresh.WaitHeads(ctx, made.Doc, made.Heads))
	w.report("download", 0, time.Since(begun), get(fresh.Traffic(ctx))(t))

	if got := get(fresh.Text(ctx, made.Doc, "text"))(t); got != want {
		t.Errorf("the text has %d UTF-8 bytes and differs from the trace's end, which has %d", len(got), len(want))
	}
}

// report stops the relay and prints what it took since its start. Times are wall
// clock and include the stock client's own work.
func (w *world) report(what string, load, took time.Duration, traffic js.Traffic) {
	w.t.Helper()
	peak, before := w.relay.peakMemory(), w.relay.cpu
	w.relay.stop()
	w.t.Logf("%s: client loads %.1f s, sync %.1f s; client to relay %.3f MB in %d messages, relay to client %.3f MB in %d messages; relay %.2f CPU s, peak memory %.0f MiB",
		what, load.Seconds(), took.Seconds(),
		float64(traffic.BytesOut)/1e6, traffic.MessagesOut, float64(traffic.BytesIn)/1e6, traffic.MessagesIn,
		(w.relay.cpu - before).Seconds(), float64(peak)/(1<<20))
}

func endContent(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var trace struct {
		EndContent string `json:"endContent"`
	}
	if err := json.NewDecoder(unzipped).Decode(&trace); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return trace.EndContent
}
