package crdt

import "fmt"

// splice is one place of a text or list that an undo edits.
type splice struct {
	del    bool      // the element behind the gap goes
	insert []*traced // what comes back in the gap before it
}

// sequence is a text or list that an undo edits, gap by gap.
type sequence struct {
	is   []traced
	at   map[OpID]int // where its elements are, by what they hold
	set  map[OpID]int // and those that the change has set, by what they held before
	gaps []splice     // one more than there are elements
}

func newSequence(is *traced) *sequence {
	s := &sequence{is: is.inside, at: make(map[OpID]int, len(is.inside)), set: map[OpID]int{}, gaps: make([]splice, len(is.inside)+1)}
	for i := range s.is {
		s.at[s.is[i].op] = i
	}
	return s
}

// elements decides, for a text or list, what goes and what comes back. did is nil
// for a text; set is called for elements that were set.
func (v *inverter) elements(f found, was *traced, set func(e *elementEffect, i int, before *traced) error) (*sequence, error) {
	s := newSequence(f.is)
	before := make(map[OpID]int, len(was.inside))
	for i := range was.inside {
		before[was.inside[i].op] = i
	}
	back := map[int]bool{}
	for _, e := range f.effects.elements {
		from := -1
		for _, p := range e.before {
			if i, ok := before[p]; ok {
				from = i
			}
		}
		if e.deleted {
			if from >= 0 {
				back[from] = true
			}
			continue
		}
		if e.last.Counter == 0 && !e.stepped {
			continue
		}
		held := e.last
		if held.Counter == 0 {
			if from < 0 {
				continue
			}
			held = was.inside[from].op
		}
		i, there := s.at[v.again.revived.now(held)]
		switch {
		case !there:
		case e.inserted:
			worked, err := v.worked(&s.is[i])
			if err != nil {
				return nil, err
			}
			if worked {
				v.keep(append(f.at[:len(f.at):len(f.at)], i), keptWorked)
				continue
			}
			s.gaps[i].del = true
		case from >= 0:
			s.set[was.inside[from].op] = i
			if err := set(e, i, &was.inside[from]); err != nil {
				return nil, err
			}
		}
	}
	for i := 0; i < len(was.inside); i++ {
		end := i
		for ; end < len(was.inside) && back[end]; end++ {
			if _, there := s.at[v.mine(&was.inside[end])]; there {
				break // it is back already
			}
		}
		if end > i {
			gap := v.gap(s, was.inside, i, end)
			for ; i < end; i++ {
				s.gaps[gap].insert = append(s.gaps[gap].insert, &was.inside[i])
			}
		}
	}
	return s, nil
}

// gap finds where elements i to end belong that were there before: beside the
// nearest of the neighbours that they had.
func (v *inverter) gap(s *sequence, was []traced, i, end int) int {
	for away := 0; away < max(i, len(was)-end); away++ {
		if left := i - 1 - away; left >= 0 {
			if j, ok := v.find(s, &was[left]); ok {
				return j + 1
			}
		}
		if right := end + away; right < len(was) {
			if j, ok := v.find(s, &was[right]); ok {
				return j
			}
		}
	}
	return len(s.is)
}

// find returns where an element is now that was there before.
func (v *inverter) find(s *sequence, was *traced) (int, bool) {
	if i, ok := s.at[v.mine(was)]; ok {
		return i, true
	}
	i, ok := s.set[was.op]
	return i, ok
}

// text undoes edits of a text, from its end to its start.
func (v *inverter) text(f found, was *traced) error {
	s, err := v.elements(f, was, func(*elementEffect, int, *traced) error {
		v.keep(f.at, "a character of it was replaced in place, which only others do")
		return nil
	})
	if err != nil {
		return err
	}
	positions := make([]int, len(s.gaps))
	for i := range s.is {
		positions[i+1] = positions[i] + s.is[i].width()
	}
	for end := len(s.is); end >= 0; end-- {
		var b []byte
		for _, t := range s.gaps[end].insert {
			b = t.character(b, &v.again)
		}
		if len(b) > 0 {
			v.do(Splice(v.collection, v.id, f.at, positions[end], 0, string(b)))
		}
		start := end
		for start > 0 && s.gaps[start-1].del && (start == end || len(s.gaps[start].insert) == 0) {
			start--
		}
		if start < end {
			v.do(Splice(v.collection, v.id, f.at, positions[start], positions[end]-positions[start], ""))
			end = start + 1 // and on with the gap at start
		}
	}
	return nil
}

// list undoes edits of a list: what was set first, as positions are still right.
func (v *inverter) list(f found, was, did *traced) error {
	s, err := v.elements(f, was, func(e *elementEffect, i int, before *traced) error {
		p := append(f.at[:len(f.at):len(f.at)], i)
		is := &f.is.inside[i]
		if e.last.Counter == 0 {
			if did == nil {
				return nil
			}
			for j := range did.inside {
				if did.inside[j].op == before.op {
					return v.step(p, before, &did.inside[j], is)
				}
			}
			return nil
		}
		worked, err := v.worked(is)
		switch {
		case err != nil:
			return err
		case worked:
			v.keep(p, keptWorked)
			return nil
		case len(is.lost) > 0:
			before = &is.lost[len(is.lost)-1]
		case sameScalar(before, is):
			return nil
		}
		return v.set(p, before)
	})
	if err != nil {
		return err
	}
	for i := len(s.is); i >= 0; i-- {
		if s.gaps[i].del {
			v.do(ListDelete(v.collection, v.id, f.at, i, 1))
		}
		var values []any
		for _, t := range s.gaps[i].insert {
			value, err := t.again(&v.again)
			if err != nil {
				return fmt.Errorf("%s[%d]: %w", append(Path{v.collection, v.id}, f.at...), i, err)
			}
			values = append(values, value)
		}
		if len(values) > 0 {
			v.do(ListInsert(v.collection, v.id, f.at, i, values...))
		}
	}
	return nil
}
