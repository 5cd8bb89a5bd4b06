package js_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"syncline/bench/js"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound is how long a test may hang before it fails; nothing waits for it.
const bound = 2 * time.Minute

func start(t *testing.T) (context.Context, *js.Automerge) {
	t.Helper()
	js.Require(t)
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	t.Cleanup(cancel)
	a, err := js.StartAutomerge(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return ctx, a
}

func TestHistoriesDependOnTheirSeedAlone(t *testing.T) {
	ctx, a := start(t)
	first, err := a.Histories(ctx, 7, 3, js.Sizes{Least: 5, Most: 20})
	if err != nil {
		t.Fatal(err)
	}
	again, err := a.Histories(ctx, 9, 1, js.Sizes{Least: 5, Most: 20})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first[2].Heads, again[0].Heads) || !bytes.Equal(first[2].Saved, again[0].Saved) {
		t.Fatal("the history of seed 9 differs between two calls")
	}
	if slices.Equal(first[0].Heads, first[1].Heads) {
		t.Fatal("two seeds made the same history")
	}
	for _, h := range first {
		if n := len(h.Changes); n < 5 {
			t.Errorf("%d changes, want at least 5", n)
		}
	}
}

func TestHistoriesCoverWhatTheyPromise(t *testing.T) {
	ctx, a := start(t)
	hs, err := a.Histories(ctx, 1, 60, js.Sizes{})
	if err != nil {
		t.Fatal(err)
	}
	var docs strings.Builder
	conflicting := 0
	for _, h := range hs {
		docs.Write(h.Doc)
		if len(h.Heads) > 1 {
			conflicting++
		}
	}
	for _, want := range []string{"$counter", "$date", "$bytes", "$scalar", "\ufffc", "😀", "null", "[]"} {
		if !strings.Contains(docs.String(), want) {
			t.Errorf("no document holds %s", want)
		}
	}
	if conflicting == 0 {
		t.Error("no history has several heads")
	}
	if strings.Contains(docs.String(), `{"value":`) {
		t.Error("a number's wrapper was stored as a map")
	}
}

func TestEveryFormOfAHistoryHoldsTheSame(t *testing.T) {
	ctx, a := start(t)
	hs, err := a.Histories(ctx, 100, 10, js.Sizes{})
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range hs {
		for name, chunks := range map[string][][]byte{
			"saved": {h.Saved}, "changes": h.Changes, "joined": {bytes.Join(h.Changes, nil)},
		} {
			got, err := a.Inspect(ctx, chunks...)
			if err != nil {
				t.Fatalf("history %d, %s: %v", i, name, err)
			}
			if !slices.Equal(got.Heads, h.Heads) || !bytes.Equal(got.Doc, h.Doc) {
				t.Errorf("history %d, %s: other heads or content", i, name)
			}
		}
	}
}

func TestTwoEndsSyncThroughHandles(t *testing.T) {
	ctx, a := start(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	left, err := a.Create(ctx, "aa01")
	must(err)
	_, err = left.Change(ctx, js.Set(js.At("text"), "hello"), js.Set(js.At("n"), js.Counter(3)))
	must(err)
	right, err := left.Fork(ctx, "bb02")
	must(err)
	_, err = left.Random(ctx, 1, 10)
	must(err)
	_, err = right.Random(ctx, 2, 10)
	must(err)

	ls, err := a.NewSyncState(ctx)
	must(err)
	rs, err := a.NewSyncState(ctx)
	must(err)
	for round := 0; ; round++ {
		lm, err := left.Generate(ctx, ls)
		must(err)
		if lm != nil {
			_, err = right.Receive(ctx, rs, lm)
			must(err)
		}
		rm, err := right.Generate(ctx, rs)
		must(err)
		if rm != nil {
			_, err = left.Receive(ctx, ls, rm)
			must(err)
		}
		if lm == nil && rm == nil {
			break
		}
		if round > 10 {
			t.Fatal("no end after ten rounds")
		}
	}
	ld, err := left.Dump(ctx)
	must(err)
	rd, err := right.Dump(ctx)
	must(err)
	if !slices.Equal(ld.Heads, rd.Heads) || !bytes.Equal(ld.Doc, rd.Doc) {
		t.Fatalf("apart after sync:\n%s\n%s", ld.Doc, rd.Doc)
	}

	data, err := ls.Encode(ctx)
	must(err)
	resumed, err := a.DecodeSyncState(ctx, data)
	must(err)
	m, err := left.Generate(ctx, resumed)
	must(err)
	described, err := a.Describe(ctx, m)
	must(err)
	if !slices.Equal(described.Heads, ld.Heads) || len(described.Have) != 1 || !slices.Equal(described.Have[0].LastSync, ld.Heads) {
		t.Fatalf("a resumed session begins with %+v", described)
	}
}

func TestAnErrorInJavaScriptNamesTheMethod(t *testing.T) {
	ctx, a := start(t)
	_, err := a.Load(ctx, []byte("not a document"), "")
	var thrown *js.Error
	if !errors.As(err, &thrown) || thrown.Method != "load" || thrown.Stack == "" {
		t.Fatalf("got %v", err)
	}
	if _, err := a.Histories(ctx, 1, 1, js.Sizes{Least: 1, Most: 2}); err != nil {
		t.Fatalf("the worker did not survive its error: %v", err)
	}
}

func TestACallEndsWithItsWorker(t *testing.T) {
	ctx, a := start(t)
	failed := make(chan error, 1)
	go func() {
		_, err := a.Histories(ctx, 1, 1_000_000, js.Sizes{})
		failed <- err
	}()
	a.Kill()
	if err := <-failed; err == nil {
		t.Fatal("a call to a killed worker succeeded")
	}
	if err := a.Call(ctx, "create", nil, nil); err == nil {
		t.Fatal("a call after the end succeeded")
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	ctx, a := start(t)
	d, err := a.Create(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.Dump(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := d.Dump(ctx); err != nil {
		t.Fatalf("the worker did not survive an abandoned call: %v", err)
	}
}

func TestInstallFindsWhatIsInstalled(t *testing.T) {
	js.Require(t)
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	if err := js.Install(ctx); err != nil {
		t.Fatal(err)
	}
}
