import type { Schema } from "../shared/api.js"
import { SynclineError } from "../shared/errors.js"
import type { Database, Row, SQLValue } from "./database.js"

// SQL of the app: reading only, by construction. SQLite asks for leave for everything that a statement would
// do while it is prepared; what is no reading is denied. The same questions tell which collections a
// statement reads, so that a live query runs again only when one of those has changed.

/** What a query has read: names of collections, or "*" for all. */
export type Reads = Set<string>

/** Rows of a query, at most; more would stall the page that asked. */
const maxRows = 100_000

const ok = 0, deny = 1
// Codes of the questions, from sqlite3.h.
const actionRead = 20, actionSelect = 21, actionFunction = 31, actionRecursive = 33
const functionsDenied = new Set(["load_extension", "fts3_tokenizer", "writefile", "edit"])
/** The view of all collections. */
const everything = "_entities"
/** The store's own tables, which are no collections: they hold keys and bodies, and have no name here. */
const own = /^(sqlite_.*|meta|documents|journal|operations|segments|sync_states|quarantine|entities|blobs)$/i

const name = (s: string): string => `"${s.replaceAll('"', '""')}"`
const text = (s: string): string => `'${s.replaceAll("'", "''")}'`

export class Queries {
  #views = new Set<string>()
  #reads: Reads | undefined

  constructor(readonly db: Database, private readonly schema: Schema) {
    const { capi } = db.sqlite3
    capi.sqlite3_set_authorizer(db.connection.pointer!, (_arg, action, a1, a2, _a3, view) => {
      const reads = this.#reads
      if (!reads) return ok // our own statements
      switch (action) {
        case actionRead: {
          // What a view is made of is asked for once more without it, and without a column.
          if (a2 === "" && (a1 === "entities" || a1 === "documents")) return ok
          const table = String(a1)
          for (const name of [String(view), table]) {
            if (!this.#views.has(name)) continue
            reads.add(name === everything ? "*" : name)
            return ok
          }
          // Tables of the statement itself: what WITH names, and the functions that give rows.
          return table === "" || /^json_(each|tree)$/.test(table) ? ok : deny
        }
        case actionSelect: case actionRecursive: return ok
        case actionFunction: return functionsDenied.has(String(a2)) ? deny : ok
      }
      return deny
    }, 0 as never)
    this.#make(everything, ", e.collection AS _collection", "")
    for (const c of Object.keys(schema)) this.#view(c)
    for (const r of db.all("SELECT DISTINCT collection FROM entities")) this.#view(String(r["collection"]))
  }

  /** Makes the views of collections that are new. */
  collections(names: Iterable<string>): void {
    for (const n of names) this.#view(n)
  }

  /** One view for each collection: _doc, _id, a column for each field of the schema, _json and _conflict. */
  #view(collection: string): void {
    if (this.#views.has(collection) || own.test(collection) || collection === everything) return
    const fields = (this.schema[collection] ?? []).map(f => `, json_extract(e.data, ${text(`$."${f.replaceAll('"', '\\"')}"`)}) AS ${name(f)}`).join("")
    this.#make(collection, fields, `WHERE e.collection = ${text(collection)}`)
  }

  #make(view: string, columns: string, where: string): void {
    this.db.exec(`CREATE TEMP VIEW ${name(view)} AS SELECT d.id AS _doc, e.id AS _id${columns}, e.data AS _json, e.conflict AS _conflict
      FROM main.entities e JOIN main.documents d ON d.doc = e.doc ${where}`)
    this.#views.add(view)
  }

  /** Runs SQL that only reads, and says what it has read. A collection that nobody has made yet is empty. */
  run(sql: string, params: readonly SQLValue[] | { [name: string]: SQLValue } = []): { rows: Row[], reads: Reads } {
    for (let last = ""; ;) {
      try {
        return this.#once(sql, params)
      } catch (error) {
        const missing = error instanceof SynclineError && error.code === "sql" ? /no such table: (?:main\.)?(.+)$/.exec(error.message)?.[1] : undefined
        if (!missing || missing === last || missing.includes(".")) throw error
        this.#view(last = missing)
      }
    }
  }

  #once(sql: string, params: readonly SQLValue[] | { [name: string]: SQLValue }): { rows: Row[], reads: Reads } {
    const reads: Reads = new Set()
    this.#reads = reads
    const { capi } = this.db.sqlite3
    let statement
    try {
      statement = this.db.connection.prepare(sql)
    } catch (error) {
      if (/not authorized|cannot modify|is prohibited/.test((error as Error).message)) throw new SynclineError("read-only", "queries only read, and only what an app may: edits are operations")
      throw new SynclineError("sql", (error as Error).message)
    } finally {
      this.#reads = undefined
    }
    try {
      if (!capi.sqlite3_stmt_readonly(statement.pointer!)) throw new SynclineError("read-only", "queries only read: edits are operations")
      if (Array.isArray(params) ? params.length > 0 : Object.keys(params).length > 0) statement.bind(params as never)
      const rows: Row[] = []
      while (statement.step()) {
        if (rows.length === maxRows) throw new SynclineError("too-large", `more than ${maxRows} rows: use LIMIT`)
        rows.push(statement.get({}) as Row)
      }
      return { rows, reads }
    } catch (error) {
      if (error instanceof SynclineError) throw error
      throw new SynclineError("sql", (error as Error).message)
    } finally {
      statement.finalize()
    }
  }
}

interface Live {
  sql: string
  params: readonly SQLValue[]
  reads: Reads
  /** What was emitted last. */
  last: string
  emit(rows: Row[]): void
  fail(error: unknown): void
}

/** Live queries: run again after a commit that has touched what they read, and told only what is new. */
export class LiveQueries {
  readonly #queries = new Map<string, Live>()
  #dirty: Set<string> | undefined

  constructor(private readonly run: (sql: string, params: readonly SQLValue[]) => { rows: Row[], reads: Reads }) {}

  get size(): number { return this.#queries.size }

  /** Begins a live query; the first rows come at once. An error of the SQL is thrown. */
  add(key: string, sql: string, params: readonly SQLValue[], emit: (rows: Row[]) => void, fail: (error: unknown) => void): void {
    const { rows, reads } = this.run(sql, params)
    this.#queries.set(key, { sql, params, reads, last: fingerprint(rows), emit, fail })
    emit(rows)
  }

  remove(key: string): void { this.#queries.delete(key) }

  removeWhere(prefix: string): void {
    for (const key of this.#queries.keys()) if (key.startsWith(prefix)) this.#queries.delete(key)
  }

  /** Notes that collections have changed. Several commits in a row are one turn of the queries. */
  changed(collections: Iterable<string>): void {
    if (this.#queries.size === 0) return
    if (this.#dirty) {
      for (const c of collections) this.#dirty.add(c)
      return
    }
    this.#dirty = new Set(collections)
    queueMicrotask(() => this.#turn())
  }

  #turn(): void {
    const dirty = this.#dirty ?? new Set<string>()
    this.#dirty = undefined
    for (const q of this.#queries.values()) {
      if (!q.reads.has("*") && ![...dirty].some(c => q.reads.has(c))) continue
      try {
        const { rows, reads } = this.run(q.sql, q.params)
        q.reads = reads
        const now = fingerprint(rows)
        if (now === q.last) continue
        q.last = now
        q.emit(rows)
      } catch (error) {
        q.fail(error)
      }
    }
  }
}

/** Equal rows give equal texts. */
function fingerprint(rows: Row[]): string {
  return JSON.stringify(rows, (_, v: unknown) => typeof v === "bigint" ? `${v}n` : v instanceof Uint8Array ? Array.from(v) : v)
}
