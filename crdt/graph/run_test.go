package graph

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"syncline/crdt/chunk"
	"syncline/crdt/id"
)

// runMetas draws a history with gaps between the rows, and objects.
func runMetas(t *rapid.T) []Meta {
	metas := history(rapid.IntRange(0, 200).Draw(t, "changes"), rapid.IntRange(1, 5).Draw(t, "actors"))
	row := int64(0)
	for i := range metas {
		row += 1 + rapid.Int64Range(0, 3).Draw(t, "gap")/2
		metas[i].Row = row
		if rapid.IntRange(0, 9).Draw(t, "makes") == 0 {
			metas[i].Makes = []chunk.Make{{Counter: metas[i].StartOp, Kind: chunk.KindText}}
		}
	}
	return metas
}

func metasOf(t *rapid.T, r *Run) (out []Meta) {
	err := r.Metas(func(i int, m *Meta) bool {
		c := *m
		c.Deps, c.Makes = append([]id.Hash(nil), m.Deps...), append([]chunk.Make(nil), m.Makes...)
		out = append(out, c)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRunsLoadTheSameGraph cuts a history anywhere and loads it from runs.
func TestRunsLoadTheSameGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		metas := runMetas(t)
		cut := rapid.IntRange(0, len(metas)).Draw(t, "cut")
		want, got := load(nil, metas), New()
		at := 0
		for _, part := range [][]Meta{metas[:cut], metas[cut:]} {
			r, err := OpenRun(EncodeRun(part))
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range metasOf(t, r) {
				orig := part[i]
				if !reflect.DeepEqual(m, orig) {
					t.Fatalf("change %d came out as %+v, want %+v", at+i, m, orig)
				}
				if r.Row(i) != orig.Row || r.Hash(i) != orig.Hash {
					t.Fatalf("change %d has row %d, want %d", at+i, r.Row(i), orig.Row)
				}
				if j, ok := r.Find(orig.Row); !ok || j != i {
					t.Fatalf("row %d was found at %d %v, want %d", orig.Row, j, ok, i)
				}
				if _, ok := r.Find(orig.Row + 1); ok && (i+1 == len(part) || part[i+1].Row != orig.Row+1) {
					t.Fatalf("row %d was found, which the run does not have", orig.Row+1)
				}
			}
			at += len(part)
			if err := got.AddRun(r); err != nil {
				t.Fatal(err)
			}
			got.Publish(nil)
		}
		if got.Len() != want.Len() || !slices.Equal(got.Heads(), want.Heads()) {
			t.Fatalf("%d changes and heads %v, want %d and %v", got.Len(), got.Heads(), want.Len(), want.Heads())
		}
		for n := range want.Nodes() {
			if !reflect.DeepEqual(got.Meta(n), want.Meta(n)) {
				t.Fatalf("node %d is %+v, want %+v", n, got.Meta(n), want.Meta(n))
			}
		}
	})
}

func TestRunIsRefusedWhenABitIsWrong(t *testing.T) {
	b := EncodeRun(history(50, 3))
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 4
		if _, err := OpenRun(c); !errors.Is(err, ErrRun) {
			t.Fatalf("byte %d was changed and the run was read: %v", i, err)
		}
	}
}

// FuzzRun puts the checksum right, so that what lies behind it is reached.
func FuzzRun(f *testing.F) {
	for _, n := range []int{0, 1, 40} {
		b := EncodeRun(history(n, 3))
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := OpenRun(sum(b))
		if err != nil {
			return
		}
		g := New()
		if g.AddRun(r) == nil {
			g.Publish(nil)
		}
		r.Find(1)
	})
}

func BenchmarkRun(b *testing.B) {
	blob := EncodeRun(history(250_000, 3))
	b.ReportMetric(float64(len(blob))/250_000, "bytes/change")
	for b.Loop() {
		r, err := OpenRun(blob)
		if err != nil {
			b.Fatal(err)
		}
		g := New()
		if err := g.AddRun(r); err != nil {
			b.Fatal(err)
		}
		g.Publish(nil)
	}
	b.ReportMetric(float64(b.N)*250_000/b.Elapsed().Seconds(), "changes/s")
}
