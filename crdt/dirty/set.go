package dirty

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// Set is what changes may have altered. It may name more than has changed, never
// less: an operation that has lost to a concurrent one touches its entity too.
type Set struct {
	// All: everything; the rest says nothing then.
	All bool
	// Collections were made, replaced or removed as a whole, with all that was in
	// them and is in them now.
	Collections map[string]struct{}
	// Entities by collection: their ids.
	Entities map[string]map[string]struct{}
}

// Empty reports whether nothing was touched.
func (s *Set) Empty() bool {
	return !s.All && len(s.Collections) == 0 && len(s.Entities) == 0
}

// Len is how many entities the set names by their ids.
func (s *Set) Len() (n int) {
	for _, ids := range s.Entities {
		n += len(ids)
	}
	return n
}

// Has reports whether an entity may have changed.
func (s *Set) Has(collection, entity string) bool {
	if _, whole := s.Collections[collection]; whole || s.All {
		return true
	}
	_, ok := s.Entities[collection][entity]
	return ok
}

// Each walks over the entities that the set names by their ids, in order.
func (s *Set) Each() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, c := range slices.Sorted(maps.Keys(s.Entities)) {
			for _, e := range slices.Sorted(maps.Keys(s.Entities[c])) {
				if !yield(c, e) {
					return
				}
			}
		}
	}
}

// Merge adds what is in another set.
func (s *Set) Merge(o Set) {
	s.All = s.All || o.All
	for c := range o.Collections {
		s.addCollection(c)
	}
	for c, ids := range o.Entities {
		for e := range ids {
			s.addEntity(c, e)
		}
	}
}

func (s *Set) addCollection(name string) {
	if s.Collections == nil {
		s.Collections = map[string]struct{}{}
	}
	if _, there := s.Collections[name]; !there {
		s.Collections[strings.Clone(name)] = struct{}{} // a key shares the memory of its change
	}
}

func (s *Set) addEntity(collection, entity string) {
	ids := s.Entities[collection]
	if ids == nil {
		if s.Entities == nil {
			s.Entities = map[string]map[string]struct{}{}
		}
		ids = map[string]struct{}{}
		s.Entities[strings.Clone(collection)] = ids
	}
	if _, there := ids[entity]; !there {
		ids[strings.Clone(entity)] = struct{}{}
	}
}
