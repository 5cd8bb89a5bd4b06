package merge

import (
	"slices"

	"syncline/crdt/value"
)

// union is of lists or of maps, whichever the larger operation id has written.
func union(set []Candidate) choice {
	for _, c := range slices.Backward(set) {
		switch k := value.KindOf(c.Value); k {
		case value.KindList:
			return among(set, isKind(k), unionOfLists)
		case value.KindMap:
			return among(set, isKind(k), unionOfMaps)
		}
	}
	return among(set, isKind(value.KindList), unionOfLists)
}

func isKind(k value.Kind) func(any) bool {
	return func(v any) bool { return value.KindOf(v) == k }
}

func unionOfLists(set []Candidate) choice {
	all := slices.Clone(winner(set).Value.([]any))
	have := slices.Clone(all)
	slices.SortFunc(have, value.Compare)
	var others []Candidate // the elements that the winner lacks, in the order of ids
	for _, c := range set {
		for _, e := range c.Value.([]any) {
			if _, has := slices.BinarySearchFunc(have, e, value.Compare); !has {
				others = append(others, Candidate{ID: c.ID, Value: e})
			}
		}
	}
	return choice{value: append(all, distinct(others)...), of: set}
}

func unionOfMaps(set []Candidate) choice {
	all := map[string]any{}
	var reason Reason
	for _, c := range set {
		for k, v := range c.Value.(map[string]any) {
			if old, has := all[k]; has && !value.Equal(old, v) {
				reason = EntriesDiffer
			}
			all[k] = v
		}
	}
	return choice{value: all, of: set, reason: reason}
}
