// Package query answers SQL over the tables of a store, for statements that anybody
// may have written: it is read-only by construction.
//
// It stands at the end of the data's way: storage has written rows beside the changes
// that they come from, and what is read here is one moment of that. Each collection
// is a view by its own name; the file's own tables have no name here.
//
//	SELECT title, done FROM tasks WHERE _doc = '4NMNnkMhL8jXrdJ9jamS58PAVdXu'
//	SELECT _id, snippet(notes_search) FROM notes_search WHERE notes_search MATCH 'milk'
//
// # What is there
//
// Every view has _doc and _id, the document and the entity. A collection that a
// definition names has a column for each of its fields, _extra (JSON of the fields
// that it does not name), _conflict and _violation; beside it, if texts are searched,
// there is a view with _search at the end of its name, which has a column of that
// same name for MATCH, snippet, offsets and matchinfo. Any other collection has _json,
// the whole entity, and _conflict; it is there from its first entity on. _entities has
// all of those, with the column _collection. Names that SQL has trouble with are
// changed (storage.VisibleNames).
//
// # What is refused
//
// Everything but one SELECT, WITH, VALUES or EXPLAIN. A connection has the file open
// for reading alone, with query_only, and SQLite's authorizer refuses each action,
// table and function that is not known to be harmless, when a statement is prepared
// and again while it runs. So no ATTACH, PRAGMA or extension, and no look at journal,
// keys or secrets. Limits bound the time, the rows, the length of a statement and of
// a value; memory is bounded by the caches of a few connections, because sorting
// goes to temporary files.
package query
