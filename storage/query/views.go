package query

import (
	"fmt"
	"strings"

	"syncline/storage"
)

// View is a table as a statement sees it.
type View struct {
	Name string
	// Collection is what it shows: "" if it shows several.
	Collection string
	Defined    bool // by a schema
	Search     bool // it is a full-text index
	Columns    []ViewColumn
}

// ViewColumn is a column of a View.
type ViewColumn struct {
	Name string
	Type string // for people, "" if it can be any
}

// suffixSearch ends the name of a full-text view.
const suffixSearch = "_search"

// viewsOf returns the views for collections, by their folded names. It depends on the
// set of collections alone.
func viewsOf(catalog []collection) map[string]*view {
	views := map[string]*view{}
	add := func(v *view) { views[storage.FoldName(v.name)] = v }
	names := make([]string, len(catalog))
	for i, k := range catalog {
		names[i] = k.name
	}
	names = storage.VisibleNames(names, viewEntities)
	searches := make([]string, len(catalog))
	for i, k := range catalog {
		searches[i] = k.name
		if k.table != nil && searched(k.table) && names[i] != "" {
			searches[i] = names[i] + suffixSearch
		}
	}
	visible := storage.VisibleNames(searches, append(names, viewEntities)...)
	for i, k := range catalog {
		switch {
		case names[i] == "":
		case k.table == nil:
			add(entitiesView(names[i], k.number))
		default:
			add(tableView(names[i], k))
			if searches[i] != k.name && visible[i] != "" {
				add(searchView(visible[i], k))
			}
		}
	}
	add(allEntitiesView())
	return views
}

func searched(t *storage.Table) bool {
	for _, c := range t.Columns {
		if c.Search {
			return true
		}
	}
	return false
}

func entitiesView(name string, number int64) *view {
	return &view{
		name: name, numbers: []int64{number},
		sql:     fmt.Sprintf(`SELECT _doc, _id, _json, _conflict FROM main.entities WHERE collection = %d`, number),
		columns: []ViewColumn{{"_doc", "text"}, {"_id", "text"}, {"_json", "json"}, {"_conflict", "bool"}},
	}
}

func allEntitiesView() *view {
	return &view{
		name: viewEntities,
		sql: `SELECT (SELECT collection FROM main.projections AS p WHERE p.id = e.collection) AS _collection,
			_doc, _id, _json, _conflict FROM main.entities AS e`,
		columns: []ViewColumn{{"_collection", "text"}, {"_doc", "text"}, {"_id", "text"}, {"_json", "json"}, {"_conflict", "bool"}},
	}
}

// tableView shows a defined table, without the number that its rows have.
func tableView(name string, k collection) *view {
	v := &view{name: name, numbers: []int64{k.number}, columns: columnsOf(k.table)}
	v.sql = fmt.Sprintf(`SELECT %s FROM main.projection_%d`, v.list(""), k.number)
	return v
}

// searchView joins the full-text index to its rows. Its column of the view's own name
// is that by which an index is searched.
func searchView(name string, k collection) *view {
	v := &view{name: name, numbers: []int64{k.number}, columns: columnsOf(k.table), search: true}
	v.sql = fmt.Sprintf(`SELECT f.search_%d AS %s, %s FROM main.search_%[1]d AS f JOIN main.projection_%[1]d AS n ON n._row = f.docid`,
		k.number, storage.QuoteName(name), v.list("n."))
	v.columns = append([]ViewColumn{{name, "search"}}, v.columns...)
	return v
}

func columnsOf(t *storage.Table) []ViewColumn {
	columns := []ViewColumn{{storage.ColumnDocument, "text"}, {storage.ColumnEntity, "text"}}
	for _, c := range t.Columns {
		columns = append(columns, ViewColumn{c.Name, c.Type})
	}
	return append(columns, ViewColumn{storage.ColumnExtra, "json"}, ViewColumn{storage.ColumnConflict, "bool"}, ViewColumn{storage.ColumnViolation, "text"})
}

func (v *view) list(prefix string) string {
	names := make([]string, len(v.columns))
	for i, c := range v.columns {
		names[i] = prefix + storage.QuoteName(c.Name)
	}
	return strings.Join(names, ", ")
}
