package crdt

import (
	"errors"
	"fmt"

	"syncline/crdt/schema"
)

// Standing says how the document stands to a schema, by the marks that are in it.
func (d *Document) Standing(s *schema.Schema) (schema.Standing, error) { return d.now().Standing(s) }

// Standing is Document.Standing as it was.
func (v *View) Standing(s *schema.Schema) (schema.Standing, error) {
	marks, _, err := v.marks(s)
	if err != nil {
		return schema.Standing{}, fmt.Errorf("read the marks of schemas: %w", err)
	}
	return s.Compare(marks), nil
}

// MarkSchema returns the operation that writes a schema's mark, or none if the
// document has it, or has that of a newer version or of another schema of the same
// name. Rules.Check refuses it, as the mark is not the app's.
func (d *Document) MarkSchema(s *schema.Schema) ([]Operation, error) {
	marks, there, err := d.now().marks(s)
	if err != nil {
		return nil, fmt.Errorf("read the marks of schemas: %w", err)
	}
	// What others have put in the entity's place is left alone.
	unfit := there && marks == nil
	if r := s.Compare(marks).Relation; unfit || r != schema.Unmarked && r != schema.Older {
		return nil, nil
	}
	m := s.Mark()
	fields := map[string]any{m.Field: m.Value}
	if there {
		return []Operation{Update(schema.Reserved, m.Entity, fields)}, nil
	}
	return []Operation{Create(schema.Reserved, m.Entity, fields)}, nil
}

// marks reads the fields of a schema's entity, each with all its values; nil if there is
// no such entity, or something else in its place.
func (v *View) marks(s *schema.Schema) (marks map[string][]any, there bool, err error) {
	id := s.Mark().Entity
	fields, err := v.Entity(schema.Reserved, id)
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	if errors.Is(err, ErrKind) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	marks = make(map[string][]any, len(fields))
	for field := range fields {
		all, err := v.Conflicts(schema.Reserved, id, field)
		if err != nil {
			return nil, true, err
		}
		for _, c := range all {
			marks[field] = append(marks[field], c.Value)
		}
	}
	return marks, true, nil
}
