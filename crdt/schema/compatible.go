package schema

import (
	"fmt"
	"maps"
	"slices"

	"syncline/crdt/merge"
	"syncline/crdt/value"
)

// Compatible says what a newer version of a schema changes that it may not, so that
// peers of both can go on with the same documents: nothing, if it only adds. Each
// sentence names its place.
//
// A newer version may add collections, fields (required ones with a default only) and
// enum values, among the old ones as well, whose order it keeps. It may open what was
// closed, change what is searched, and raise the version of a merge function. All else
// an older peer would refuse to write or read otherwise: that takes another field, or
// a schema with another id.
func Compatible(older, newer *Schema) []string {
	var c comparison
	switch {
	case older.id != newer.id:
		c.add("id", "%q was %q: a schema with another id is another schema", newer.id, older.id)
	case newer.hash == older.hash:
		return nil
	case newer.version <= older.version:
		c.add("version", "%d, and the schema is not that of version %d: give it a higher version", newer.version, older.version)
	}
	if older.open && !newer.open {
		c.add("open", "it was open for other collections, and is not any more")
	}
	for _, name := range older.Collections() {
		at := "collections/" + name
		was, is := older.collections[name], newer.collections[name]
		if _, ok := newer.collections[name]; !ok {
			c.add(at, "it is not there any more")
			continue
		}
		if was.Open && !is.Open {
			c.add(at, "it was open for other fields, and is not any more")
		}
		c.fields(at+"/fields", was.Fields, is.Fields)
	}
	return c.found
}

type comparison struct{ found []string }

func (c *comparison) add(at, format string, args ...any) {
	c.found = append(c.found, at+": "+fmt.Sprintf(format, args...))
}

func (c *comparison) fields(at string, was, is map[string]Field) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		at := at + "/" + name
		before, old := was[name]
		after, still := is[name]
		switch {
		case !still:
			c.add(at, "it is not there any more")
		case old:
			c.field(at, before, after)
		case after.Required && after.Default == nil:
			c.add(at, "it is new and required, and what is there lacks it: give it a default")
		}
	}
}

func (c *comparison) field(at string, was, is Field) {
	if was.Type != is.Type {
		c.add(at, "its type was %s, and is %s", was.Type, is.Type)
		return
	}
	if was.Required != is.Required {
		c.add(at, "it was required for one version, and is not for the other")
	}
	if !value.Equal(was.Default, is.Default) {
		c.add(at, "its default was %s, and is %s", describe(was.Default), describe(is.Default))
	}
	if was.Open && !is.Open {
		c.add(at, "it was open for other keys, and is not any more")
	}
	c.rules(at, was.rule, is.rule)
	c.enums(at, was.Enum, is.Enum)
	switch {
	case (was.Of == nil) != (is.Of == nil), (was.Fields == nil) != (is.Fields == nil):
		c.add(at, "what it holds was described in another way")
	case was.Of != nil:
		c.field(at+"/of", *was.Of, *is.Of)
	case was.Fields != nil:
		c.fields(at+"/fields", was.Fields, is.Fields)
	}
}

func (c *comparison) rules(at string, was, is merge.Rule) {
	switch {
	case was.Name != is.Name, was.IsFunction() != is.IsFunction():
		c.add(at, "its merge rule was %q, and is %q", was, is)
	case is.Version < was.Version:
		c.add(at, "its merge rule was %s, and is the older %s", was, is)
	}
}

func (c *comparison) enums(at string, was, is []string) {
	if (was == nil) != (is == nil) {
		c.add(at, "an enum was added to it, or taken away")
		return
	}
	last := -1
	for _, v := range was {
		i := slices.Index(is, v)
		switch {
		case i < 0:
			c.add(at, "the enum value %q is not there any more", v)
		case i < last:
			c.add(at, "the enum value %q is not where it was among the others", v)
		default:
			last = i
		}
	}
}
