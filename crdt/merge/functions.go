package merge

import (
	"fmt"
	"maps"
	"slices"

	"syncline/crdt/value"
)

// Func is a merge function of an app. The set has at least two values that differ, is
// in the order of operation ids and names none twice; the function must not change it,
// nor what lies in it. What it returns must depend on nothing but the set, or peers
// differ: no clock, no chance, no state, no file. Package mergetest finds many of
// those mistakes.
//
// With settled false the value is shown and the choice is left for a person.
type Func func(set []Candidate) (v any, settled bool)

// Functions are the functions of an app, by name and version. A function that is
// changed gets a new version and keeps the old one, as peers that have not been
// updated go on with that. The zero Functions has what is built in and no more, and
// so has nil. It must not be changed while it is in use.
type Functions struct {
	by map[string]map[int]Func
}

// Register adds a function. The error wraps [ErrRule] if the name or version is none,
// or there already.
func (f *Functions) Register(name string, version int, fn Func) error {
	if err := checkFunction(name, version); err != nil {
		return fmt.Errorf("register a merge function: %w", err)
	}
	if fn == nil || f.by[name][version] != nil {
		return fmt.Errorf("register a merge function: %w: %s is nil or there already", ErrRule, Rule{Name: name, Version: version})
	}
	if f.by == nil {
		f.by = map[string]map[int]Func{}
	}
	if f.by[name] == nil {
		f.by[name] = map[int]Func{}
	}
	f.by[name][version] = fn
	return nil
}

// Has reports whether a rule is built in, or a function that was registered.
func (f *Functions) Has(r Rule) bool {
	if !r.IsFunction() {
		return slices.Contains(builtin, r.Name)
	}
	return f.function(r) != nil
}

// Versions lists the versions of a function that were registered, ascending.
func (f *Functions) Versions(name string) []int {
	if f == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(f.by[name]))
}

func (f *Functions) function(r Rule) Func {
	if f == nil {
		return nil
	}
	return f.by[r.Name][r.Version]
}

// call lets a function of the app choose.
func (f *Functions) call(r Rule, set []Candidate) (c choice) {
	fn := f.function(r)
	if fn == nil {
		return pick(winner(set), UnknownFunction)
	}
	// A read of a document must not end with the app's mistake in a single field.
	defer func() {
		if recover() != nil {
			c = pick(winner(set), FunctionFailed)
		}
	}()
	v, settled := fn(slices.Clone(set))
	v, err := value.Normal(v)
	switch {
	case err != nil:
		return pick(winner(set), FunctionFailed)
	case !settled:
		return choice{value: v, of: set, reason: Asked}
	}
	return choice{value: v, of: set}
}
