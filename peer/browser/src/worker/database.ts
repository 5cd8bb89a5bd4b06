import type { Database as Connection, PreparedStatement, SAHPoolUtil, Sqlite3Static } from "@sqlite.org/sqlite-wasm"
import { SynclineError } from "../shared/errors.js"

/** What SQLite takes and gives. */
export type SQLValue = string | number | bigint | null | Uint8Array
export type Row = Record<string, SQLValue>

/**
 * The one connection of the owner. Statements are prepared once and kept. Everything is synchronous: what
 * {@link Database.transaction} has returned is on the disk.
 */
export class Database {
  readonly #statements = new Map<string, PreparedStatement>()
  #open = true

  constructor(readonly sqlite3: Sqlite3Static, readonly connection: Connection) {}

  get isOpen(): boolean { return this.#open }

  #prepare(sql: string): PreparedStatement {
    if (!this.#open) throw new SynclineError("closed", "the store is closed")
    let s = this.#statements.get(sql)
    if (!s) this.#statements.set(sql, s = this.connection.prepare(sql))
    return s
  }

  run(sql: string, ...params: SQLValue[]): void {
    const s = this.#prepare(sql)
    try {
      if (params.length > 0) s.bind(params as never)
      s.step()
    } finally {
      s.reset(true)
    }
  }

  *#rows(sql: string, params: SQLValue[]): Generator<Row> {
    const s = this.#prepare(sql)
    try {
      if (params.length > 0) s.bind(params as never)
      while (s.step()) yield s.get({}) as Row
    } finally {
      s.reset(true)
    }
  }

  all(sql: string, ...params: SQLValue[]): Row[] { return [...this.#rows(sql, params)] }

  get(sql: string, ...params: SQLValue[]): Row | undefined {
    for (const row of this.#rows(sql, params)) return row
    return undefined
  }

  exec(sql: string): void { this.connection.exec(sql) }

  /** The row that was inserted last. */
  lastRow(): number { return Number(this.sqlite3.capi.sqlite3_last_insert_rowid(this.connection)) }

  /**
   * Runs f in a transaction. If f or the commit fails, nothing of it is in the store, and the error says
   * whether the disk is full.
   */
  transaction<T>(f: () => T): T {
    this.run("BEGIN IMMEDIATE")
    try {
      const result = f()
      this.run("COMMIT")
      return result
    } catch (error) {
      try {
        if (!this.sqlite3.capi.sqlite3_get_autocommit(this.connection)) this.run("ROLLBACK")
      } catch { /* SQLite has rolled back by itself, as it does when the disk is full */ }
      throw storeError(error)
    }
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    for (const s of this.#statements.values()) s.finalize()
    this.#statements.clear()
    this.connection.close()
  }
}

/** What a failed write means for the one who wanted it. */
export function storeError(error: unknown): unknown {
  const code = (error as { resultCode?: number }).resultCode
  if (code === undefined) return error
  const primary = code & 0xff
  const message = (error as Error).message
  // SQLITE_FULL; and SQLITE_IOERR, which is what the pool makes of a quota that is used up.
  if (primary === 13 || primary === 10) {
    return new SynclineError("storage-full", `the edit was not stored and not made: the disk, or what the browser lets this site store, is full. Free some space and try again (${message})`, { cause: error })
  }
  return new SynclineError("storage", `the edit was not stored and not made: ${message}`, { cause: error })
}

export type { SAHPoolUtil, Sqlite3Static }
