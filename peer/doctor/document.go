package doctor

import (
	"slices"

	"syncline/crdt/chunk"
	"syncline/crdt/graph"
	"syncline/crdt/id"
	"syncline/storage"
)

// Document is what an examination has found of one document.
type Document struct {
	*storage.Look
	// Graph has the changes that are sound, in their place and not kept out.
	Graph *graph.Graph

	metas    []graph.Meta // that decode, by row; nil once they are in the graph
	folded   bool         // some come from segments, and have no body in the journal
	damaged  map[id.Hash]int64
	misnamed []misnamed
	strays   []storage.Row // of this device by their actor, and not made here; without bytes
	out      map[id.Hash]bool
	waiting  map[id.Hash]bool // sound, and built on what is missing
	applying bool
	noted    map[id.Hash]bool // in quarantine, for whatever reason
	recorded map[id.Hash]bool // with an operation
	lost     map[id.Hash]bool // withdrawn, and not there again
	rotten   bool             // a row of it does not decode
	unsound  bool             // something of it is damaged
	unread   bool             // a part of it could not be read
}

// misnamed is a row whose change is intact and another than the row says.
type misnamed struct {
	row  int64
	meta graph.Meta
	why  string
	kind Kind
}

// Has reports whether a change of the document is in the file and intact, be it part
// of the document, kept out of it, or waiting for another.
func (d *Document) Has(h id.Hash) bool { return d.Graph.Knows(h) || d.out[h] || d.waiting[h] }

// Sound reports whether all that is stored of the document is as it should be.
func (d *Document) Sound() bool { return !d.unsound && len(d.misnamed) == 0 }

// Lost reports whether a change was here and is known to be damaged.
func (d *Document) Lost(h id.Hash) bool {
	_, damaged := d.damaged[h]
	return damaged || d.lost[h]
}

// Applying reports whether there are changes that the document's core has not had yet.
func (d *Document) Applying() bool { return d.applying }

// Bodies calls yield with the change chunks of rows in the journal.
func (d *Document) Bodies(rows []int64, yield func([]byte) bool) error {
	return d.Look.Bodies(rows, yield)
}

// Standing lists the rows of the changes that make the document, dependencies first.
func (d *Document) Standing() []int64 {
	rows := make([]int64, 0, d.Graph.Len())
	for n := range d.Graph.Nodes() {
		if d.Graph.Has(d.Graph.Hash(n)) {
			rows = append(rows, d.Graph.Row(n))
		}
	}
	return rows
}

// Each calls fn with the standing changes, decoded, dependencies first.
func (d *Document) Each(fn func(row int64, c *chunk.Change) error) error {
	var failed error
	i, rows := 0, d.Standing()
	err := d.Bodies(rows, func(body []byte) bool {
		c, err := chunk.ParseChange(slices.Clone(body))
		if err == nil {
			err = fn(rows[i], c)
		}
		failed, i = err, i+1
		return err == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// place enters what decodes into the graph, in whatever order it lies there. It
// returns what cannot follow its deps, and by missing change those that wait for it.
func (d *Document) place() (refused map[id.Hash]error, gaps map[id.Hash][]id.Hash) {
	refused, blocked := map[id.Hash]error{}, map[id.Hash][]graph.Meta{}
	d.Graph, d.waiting = graph.New(), map[id.Hash]bool{}
	drop := func(h id.Hash, todo []graph.Meta) []graph.Meta {
		next := blocked[h]
		delete(blocked, h)
		return append(todo, next...)
	}
	for _, m := range d.metas {
		for todo := []graph.Meta{m}; len(todo) > 0; {
			m := todo[0]
			todo = todo[1:]
			if d.Graph.Contains(m.Hash) {
				continue // in a segment and in the journal
			}
			if d.out[m.Hash] || slices.ContainsFunc(m.Deps, func(h id.Hash) bool { return d.out[h] }) {
				d.out[m.Hash] = true // it builds on what is kept out
				todo = drop(m.Hash, todo)
				continue
			}
			if i := slices.IndexFunc(m.Deps, func(h id.Hash) bool { return refused[h] != nil }); i >= 0 {
				refused[m.Hash] = refused[m.Deps[i]]
				todo = drop(m.Hash, todo)
				continue
			}
			if i := slices.IndexFunc(m.Deps, func(h id.Hash) bool { return !d.Graph.Contains(h) }); i >= 0 {
				blocked[m.Deps[i]] = append(blocked[m.Deps[i]], m)
				continue
			}
			if err := d.Graph.Add(m); err != nil {
				refused[m.Hash] = err
			}
			todo = drop(m.Hash, todo)
		}
	}
	d.metas = nil
	d.Graph.Publish(nil)
	for _, waits := range blocked {
		for _, m := range waits {
			d.waiting[m.Hash] = true
		}
	}
	gaps = map[id.Hash][]id.Hash{}
	for missing := range blocked {
		if d.waiting[missing] {
			continue // it waits itself
		}
		for todo := []id.Hash{missing}; len(todo) > 0; todo = todo[1:] {
			for _, m := range blocked[todo[0]] {
				gaps[missing] = append(gaps[missing], m.Hash)
				todo = append(todo, m.Hash)
			}
		}
	}
	return refused, gaps
}
