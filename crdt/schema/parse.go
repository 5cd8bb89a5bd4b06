package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"syncline/crdt/value"
)

// form is the version of the file's form.
const form = 1

// MaxBytes is how long a schema's file may be: a thousand fields, each described in a
// kilobyte.
const MaxBytes = 1 << 20

// Parse reads a schema's file. The error wraps [ErrSchema] and names the place.
func Parse(b []byte) (*Schema, error) {
	switch {
	case len(b) > MaxBytes:
		return nil, malformed("the file", "%d bytes, at most %d are allowed", len(b), MaxBytes)
	case !utf8.Valid(b):
		return nil, malformed("the file", "it is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	r := reader{dec}
	d, err := r.definition()
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, malformed("the file", "something follows the schema")
	}
	return New(d)
}

// reader reads a file key by key, so that what is there twice or unknown is seen, and
// where.
type reader struct{ dec *json.Decoder }

func (r reader) definition() (d Definition, err error) {
	version := 0
	required := map[string]bool{"schema": true, "id": true, "version": true, "collections": true}
	err = r.object("", func(key, at string) error {
		delete(required, key)
		switch key {
		case "schema":
			return r.scalar(at, &version, "a whole number")
		case "id":
			return r.scalar(at, &d.ID, "a string")
		case "version":
			return r.scalar(at, &d.Version, "a whole number")
		case "open":
			return r.scalar(at, &d.Open, "true or false")
		case "collections":
			d.Collections = map[string]Collection{}
			return r.object(at, func(name, at string) (err error) {
				d.Collections[name], err = r.collection(at)
				return err
			})
		}
		return unknown(at)
	})
	if err != nil {
		return d, err
	}
	for _, key := range []string{"schema", "id", "version", "collections"} {
		if required[key] {
			return d, malformed(key, "it is missing")
		}
	}
	if version != form {
		return d, malformed("schema", "the form %d: this version reads %d", version, form)
	}
	return d, nil
}

func (r reader) collection(at string) (c Collection, err error) {
	err = r.object(at, func(key, at string) (err error) {
		switch key {
		case "open":
			return r.scalar(at, &c.Open, "true or false")
		case "fields":
			c.Fields, err = r.fields(at, 1)
			return err
		}
		return unknown(at)
	})
	return c, err
}

func (r reader) fields(at string, depth int) (map[string]Field, error) {
	all := map[string]Field{}
	err := r.object(at, func(name, at string) (err error) {
		all[name], err = r.field(at, depth)
		return err
	})
	return all, err
}

func (r reader) field(at string, depth int) (f Field, err error) {
	if depth > maxDepth {
		return f, malformed(at, "nested deeper than %d levels", maxDepth)
	}
	err = r.object(at, func(key, at string) (err error) {
		switch key {
		case "type":
			return r.scalar(at, &f.Type, "the name of a type")
		case "required":
			return r.scalar(at, &f.Required, "true or false")
		case "search":
			return r.scalar(at, &f.Search, "true or false")
		case "open":
			return r.scalar(at, &f.Open, "true or false")
		case "merge":
			return r.scalar(at, &f.Merge, "the name of a rule")
		case "enum":
			f.Enum = []string{}
			return r.scalar(at, &f.Enum, "a list of strings")
		case "default":
			f.Default, err = r.value(at)
			return err
		case "of":
			of, err := r.field(at, depth+1)
			f.Of = &of
			return err
		case "fields":
			f.Fields, err = r.fields(at, depth+1)
			return err
		}
		return unknown(at)
	})
	return f, err
}

// object reads a JSON object and calls each with every key and its place; each reads
// the value.
func (r reader) object(at string, each func(key, at string) error) error {
	where := at
	if where == "" {
		where = "the file"
	}
	start, err := r.dec.Token()
	if err != nil {
		return broken(where, err)
	}
	if start != json.Delim('{') {
		return malformed(where, "want a JSON object")
	}
	seen := map[string]bool{}
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return broken(where, err)
		}
		key := token.(string)
		in := key
		if at != "" {
			in = at + "/" + key
		}
		if seen[key] {
			return malformed(shorten(in, maxPlace), "it is there twice")
		}
		seen[key] = true
		if err := each(key, in); err != nil {
			return err
		}
	}
	if _, err := r.dec.Token(); err != nil {
		return broken(where, err)
	}
	return nil
}

// maxPlace is how much of a place of a foreign file an error names.
const maxPlace = 400

// scalar reads a value of the type of what to points at.
func (r reader) scalar(at string, to any, want string) error {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return broken(at, err)
	}
	if bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, to) != nil {
		return malformed(shorten(at, maxPlace), "%s: want %s", shorten(string(raw), 60), want)
	}
	return nil
}

// value reads a default.
func (r reader) value(at string) (any, error) {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return nil, broken(at, err)
	}
	v, err := value.ParseValue(raw)
	if err == nil && v == nil {
		err = fmt.Errorf("%w: null, which is what there is without one", value.ErrInvalid)
	}
	if err != nil {
		return nil, malformed(shorten(at, maxPlace), "%w", err)
	}
	return v, nil
}

func unknown(at string) error { return malformed(shorten(at, maxPlace), "no such key") }

// broken is of a file that is no JSON.
func broken(at string, err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return malformed(shorten(at, maxPlace), "not JSON: %w", err)
}
