-- Folding: a segment may stand in place of its rows, which then leave the
-- journal. From the oldest row on and without gaps, so that a document is its
-- folding segments up to folded_row and its rows of the journal above it.

ALTER TABLE documents ADD COLUMN raw_changes INTEGER NOT NULL DEFAULT 0; -- of changes: those still in the journal
ALTER TABLE documents ADD COLUMN raw_bytes   INTEGER NOT NULL DEFAULT 0; -- of their bodies
ALTER TABLE documents ADD COLUMN folded_row  INTEGER NOT NULL DEFAULT 0; -- the last row that is folded
-- The opening that is deleting the document; 0 if none is.
ALTER TABLE documents ADD COLUMN deleting    INTEGER NOT NULL DEFAULT 0;
UPDATE documents SET raw_changes = changes, raw_bytes = bytes;

-- Documents with little to fold are not in it, so they cost an append nothing.
CREATE INDEX documents_foldable ON documents (id) WHERE raw_changes >= 64 OR raw_bytes >= 65536;

-- Anew, because a column can only be added at the end, and the body is to stay
-- there: what stands before it is read without the pages of a large body.
-- folds is 1 for a segment that stands in place of its rows, 0 for one that
-- lies beside them. part_index is the compactor's own.
CREATE TABLE new_segments (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    document   INTEGER NOT NULL REFERENCES documents (id),
    kind       INTEGER NOT NULL,
    level      INTEGER NOT NULL,
    folds      INTEGER NOT NULL CHECK (folds IN (0, 1)),
    first_row  INTEGER NOT NULL CHECK (first_row > 0),
    last_row   INTEGER NOT NULL CHECK (last_row >= first_row),
    rows       INTEGER NOT NULL CHECK (rows > 0),
    created_ms INTEGER NOT NULL,
    row_set    BLOB    CHECK (folds = 0 OR row_set IS NULL),
    part_index BLOB    NOT NULL,
    body       BLOB    NOT NULL
) STRICT;
INSERT INTO new_segments
    SELECT id, document, kind, level, 0, first_row, last_row, rows, created_ms, row_set, x'', body FROM segments;
DROP TABLE segments;
ALTER TABLE new_segments RENAME TO segments;
CREATE INDEX segments_document ON segments (document, first_row);
-- Which segment has a row, and which rows of all documents were folded since.
CREATE INDEX segments_folding ON segments (document, last_row) WHERE folds = 1;
CREATE INDEX segments_folded_rows ON segments (last_row) WHERE folds = 1;

-- Append-only stays a property of the file: what leaves the journal is in a
-- segment, and stays in one, until its document as a whole is deleted.
DROP TRIGGER journal_is_never_deleted;
CREATE TRIGGER journal_keeps_what_is_not_folded BEFORE DELETE ON journal
WHEN NOT EXISTS (SELECT 1 FROM segments WHERE document = OLD.document AND folds = 1 AND last_row >= OLD.seq AND first_row <= OLD.seq)
    AND NOT EXISTS (SELECT 1 FROM documents WHERE id = OLD.document AND deleting <> 0)
BEGIN
    SELECT RAISE(ABORT, 'a row of the journal is never deleted unless a segment stands in its place');
END;
CREATE TRIGGER segments_are_never_updated BEFORE UPDATE ON segments
BEGIN
    SELECT RAISE(ABORT, 'a segment is never updated');
END;
CREATE TRIGGER segments_keep_what_they_stand_for BEFORE DELETE ON segments
WHEN OLD.folds = 1
    AND NOT EXISTS (SELECT 1 FROM segments WHERE document = OLD.document AND folds = 1 AND id <> OLD.id
        AND last_row >= OLD.last_row AND first_row <= OLD.first_row)
    AND NOT EXISTS (SELECT 1 FROM documents WHERE id = OLD.document AND deleting <> 0)
BEGIN
    SELECT RAISE(ABORT, 'a segment that rows were folded into is never deleted unless another has them all');
END;
CREATE TRIGGER documents_are_deleted_to_the_end BEFORE UPDATE OF deleting ON documents
WHEN OLD.deleting <> 0 AND NEW.deleting = 0
BEGIN
    SELECT RAISE(ABORT, 'a document of which parts may be gone is not taken back');
END;
