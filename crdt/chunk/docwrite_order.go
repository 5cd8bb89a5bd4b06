package chunk

import (
	"cmp"
	"slices"
)

// documentOrder finds the order in which a document holds its operations: by
// object, the root first and the others by the id of the operation that makes
// them; in a map by key; in a list as the list reads, each element behind the one
// that it was inserted behind, of siblings the later first; at one key or element
// by id. Ids order by counter, then by the bytes of the actor.
type documentOrder struct {
	*documentWriter
	pace *pacer
	rank []uint32 // by actor: its place among all, by their bytes

	// Lists of rows, linked by next; all hold rows plus one, 0 for none.
	next   []uint32
	first  []uint32 // by object: of a map all rows, ascending; of a list the insertions at the head, descending
	child  []uint32 // by row: the insertions behind it, descending
	update []uint32 // by row: the other operations on the element, ascending
}

func (o *documentOrder) compare(a, b uint32) int {
	p, q := o.rows.at(a), o.rows.at(b)
	if p.ctr != q.ctr {
		return cmp.Compare(p.ctr, q.ctr)
	}
	return cmp.Compare(o.rank[p.actor()], o.rank[q.actor()])
}

// link sorts all rows by id and hands them out to the lists they belong to.
func (o *documentOrder) link() error {
	n := o.rows.len()
	o.next, o.child, o.update = make([]uint32, n), make([]uint32, n), make([]uint32, n)
	o.first = make([]uint32, len(o.objects))
	sorted := make([]uint32, n)
	for i := range sorted {
		sorted[i] = uint32(i)
	}
	slices.SortFunc(sorted, o.compare)
	// Pushed in front, the insertions come to stand descending, and the others,
	// taken from the end, ascending.
	for _, row := range sorted {
		if r := o.rows.at(row); r.insert() {
			o.push(row, r)
		}
		if err := o.pace.step(); err != nil {
			return err
		}
	}
	for _, row := range slices.Backward(sorted) {
		if r := o.rows.at(row); !r.insert() {
			o.push(row, r)
		}
		if err := o.pace.step(); err != nil {
			return err
		}
	}
	return nil
}

// push puts a row in front of its list.
func (o *documentOrder) push(row uint32, r *docRow) {
	list := &o.first[r.obj]
	switch {
	case !o.objects[r.obj].list || r.place == 0:
	case r.insert():
		list = &o.child[r.place-1]
	default:
		list = &o.update[r.place-1]
	}
	o.next[row], *list = *list, row+1
}

// walk calls yield with each row, in the document's order.
func (o *documentOrder) walk(yield func(row uint32) error) error {
	objects := make([]uint32, len(o.objects))
	for i := range objects {
		objects[i] = uint32(i)
	}
	slices.SortFunc(objects[1:], func(a, b uint32) int { return o.compare(o.objects[a].row, o.objects[b].row) })
	keyRank := ranks(o.keys)
	var todo []uint32
	for _, obj := range objects {
		var err error
		if todo = todo[:0]; o.objects[obj].list {
			todo, err = o.walkList(o.first[obj], todo, yield)
		} else {
			todo, err = o.walkMap(o.first[obj], todo, keyRank, yield)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walkMap sorts the rows of a map by key and keeps their order otherwise. It
// returns rows, which it uses, for the next use.
func (o *documentOrder) walkMap(first uint32, rows, keyRank []uint32, yield func(row uint32) error) ([]uint32, error) {
	for at := first; at > 0; at = o.next[at-1] {
		rows = append(rows, at-1)
	}
	slices.SortFunc(rows, func(a, b uint32) int {
		if c := cmp.Compare(keyRank[o.rows.at(a).place], keyRank[o.rows.at(b).place]); c != 0 {
			return c
		}
		return o.compare(a, b)
	})
	for _, row := range rows {
		if err := yield(row); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// walkList follows the tree of insertions depth first: what was inserted behind
// an element comes before its next sibling, and todo holds the siblings. It
// returns todo for the next use.
func (o *documentOrder) walkList(first uint32, todo []uint32, yield func(row uint32) error) ([]uint32, error) {
	for at := first; at > 0 || len(todo) > 0; {
		if at == 0 {
			at, todo = todo[len(todo)-1], todo[:len(todo)-1]
		}
		if err := yield(at - 1); err != nil {
			return todo, err
		}
		for u := o.update[at-1]; u > 0; u = o.next[u-1] {
			if err := yield(u - 1); err != nil {
				return todo, err
			}
		}
		if sibling := o.next[at-1]; sibling > 0 {
			todo = append(todo, sibling)
		}
		at = o.child[at-1]
	}
	return todo, nil
}

// ranks returns for each of list, in which nothing stands twice, its place among
// them when sorted.
func ranks[T cmp.Ordered](list []T) []uint32 {
	sorted := make([]uint32, len(list))
	for i := range sorted {
		sorted[i] = uint32(i)
	}
	slices.SortFunc(sorted, func(a, b uint32) int { return cmp.Compare(list[a], list[b]) })
	rank := make([]uint32, len(list))
	for i, j := range sorted {
		rank[j] = uint32(i)
	}
	return rank
}
