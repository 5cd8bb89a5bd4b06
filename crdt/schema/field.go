package schema

import (
	"slices"

	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// field checks and copies a field, and all that is in it.
func (s *Schema) field(at string, f Field, depth int) (Field, error) {
	if depth > maxDepth {
		return f, malformed(at, "nested deeper than %d levels", maxDepth)
	}
	switch {
	case f.Type == "":
		return f, malformed(at, "no type: want one of %v", types)
	case !slices.Contains(types, f.Type):
		return f, malformed(at, "no such type as %.80q: want one of %v", f.Type, types)
	case f.Of != nil && f.Type != List && f.Type != Map:
		return f, malformed(at, "of is for lists and maps, and not for %s", f.Type)
	case f.Fields != nil && f.Type != Map:
		return f, malformed(at, "fields are for maps, and not for %s", f.Type)
	case f.Fields != nil && f.Of != nil:
		return f, malformed(at, "a map has fields, or all its keys are of one kind, and not both")
	case f.Open && f.Fields == nil:
		return f, malformed(at, "open is for maps with fields: without them, any key may be written")
	case f.Search && f.Type != Text && f.Type != String:
		return f, malformed(at, "search is for texts and strings, and not for %s", f.Type)
	}
	if err := checkEnum(at, f); err != nil {
		return f, err
	}
	f.Enum = slices.Clone(f.Enum)
	if err := s.setRule(at, &f); err != nil {
		return f, err
	}
	if err := setDefault(at, &f); err != nil {
		return f, err
	}
	return f, s.setInner(at, &f, depth)
}

func (s *Schema) setInner(at string, f *Field, depth int) (err error) {
	if f.Fields != nil {
		f.Fields, err = s.fields(at+"/fields", f.Fields, depth+1)
		return err
	}
	if f.Of == nil {
		return nil
	}
	of := *f.Of
	if at += "/of"; of.Required || of.Default != nil || of.Search {
		return malformed(at, "required, default and search are for fields, and not for what lists and maps hold many of")
	}
	of, err = s.field(at, of, depth+1)
	f.Of = &of
	return err
}

func checkEnum(at string, f Field) error {
	if f.Enum == nil {
		return nil
	}
	switch {
	case f.Type != String:
		return malformed(at, "enum is for strings, and not for %s", f.Type)
	case len(f.Enum) == 0 || len(f.Enum) > maxEnum:
		return malformed(at, "an enum of %d values: want 1 to %d", len(f.Enum), maxEnum)
	}
	for i, v := range f.Enum {
		if err := checkName(v); err != nil {
			return malformed(at+"/enum", "%w", err)
		}
		if slices.Contains(f.Enum[:i], v) {
			return malformed(at+"/enum", "%q is there twice", v)
		}
	}
	return nil
}

// setRule finds the rule and whether it is one for the type.
func (s *Schema) setRule(at string, f *Field) error {
	at += "/merge"
	if f.Type == Counter && f.Merge == merge.None {
		f.Merge = merge.Counter
	}
	r, err := merge.ParseRule(f.Merge)
	if err != nil {
		return malformed(at, "%w", err)
	}
	if r.IsFunction() {
		s.functions = append(s.functions, r)
	}
	switch {
	case (f.Type == Counter) != (r.Name == merge.Counter):
		return malformed(at, "%s for %s: increments of counters add up, and nothing else does", f.Merge, f.Type)
	case (r.Name == merge.Max || r.Name == merge.Min) && slices.Contains([]Type{List, Map, Any}, f.Type):
		return malformed(at, "%s for %s, which has no order", f.Merge, f.Type)
	case r.Name == merge.Ranked && f.Enum == nil:
		return malformed(at, "ranked needs the states as enum, the lowest first")
	case r.Name == merge.Union && f.Type != List && (f.Type != Map || f.Fields != nil):
		return malformed(at, "union is for lists, and for maps without fields")
	}
	if r.Name == merge.Ranked {
		r.States = f.Enum
	}
	f.rule = r
	return nil
}

func setDefault(at string, f *Field) (err error) {
	if f.Default == nil {
		return nil
	}
	at += "/default"
	if slices.Contains([]Type{Counter, List, Map, Any}, f.Type) {
		return malformed(at, "a %s has none", f.Type)
	}
	if f.Default, err = value.Normal(f.Default); err != nil {
		return malformed(at, "%w", err)
	}
	if !f.takes(f.Default) {
		return malformed(at, "%s: want %s", describe(f.Default), f.want())
	}
	return nil
}

// Choose reads a set of concurrent values of the field: by its rule, among those that
// fit the field's type if there are any. The others are misfits. Of a map or list
// only that it is one is looked at, not what it holds.
func (f Field) Choose(functions *merge.Functions, set []merge.Candidate) merge.Result {
	var misfits []value.OpID
	var fit []merge.Candidate
	for i, c := range set {
		if len(set) > 1 && !f.takes(c.Value) {
			if misfits == nil {
				fit = slices.Clone(set[:i])
			}
			misfits = append(misfits, c.ID)
		} else if misfits != nil {
			fit = append(fit, c)
		}
	}
	if len(misfits) == 0 || len(fit) == 0 {
		return functions.Merge(f.rule, set)
	}
	r := functions.Merge(f.rule, fit)
	if r.From == nil {
		for _, c := range fit {
			r.From = append(r.From, c.ID)
		}
		r.From = sorted(r.From)
	}
	r.Misfits = sorted(append(r.Misfits, misfits...))
	r.Conflict, r.Settled = true, false
	if r.Reason == merge.NoReason {
		r.Reason = merge.Misfit
	}
	return r
}

func sorted(ids []value.OpID) []value.OpID {
	slices.SortFunc(ids, value.OpID.Compare)
	return slices.Compact(ids)
}
