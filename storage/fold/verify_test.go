package fold

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"syncline/crdt/id"
	"syncline/storage"
)

func TestVerifyTellsASoundSegmentFromADamagedOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	changes := history(t, r, 200)
	s := openStore(t)
	put(t, s, r, changes)
	compact(t, s, small)
	have := map[id.Hash]bool{}
	for _, c := range changes {
		have[c.Hash] = true
	}
	has := func(h id.Hash) bool { return have[h] }
	folded, chunks, rows := 0, 0, 0
	var last []byte // of the segment before
	err := s.Segments(t.Context(), doc, func(g storage.Segment) error {
		index, err1 := s.SegmentIndex(t.Context(), g.ID)
		body, err2 := s.SegmentBody(t.Context(), g.ID)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		verify := func(g storage.Segment, index, body []byte) error {
			if !g.Folds {
				return VerifyChunk(g, index, body, has)
			}
			_, err := Verify(g, index, body)
			return err
		}
		if err := verify(g, index, body); err != nil {
			t.Fatalf("a sound segment: %v", err)
		}
		if g.Folds {
			metas, _ := Verify(g, index, body)
			folded, rows = folded+1, rows+len(metas)
		} else {
			chunks++
		}
		for range 200 {
			i, b := bytes.Clone(index), bytes.Clone(body)
			part := i
			if r.IntN(3) > 0 {
				part = b
			}
			part[r.IntN(len(part))] ^= byte(1 + r.IntN(255))
			if verify(g, i, b) == nil {
				t.Fatalf("segment %d of kind %d: a byte is another, and nobody finds it", g.ID, g.Kind)
			}
		}
		short := g
		short.Rows--
		if verify(short, index, body) == nil || verify(g, index, body[:len(body)/2]) == nil || verify(g, nil, body) == nil || verify(g, index, nil) == nil {
			t.Error("a part of a segment passes")
		}
		if g.Folds {
			if last != nil && verify(g, index, last) == nil {
				t.Error("the body of another segment passes")
			}
			last = body
		}
		other := g
		other.Kind = 77
		if verify(other, index, body) == nil {
			t.Error("a segment of an unknown kind passes")
		}
		return nil
	})
	if err != nil || folded == 0 || chunks == 0 || rows < 100 {
		t.Errorf("%d folding segments with %d rows and %d chunks were looked at, %v", folded, rows, chunks, err)
	}
	has = func(id.Hash) bool { return false }
	s.Segments(t.Context(), doc, func(g storage.Segment) error {
		index, _ := s.SegmentIndex(t.Context(), g.ID)
		body, _ := s.SegmentBody(t.Context(), g.ID)
		if !g.Folds && VerifyChunk(g, index, body, has) == nil {
			t.Error("a chunk of changes that the document lacks passes")
		}
		return nil
	})
}
