-- The first schema. A document is known by its 16-byte id outside and by a
-- small integer inside, so that the journal's indexes stay small.

CREATE TABLE documents (
    id         INTEGER PRIMARY KEY,
    doc        BLOB    NOT NULL UNIQUE CHECK (length(doc) = 16),
    -- The heads as their last writer knew them: sorted 32-byte hashes, joined.
    heads      BLOB    NOT NULL DEFAULT x'' CHECK (length(heads) % 32 = 0),
    -- Kept with each append, so that nobody has to count rows.
    changes    INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    last_row   INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
) STRICT;

-- The journal: every change, in the order in which it became durable here.
-- AUTOINCREMENT, because a number once given must never be given again, even
-- after its row is gone. The body comes last: a scan that stops at the head
-- does not read the pages that a large body overflows into.
CREATE TABLE journal (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    document  INTEGER NOT NULL REFERENCES documents (id),
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    actor     BLOB    NOT NULL,
    actor_seq INTEGER NOT NULL CHECK (actor_seq >= 0),
    origin    TEXT    NOT NULL,
    time_ms   INTEGER NOT NULL,
    head      BLOB    NOT NULL,
    body      BLOB    NOT NULL,
    UNIQUE (document, hash)
) STRICT;

-- The rows of one document in their order: the index also holds the seq.
CREATE INDEX journal_document ON journal (document);

-- Append-only is a property of the file, not a habit of the code.
CREATE TRIGGER journal_is_never_updated BEFORE UPDATE ON journal
BEGIN
    SELECT RAISE(ABORT, 'a row of the journal is never updated');
END;
CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
BEGIN
    SELECT RAISE(ABORT, 'a row of the journal is never deleted');
END;

-- Compacted chunks beside the rows they stand for. kind is the chunk type and
-- level how often it was compacted, both opaque here. rows is the number of
-- rows that it stands for: all of the document's in [first_row, last_row] when
-- row_set is NULL, else those that row_set, in the compactor's encoding, names.
CREATE TABLE segments (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    document   INTEGER NOT NULL REFERENCES documents (id),
    kind       INTEGER NOT NULL,
    level      INTEGER NOT NULL,
    first_row  INTEGER NOT NULL CHECK (first_row > 0),
    last_row   INTEGER NOT NULL CHECK (last_row >= first_row),
    rows       INTEGER NOT NULL CHECK (rows > 0),
    created_ms INTEGER NOT NULL,
    row_set    BLOB,
    body       BLOB    NOT NULL
) STRICT;
CREATE INDEX segments_document ON segments (document, first_row);

-- What is known of the other ends' documents, by their storage ids.
CREATE TABLE sync_states (
    document INTEGER NOT NULL REFERENCES documents (id),
    remote   TEXT    NOT NULL,
    time_ms  INTEGER NOT NULL,
    state    BLOB    NOT NULL,
    PRIMARY KEY (document, remote)
) STRICT, WITHOUT ROWID;

-- Changes that are in no heads and why, with their bytes as evidence: losers
-- among twins and their descendants, and changes that a check refused.
CREATE TABLE quarantine (
    id       INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents (id),
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    reason   TEXT    NOT NULL,
    origin   TEXT    NOT NULL,
    time_ms  INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    UNIQUE (document, hash)
) STRICT;

-- Small values of the store itself, such as its id.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each store that has the file open. Rows that are there when
-- nobody has it open were left by an end that was not clean.
CREATE TABLE openings (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    opened_ms INTEGER NOT NULL
) STRICT;
