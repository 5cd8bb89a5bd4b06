package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// object is a JSON object whose values are still to be read. Its names are compared
// as they stand and occur once: decoding into a struct would take Exp for exp, and
// the last of two for the only one.
type object map[string]json.RawMessage

var (
	errNotObject = errors.New("is not a JSON object")
	errTwice     = errors.New("has a member twice")
)

func parseObject(b []byte) (object, error) {
	if !utf8.Valid(b) {
		return nil, errNotObject
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotObject
	}
	o := make(object)
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errNotObject
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, errNotObject
		}
		if _, twice := o[name]; twice {
			return nil, errTwice
		}
		o[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotObject
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errNotObject
	}
	return o, nil
}

// text reads a string. One that holds what is no character is none: two of them
// that differ would be read alike.
func text(value json.RawMessage) (string, bool) {
	var s string
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", false
	}
	return s, !strings.ContainsRune(s, utf8.RuneError)
}

// list reads an array.
func list(value json.RawMessage) ([]json.RawMessage, bool) {
	var l []json.RawMessage
	if len(value) == 0 || value[0] != '[' || json.Unmarshal(value, &l) != nil {
		return nil, false
	}
	return l, true
}

// number reads a number.
func number(value json.RawMessage) (float64, bool) {
	if len(value) == 0 || value[0] == '"' {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(value), 64)
	return f, err == nil
}

// boolean reads true or false.
func boolean(value json.RawMessage) (v, ok bool) {
	switch string(value) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}
