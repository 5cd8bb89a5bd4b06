package mergetest

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"

	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// shrink looks for smaller sets on which the same property fails, until there is none:
// with a candidate less, or an earlier time, or a shorter value out of those drawn, so
// that the function meets no value that the app would never write.
func (t *trial) shrink(p property, f *Failure) *Failure {
	r := rand.New(rand.NewPCG(t.options.Seed, 0))
	for range pool {
		t.drawn = append(t.drawn, t.options.Values(r))
	}
	slices.SortStableFunc(t.drawn, bySize)
	for {
		smaller := t.smaller(p, f)
		if smaller == nil {
			return f
		}
		f = smaller
	}
}

func (t *trial) smaller(p property, f *Failure) *Failure {
	try := func(set []merge.Candidate) *Failure {
		if len(set) < 2 || !contested(set) {
			return nil
		}
		if g := p(t, set); g != nil && g.Property == f.Property {
			return g
		}
		return nil
	}
	for i, c := range f.Set {
		if g := try(slices.Delete(slices.Clone(f.Set), i, i+1)); g != nil {
			return g
		}
		if c.Time > 0 {
			set := slices.Clone(f.Set)
			set[i].Time = 0
			if g := try(set); g != nil {
				return g
			}
		}
		for _, v := range t.drawn {
			if bySize(v, c.Value) >= 0 {
				break
			}
			set := slices.Clone(f.Set)
			set[i].Value = v
			if g := try(set); g != nil {
				return g
			}
		}
	}
	return nil
}

// pool is of how many values shrinking has to choose from.
const pool = 200

// bySize orders values by how much there is to read of them.
func bySize(a, b any) int {
	one, two := value.AppendTyped(nil, a), value.AppendTyped(nil, b)
	return cmp.Or(cmp.Compare(len(one), len(two)), bytes.Compare(one, two))
}
