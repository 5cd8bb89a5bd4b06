import type { Database } from "./database.js"

/** The version of the tables below, in PRAGMA user_version. */
const version = 1

const tables = `
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
  doc     INTEGER PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,   -- base58 with a checksum
  created INTEGER NOT NULL,       -- ms since 1970, when this store got to know it
  local   INTEGER NOT NULL        -- 1: it was made here, so nobody else needs to have it
) STRICT;

-- Every change, ours and others', in the order in which it became durable here. Rows are only added;
-- the body of one that a segment stands for is NULL.
CREATE TABLE journal (
  sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
  doc       INTEGER NOT NULL REFERENCES documents,
  hash      TEXT NOT NULL,        -- hex
  actor     TEXT NOT NULL,        -- hex
  actor_seq INTEGER NOT NULL,
  local     INTEGER NOT NULL,     -- 1: made here
  time      INTEGER NOT NULL,     -- ms since 1970, of this machine's clock
  intent    TEXT NOT NULL,
  body      BLOB,
  UNIQUE (doc, hash)
) STRICT;

-- What the changes made here were, to the app: the receipt of each.
CREATE TABLE operations (
  sequence     INTEGER PRIMARY KEY REFERENCES journal,
  request      TEXT NOT NULL UNIQUE, -- so that a request that is sent twice is carried out once
  device       TEXT NOT NULL,        -- hex
  count        INTEGER NOT NULL,
  operations   TEXT NOT NULL,        -- JSON, the first 64
  acknowledged INTEGER               -- ms since 1970, when another end first had it
) STRICT;
CREATE INDEX unacknowledged ON operations (sequence) WHERE acknowledged IS NULL;

-- A segment is one chunk that stands for a document's journal rows through a sequence.
CREATE TABLE segments (
  doc     INTEGER PRIMARY KEY REFERENCES documents,
  through INTEGER NOT NULL,
  changes INTEGER NOT NULL,
  body    BLOB NOT NULL
) STRICT;

CREATE TABLE sync_states (
  doc    INTEGER NOT NULL REFERENCES documents,
  remote TEXT NOT NULL,           -- its storage id
  state  BLOB NOT NULL,           -- as the core encodes it
  heads  TEXT NOT NULL,           -- JSON: what it is known to have
  PRIMARY KEY (doc, remote)
) STRICT, WITHOUT ROWID;

-- Changes that are kept and are no part of their document.
CREATE TABLE quarantine (
  doc    INTEGER NOT NULL REFERENCES documents,
  hash   TEXT NOT NULL,
  reason TEXT NOT NULL,
  time   INTEGER NOT NULL,
  body   BLOB NOT NULL,
  PRIMARY KEY (doc, hash)
) STRICT, WITHOUT ROWID;

-- The documents as rows.
CREATE TABLE entities (
  doc        INTEGER NOT NULL REFERENCES documents,
  collection TEXT NOT NULL,
  id         TEXT NOT NULL,
  data       TEXT NOT NULL,       -- JSON
  conflict   INTEGER NOT NULL,    -- 1: concurrent changes have given one of its fields several values
  PRIMARY KEY (collection, doc, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX entities_by_doc ON entities (doc);

-- What an automerge-repo Repo stores through our storage adapter.
CREATE TABLE blobs (
  key  TEXT PRIMARY KEY,
  body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA user_version = ${version};
`

/** Makes the tables of a new store, and refuses one that a newer version has made. */
export function migrate(db: Database): void {
  const have = Number(db.get("PRAGMA user_version")?.["user_version"] ?? 0)
  if (have > version) throw new Error(`the store is of version ${have}, and this page knows ${version}: reload the page to get a newer one`)
  if (have === 0) db.transaction(() => db.exec(tables))
}
