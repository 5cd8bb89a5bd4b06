-- The operations that were made in this store, each by the row of the change that
-- it became; the row keeps its number when it is folded. record is the caller's
-- own. time_ms is when it was made, where the change itself has seconds.
CREATE TABLE operations (
    row      INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES documents (id),
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    time_ms  INTEGER NOT NULL,
    record   BLOB    NOT NULL
) STRICT;
CREATE INDEX operations_document ON operations (document, row);

-- What was done is not rewritten, and goes with its document.
CREATE TRIGGER operations_are_never_updated BEFORE UPDATE ON operations
BEGIN
    SELECT RAISE(ABORT, 'an operation is never updated');
END;
CREATE TRIGGER operations_stay_with_their_document BEFORE DELETE ON operations
WHEN NOT EXISTS (SELECT 1 FROM documents WHERE id = OLD.document AND deleting <> 0)
BEGIN
    SELECT RAISE(ABORT, 'an operation is deleted with its document only');
END;

-- Documents that a remote is sent no more of, because it would not help, and why.
-- record is the caller's own.
CREATE TABLE undelivered (
    document INTEGER NOT NULL REFERENCES documents (id),
    remote   TEXT    NOT NULL,
    time_ms  INTEGER NOT NULL,
    record   BLOB    NOT NULL,
    PRIMARY KEY (document, remote)
) STRICT, WITHOUT ROWID;
