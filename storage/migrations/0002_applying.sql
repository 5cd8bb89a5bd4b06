-- Changes that are in the journal and have not yet been through the document:
-- its code is not ours, and one that ends the process must not be given to it
-- again by the next start. begun_by is the opening that has begun to apply the
-- row, 0 before that.
CREATE TABLE applying (
    row      INTEGER PRIMARY KEY REFERENCES journal (seq),
    document INTEGER NOT NULL REFERENCES documents (id),
    begun_by INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX applying_document ON applying (document);
