package memory

import (
	"context"
	"fmt"

	"pgregory.net/rapid"

	"syncline/crdt/id"
	"syncline/peer"
	"syncline/storage"
	"syncline/storage/query"
)

// projection draws one that is often kept.
func (c *pair) projection(t *rapid.T) *storage.Projection {
	p := &storage.Projection{Doc: id.Document{rapid.Byte().Draw(t, "doc") % 3}}
	lag, err := c.model.Lag(context.Background(), p.Doc)
	if err != nil {
		lag.Generation = 1
	}
	p.Generation, p.Base = lag.Generation, max(lag.Projected, 0)
	switch rapid.IntRange(0, 5).Draw(t, "how") {
	case 0:
		p.Anew, p.Through = true, max(lag.LastRow, 1)
		p.More = rapid.Bool().Draw(t, "more")
	case 1:
		p.Through, p.Clear = max(lag.LastRow, 1), []string{rapid.SampledFrom([]string{"loose", "defined"}).Draw(t, "clear")}
		p.More = rapid.Bool().Draw(t, "more") && p.Base == 0
	case 2:
		p.Base = rapid.Int64Range(0, 60).Draw(t, "base")
	case 3:
		p.Generation += rapid.Int64Range(-1, 1).Draw(t, "generation")
		p.Changes = rapid.Int64Range(0, 3).Draw(t, "changes")
	default:
		if d := c.disk.byDoc[p.Doc]; d != nil {
			p.Changes = d.between(p.Base, lag.LastRow)
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "entities") {
		r := storage.EntityRow{Entity: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "entity"), Gone: rapid.Bool().Draw(t, "gone"), Conflict: rapid.Bool().Draw(t, "conflict")}
		if r.Collection = "loose"; rapid.Bool().Draw(t, "in a table") {
			r.Collection, r.Values = "defined", []any{rapid.Int64().Draw(t, "x"), rapid.StringN(0, 3, -1).Draw(t, "y")}
			r.Violation = rapid.SampledFrom([]string{"", "too long"}).Draw(t, "violation")
		} else {
			r.JSON = fmt.Sprintf(`{"n":%d}`, rapid.Byte().Draw(t, "n"))
		}
		p.Rows = append(p.Rows, r)
	}
	return p
}

// rowsOf lists what a store's tables show of a document.
func (c *pair) rowsOf(s peer.Store, doc id.Document) (all []string) {
	ctx := context.Background()
	if s == c.model {
		for _, r := range c.disk.Rows(doc) {
			all = append(all, fmt.Sprint(r.Collection, r.Entity, r.Values, r.JSON, r.Conflict, r.Violation))
		}
		return all
	}
	e := query.New(c.real.(*storage.Store), query.Options{})
	defer e.Close()
	views, err := e.Views(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, v := range views {
		var text string
		switch v.Collection {
		case "defined":
			text = `SELECT _id, x, ` + storage.QuoteName(v.Columns[3].Name) + `, ifnull(_extra, ''), _conflict, ifnull(_violation, '') FROM defined WHERE _doc = ? ORDER BY _id`
		case "loose":
			text = `SELECT _id, NULL, NULL, _json, _conflict, '' FROM loose WHERE _doc = ? ORDER BY _id`
		default:
			continue
		}
		rows, err := e.Query(ctx, text, doc)
		if err != nil {
			c.t.Fatal(err)
		}
		for rows.Next() {
			n := rows.Values()
			var values []any
			if v.Collection == "defined" {
				values = n[1:3]
			}
			all = append(all, fmt.Sprint(v.Collection, n[0], values, n[3], n[4] == int64(1), n[5]))
		}
		if err := rows.Err(); err != nil {
			c.t.Fatal(err)
		}
		rows.Close()
	}
	return all
}
