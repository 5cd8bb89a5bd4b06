-- What was found damaged in the journal or among the operations, as it was: evidence,
-- and the reason why it may leave its table, so that sync can bring the change again
-- (mend.go). hash is the one that the row claimed, body the change or the record.
CREATE TABLE withdrawn (
    id       INTEGER PRIMARY KEY,
    source   TEXT    NOT NULL CHECK (source IN ('journal', 'operations')),
    document INTEGER NOT NULL REFERENCES documents (id),
    row      INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    actor    BLOB    NOT NULL,
    origin   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    time_ms  INTEGER NOT NULL,
    head     BLOB    NOT NULL,
    body     BLOB    NOT NULL
) STRICT;
CREATE INDEX withdrawn_document ON withdrawn (document, row);

-- What leaves the journal is in a segment, or here as it was, or gone with its
-- document.
DROP TRIGGER journal_keeps_what_is_not_folded;
CREATE TRIGGER journal_keeps_what_is_not_folded BEFORE DELETE ON journal
WHEN NOT EXISTS (SELECT 1 FROM segments WHERE document = OLD.document AND folds = 1 AND last_row >= OLD.seq AND first_row <= OLD.seq)
    AND NOT EXISTS (SELECT 1 FROM documents WHERE id = OLD.document AND deleting <> 0)
    AND NOT EXISTS (SELECT 1 FROM withdrawn WHERE source = 'journal' AND document = OLD.document AND row = OLD.seq AND hash = OLD.hash AND body = OLD.body)
BEGIN
    SELECT RAISE(ABORT, 'a row of the journal is never deleted unless a segment stands in its place');
END;
DROP TRIGGER operations_stay_with_their_document;
CREATE TRIGGER operations_stay_with_their_document BEFORE DELETE ON operations
WHEN NOT EXISTS (SELECT 1 FROM documents WHERE id = OLD.document AND deleting <> 0)
    AND NOT EXISTS (SELECT 1 FROM withdrawn WHERE source = 'operations' AND document = OLD.document AND row = OLD.row AND body = OLD.record)
BEGIN
    SELECT RAISE(ABORT, 'an operation is deleted with its document only');
END;
