-- Projections: documents as rows, for SQL. They can be made again from the
-- documents at any time, so nothing here is the truth. The tables themselves are
-- made as definitions ask for them (tables.go): projection_N, and search_N beside it,
-- where N is projections.id.

-- How far the rows show a document: its journal up to this row; 0 nothing yet, -1 it
-- is not projected.
ALTER TABLE documents ADD COLUMN projected_row INTEGER NOT NULL DEFAULT -1;
-- The opening that is making the document's rows anew, in several transactions.
ALTER TABLE documents ADD COLUMN projecting INTEGER NOT NULL DEFAULT 0;
-- Those whose rows are behind; a store without projections has none in it.
CREATE INDEX documents_behind ON documents (id) WHERE projected_row >= 0 AND projected_row < last_row;

-- What the tables were made by: how often that changed, 0 before the first time, and
-- the caller's own words for it.
CREATE TABLE projecting (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    generation INTEGER NOT NULL,
    definition BLOB    NOT NULL
) STRICT;
INSERT INTO projecting VALUES (1, 0, x'');

-- The collections there are. definition is that of the table projection_N, NULL if
-- the rows are in entities. version moves with each transaction that changes a row.
CREATE TABLE projections (
    id         INTEGER PRIMARY KEY,
    collection TEXT    NOT NULL UNIQUE,
    definition TEXT,
    version    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The rows of all collections that have no table of their own. The columns have the
-- names that queries use.
CREATE TABLE entities (
    _row       INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL,
    _doc       TEXT    NOT NULL,
    _id        TEXT    NOT NULL,
    _json      TEXT    NOT NULL,
    _conflict  INTEGER NOT NULL,
    UNIQUE (collection, _doc, _id)
) STRICT;
