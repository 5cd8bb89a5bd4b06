package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"syncline/crdt"
	"syncline/crdt/schema"
	"syncline/crdt/value"
	"syncline/storage"
)

// tables say how the store's tables show entities. They are not changed: new ones take
// their place.
type tables struct {
	store      Store
	generation int64
	rules      crdt.Rules
	defined    map[string]*storage.Table
}

// tablesVersion is that of what this file makes of an entity: a store whose rows were
// made by another is projected anew.
const tablesVersion = 1

// tablesSource is what a store's tables were made by, as it keeps it.
type tablesSource struct {
	Version int             `json:"version"`
	Schema  json.RawMessage `json:"schema,omitempty"` // none: all is JSON
	// Missing are the functions that whoever made them did not have.
	Missing []string `json:"missing,omitempty"`
}

// source returns what tables by these rules are made by.
func sourceOf(r crdt.Rules) ([]byte, error) {
	s := tablesSource{Version: tablesVersion}
	if r.Schema != nil {
		var err error
		if s.Schema, err = r.Schema.MarshalJSON(); err != nil {
			return nil, err
		}
		for _, f := range r.Schema.Missing(r.Functions) {
			s.Missing = append(s.Missing, f.String())
		}
	}
	return json.Marshal(s)
}

// definitionOf returns the tables that a schema asks for.
func definitionOf(s *schema.Schema) (all []storage.Table) {
	if s == nil {
		return nil
	}
	for _, name := range s.Collections() {
		c, _ := s.Collection(name)
		t := storage.Table{Collection: name}
		for _, field := range c.Names() {
			f := c.Fields[field]
			t.Columns = append(t.Columns, storage.Column{Field: field, Type: string(f.Type), Search: f.Search})
		}
		all = append(all, t)
	}
	return all
}

func newTables(store Store, d storage.Definition, r crdt.Rules) *tables {
	t := &tables{store: store, generation: d.Generation, rules: r, defined: make(map[string]*storage.Table, len(d.Tables))}
	for i := range d.Tables {
		t.defined[d.Tables[i].Collection] = &d.Tables[i]
	}
	return t
}

// ErrOtherTables: another process has opened the store with another schema since, and
// made the tables by that. Who opens last decides.
var ErrOtherTables = errors.New("another process has made the tables by another schema; open both with the same, or query there")

// openTables returns the tables of the store: by the peer's own schema, which replaces
// any other, or, without one, those that are there, or else tables of JSON. nil if they
// were made by functions that this peer does not have, so that it cannot keep them.
func (p *Peer) openTables(ctx context.Context, store Store) (*tables, error) {
	d, err := store.Definition(ctx)
	if err != nil {
		return nil, err
	}
	own, err := sourceOf(p.o.rules())
	if err != nil {
		return nil, err
	}
	if d.Generation > 0 && bytes.Equal(d.Source, own) {
		return newTables(store, d, p.o.rules()), nil
	}
	if p.o.Schema == nil && d.Generation > 0 {
		var s tablesSource
		if err := json.Unmarshal(d.Source, &s); err != nil {
			return nil, fmt.Errorf("read what the tables were made by: %w", err)
		}
		if s.Version == tablesVersion && s.Schema != nil {
			return p.adoptTables(store, d, s)
		}
	}
	if d, err = store.SetTables(ctx, own, definitionOf(p.o.Schema)); err != nil {
		return nil, err
	}
	p.o.Log.Info("tables made anew", "generation", d.Generation)
	return newTables(store, d, p.o.rules()), nil
}

// adoptTables keeps tables that another peer has made, as that would.
func (p *Peer) adoptTables(store Store, d storage.Definition, s tablesSource) (*tables, error) {
	parsed, err := schema.Parse(s.Schema)
	if err != nil {
		return nil, fmt.Errorf("read the schema of the tables: %w", err)
	}
	rules := crdt.Rules{Schema: parsed, Functions: p.o.Functions}
	own, err := sourceOf(rules)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(own, d.Source) {
		p.o.Log.Warn("the tables are kept by merge functions of the app that made them; here they are only read")
		return nil, nil
	}
	return newTables(store, d, rules), nil
}

// row is an entity as the tables show it.
func (t *tables) row(m *crdt.MergedEntity) storage.EntityRow {
	r := storage.EntityRow{Collection: m.Collection, Entity: m.ID, Gone: !m.Present}
	if r.Gone {
		return r
	}
	r.Conflict = m.Unsettled()
	table := t.defined[m.Collection]
	if table == nil {
		r.JSON = string(value.AppendJSON(nil, m.Value))
		return r
	}
	if len(m.Violations) > 0 {
		r.Violation = m.Violations.Error()
	}
	r.Values = make([]any, len(table.Columns))
	fields, isMap := m.Value.(map[string]any)
	if !isMap {
		r.JSON = string(value.AppendJSON(nil, m.Value))
		return r
	}
	shown := 0
	for i, c := range table.Columns {
		if v, ok := fields[c.Field]; ok {
			r.Values[i] = columnValue(v)
			shown++
		}
	}
	if shown < len(fields) {
		rest := make(map[string]any, len(fields)-shown)
		for k, v := range fields {
			rest[k] = v
		}
		for _, c := range table.Columns {
			delete(rest, c.Field)
		}
		r.JSON = string(value.AppendJSON(nil, rest))
	}
	return r
}

// columnValue is a value as a column holds it: whole numbers as integers, or as text if
// they are beyond int64; times as milliseconds since 1970; maps and lists as JSON.
func columnValue(v any) any {
	switch v := v.(type) {
	case nil, string, int64, bool, []byte:
		return v
	case float64:
		if math.IsNaN(v) {
			return nil // as SQLite has none
		}
		return v
	case uint64:
		if v > math.MaxInt64 {
			return strconv.FormatUint(v, 10)
		}
		return int64(v)
	case value.Counter:
		return int64(v)
	case value.Scalar:
		return string(v)
	case time.Time:
		return v.UnixMilli()
	}
	return string(value.AppendJSON(nil, v))
}

// hidden reports whether a collection is Syncline's own, which the tables do not show.
func hidden(collection string) bool { return strings.HasPrefix(collection, schema.Reserved) }
