package crdt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"syncline/crdt/value"
)

// operationJSON is the JSON form of an operation. Its values keep their types, as
// [value.AppendTyped] writes them.
type operationJSON struct {
	Verb       Verb              `json:"verb"`
	Collection string            `json:"collection"`
	ID         string            `json:"id"`
	Path       []json.RawMessage `json:"path,omitempty"`
	Fields     json.RawMessage   `json:"fields,omitempty"`
	Value      json.RawMessage   `json:"value,omitempty"`
	Values     json.RawMessage   `json:"values,omitempty"`
	By         int64             `json:"by,omitempty"`
	Pos        int               `json:"pos,omitempty"`
	Del        int               `json:"del,omitempty"`
	Text       string            `json:"text,omitempty"`
}

// MarshalJSON writes the operation so that reading it gives the same one.
func (o Operation) MarshalJSON() ([]byte, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("operation to JSON: %w", err)
	}
	j := operationJSON{
		Verb: o.Verb, Collection: o.Collection, ID: o.ID,
		By: o.By, Pos: o.Pos, Del: o.Del, Text: o.Text,
	}
	for _, s := range o.Path {
		step, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("operation to JSON: %w", err)
		}
		j.Path = append(j.Path, step)
	}
	switch o.Verb {
	case VerbCreate, VerbUpdate:
		j.Fields = value.AppendFields(nil, o.Fields)
	case VerbSet, VerbListSet:
		j.Value = value.AppendTyped(nil, o.Value)
	case VerbListInsert:
		j.Values = value.AppendTyped(nil, o.Values)
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote, or people did. It validates.
func (o *Operation) UnmarshalJSON(b []byte) error {
	var j operationJSON
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return fmt.Errorf("operation from JSON: %w", err)
	}
	n := Operation{
		Verb: j.Verb, Collection: j.Collection, ID: j.ID,
		By: j.By, Pos: j.Pos, Del: j.Del, Text: j.Text,
	}
	var err error
	for _, raw := range j.Path {
		step, e := stepFromJSON(raw)
		n.Path = append(n.Path, step)
		err = errors.Join(err, e)
	}
	if err == nil && j.Fields != nil {
		n.Fields, err = ParseFields(j.Fields)
	}
	if err == nil && j.Value != nil {
		n.Value, err = ParseValue(j.Value)
	}
	if err == nil && j.Values != nil {
		var v any
		if v, err = ParseValue(j.Values); err == nil {
			var isList bool
			if n.Values, isList = v.([]any); !isList {
				err = fmt.Errorf("%w: values is not a list", ErrInvalid)
			}
		}
	}
	if err == nil && j.Value == nil && (n.Verb == VerbSet || n.Verb == VerbListSet) {
		err = fmt.Errorf("%w: %s without a value", ErrInvalid, n.Verb)
	}
	if err == nil {
		err = n.Validate()
	}
	if err != nil {
		return fmt.Errorf("operation from JSON: %w", err)
	}
	*o = n
	return nil
}

func stepFromJSON(raw []byte) (any, error) {
	var key string
	if json.Unmarshal(raw, &key) == nil {
		return key, nil
	}
	var index int
	if json.Unmarshal(raw, &index) == nil {
		return index, nil
	}
	return nil, fmt.Errorf("%w: the step %s of the path is neither a string nor a whole number", ErrInvalid, raw)
}
