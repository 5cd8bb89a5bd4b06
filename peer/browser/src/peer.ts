import type { Remote, ReceiptData, Schema, WorkerOptions } from "./shared/api.js"
import { parseDocumentId, type DocumentId } from "./shared/bytes.js"
import { decodeCBOR } from "./shared/cbor.js"
import { errorFrom, SynclineError, type ErrorData } from "./shared/errors.js"
import { Document } from "./document.js"
import { Receipt } from "./receipt.js"
import { RPC } from "./rpc.js"
import type { Metric, NetworkCondition, Row, SQLParam, Status } from "./status.js"

/** Options of {@link open}. Only the name is needed. */
export interface Options {
  /** Names the store within the origin: letters, digits, `-` and `_`. */
  name: string
  /** Relays, and peers that listen, to stay connected with. None: nothing leaves this browser. */
  remotes?: Remote[]
  /** Gives the access token for a remote, each time that one is needed. None: no token is sent. */
  token?: (url: string) => Promise<string | undefined> | string | undefined
  /** For each collection, the fields that its SQL view has as columns. Without it, rows have `_doc`, `_id`, `_json` and `_conflict`. */
  schema?: Schema
  /** The folder with worker.js, core.js, automerge.wasm and sqlite3.wasm. The one that this module lies in. */
  assets?: URL | string
  /** Called with what the user should know: nothing here outlives the page, an edit was refused, a newer page has the store. If there is none, they go to console.warn. */
  onWarning?: (warning: Warning) => void
  /** Keep all in memory, as where there is no file system. */
  memory?: boolean
  /** How long a tab that owns the store may answer nothing before another one takes over, in ms; more than 3000. 6000. */
  patience?: number
}

/** Something that the user should know. */
export interface Warning {
  /** `memory`: nothing outlives this page. `refused`: an edit was not made, because it could not be stored. `restarted`: the CRDT core failed and was replaced; nothing is lost. `evictable`: the browser may delete the store when space is short. */
  kind: "memory" | "refused" | "restarted" | "evictable"
  message: string
}

/** What has changed in a document. */
export interface Change {
  document: DocumentId
  /** The touched entities by collection; "all" if they are not told apart. */
  entities: { [collection: string]: string[] | "all" }
  /** It was made in this browser, in whichever tab. */
  local: boolean
  heads: string[]
}

interface Live { sql: string, params: SQLParam[], rows(rows: Row[]): void, error(e: SynclineError): void }

type Events = {
  change: Change
  status: null
  progress: DocumentId
  ephemeral: { document: DocumentId, senderId: string, sessionId: string, message: unknown }
  owner: null
  repo: Uint8Array
  wiped: null
}

/**
 * A peer in a browser: documents that are edited locally, at once and durably, and kept in sync in the background.
 * All tabs of a browser that open the same name share one store, one journal and one connection.
 */
export class Peer {
  /** Names this tab. */
  readonly tab: string
  readonly #rpc: RPC
  readonly #live = new Map<string, Live>()
  readonly #listeners = new Map<string, Set<(v: never) => void>>()
  readonly #warn: (w: Warning) => void
  #lives = 0
  #wiped = false

  /** @internal */
  constructor(rpc: RPC, tab: string, options: Options) {
    this.#rpc = rpc
    this.tab = tab
    this.#warn = options.onWarning ?? (w => console.warn(`syncline: ${w.message}`))
    rpc.onEvent = (event, data) => this.#event(event, data, options)
    rpc.onOwner = () => {
      for (const [key, l] of this.#live) this.#start(key, l)
      this.#emit("owner", null)
    }
    document.addEventListener("visibilitychange", this.#seen)
  }

  readonly #seen = (): void => { if (document.visibilityState === "visible") void this.#rpc.call("seen").catch(() => {}) }

  /** @internal */
  call<T>(method: string, params?: unknown): Promise<T> { return this.#rpc.call<T>(method, params) }

  /** Makes a new document. */
  async create(): Promise<Document> { return new Document(this, await this.call("create")) }

  /**
   * A document by its id or `automerge:` URL. One that is here is returned at once; otherwise it is asked for, and
   * the error is `unavailable` if nobody has brought it within timeout ms (10,000). It is then still wanted.
   */
  async find(id: string, options: { timeout?: number } = {}): Promise<Document> {
    return new Document(this, await this.call("find", { id: parseDocumentId(id), timeout: options.timeout ?? 10_000 }))
  }

  /** The documents in this store; local: made here. created: ms since 1970. */
  documents(): Promise<{ id: DocumentId, created: number, local: boolean }[]> { return this.call("documents") }

  /** Runs SQL that only reads. Each collection, of all documents, is a view by its name with
   * the columns `_doc`, `_id`, one for each field of the schema, `_json` (the whole entity) and `_conflict`; `_entities` has all, with `_collection`:
   * `SELECT _id, _json->>'title' AS title FROM todos WHERE _doc = ?`.
   */
  query<T extends Row = Row>(sql: string, params: SQLParam[] = []): Promise<T[]> { return this.call("query", { sql, params }) }

  /** Runs SQL now and after each change of what it reads; callback has the rows whenever they are others. Returns what ends it. */
  live<T extends Row = Row>(sql: string, params: SQLParam[], callback: (rows: T[]) => void, onError?: (e: SynclineError) => void): () => void {
    const key = `${this.tab}-${++this.#lives}`
    const l: Live = {
      sql, params, rows: callback as (rows: Row[]) => void,
      error: onError ?? (e => console.error(`syncline: live query: ${e.message}: ${sql}`)),
    }
    this.#live.set(key, l)
    this.#start(key, l)
    return () => {
      if (this.#live.delete(key)) void this.call("unlive", { key }).catch(() => {})
    }
  }

  #start(key: string, l: Live): void {
    this.call("live", { key, sql: l.sql, params: l.params }).catch((e: unknown) => { if (this.#live.has(key)) l.error(e as SynclineError) })
  }

  /** How the peer stands: what no other end has, how remotes are reached, what the store is. */
  status(): Promise<Status> { return this.call("status") }

  /** The same numbers as metrics, under the native peer's names. */
  telemetry(): Promise<Metric[]> { return this.call("telemetry") }

  /** Resolves when another end has all changes that are here. */
  flush(options: { timeout?: number } = {}): Promise<void> { return this.call("flush", { timeout: options.timeout ?? 30_000 }) }

  /** The receipt of an operation that was made in this store, by its sequence number. */
  async receipt(sequence: number): Promise<Receipt> { return new Receipt(this, await this.call<ReceiptData>("receipt", { sequence })) }

  /** Adds a remote, until the store is opened anew. */
  connect(remote: Remote): Promise<void> { return this.call("connect", { remote }) }

  /** Tries remotes that are not tried any more, and offers again what was refused. */
  retry(): Promise<void> { return this.call("retry") }

  /** Gives a fresh token for a remote before the old one ends. */
  setToken(url: string, token: string): Promise<void> { return this.call("token", { url, token }) }

  /** Makes the network as bad as it is said to be, for demonstrations and tests: for all tabs of this browser. */
  network(condition: NetworkCondition): Promise<void> { return this.call("network", { condition }) }

  /** Removes everything that this store has in this browser, in all tabs, and closes the peer. What no other end has is lost. */
  async wipe(): Promise<void> {
    try {
      await this.call("wipe")
    } catch (error) {
      // All tabs are told, this one too, and that may come before the answer.
      if (!this.#wiped) throw error
    }
    this.close()
  }

  /** Calls back when something happens: see the names of {@link Peer.on}'s events. Returns what ends it. */
  on<E extends keyof Events>(event: E, callback: (v: Events[E]) => void): () => void {
    let set = this.#listeners.get(event)
    if (!set) this.#listeners.set(event, set = new Set())
    set.add(callback)
    return () => set.delete(callback)
  }

  #emit<E extends keyof Events>(event: E, v: Events[E]): void {
    for (const f of this.#listeners.get(event) ?? []) (f as (v: Events[E]) => void)(v)
  }

  #event(event: string, data: unknown, options: Options): void {
    switch (event) {
      case "changed": {
        const { id, ...rest } = data as { id: string } & Omit<Change, "document">
        return this.#emit("change", { document: id, ...rest })
      }
      case "live": {
        const { key, rows, error } = data as { key: string, rows?: Row[], error?: ErrorData }
        const l = this.#live.get(key)
        if (rows) l?.rows(rows)
        if (error) l?.error(errorFrom(error))
        return
      }
      case "ephemeral": {
        const m = data as { id: string, senderId: string, sessionId: string, data: Uint8Array }
        try {
          this.#emit("ephemeral", { document: m.id, senderId: m.senderId, sessionId: m.sessionId, message: decodeCBOR(m.data) })
        } catch { /* another app's message of another kind */ }
        return
      }
      case "token?": return void this.#token(data as string, options)
      case "status": return this.#emit("status", null)
      case "progress": return this.#emit("progress", data as string)
      case "repo": return this.#emit("repo", data as Uint8Array)
      case "refused": return this.#warn({ kind: "refused", message: (data as ErrorData).message })
      case "restarted": return this.#warn({ kind: "restarted", message: String(data) })
      case "wiped":
        this.#wiped = true
        this.#emit("wiped", null)
        return this.close("the store was wiped")
    }
  }

  async #token(url: string, options: Options): Promise<void> {
    if (!options.token) return
    const token = await Promise.resolve(options.token(url)).catch(() => undefined)
    await this.call("token", { url, token: token ?? null }).catch(() => {})
  }

  /** Leaves the store to the other tabs. What was acknowledged is on the disk. */
  close(why = "the peer is closed"): void {
    document.removeEventListener("visibilitychange", this.#seen)
    this.#rpc.close(new SynclineError("closed", why))
  }
}

/** Opens a store of this origin, or joins the tab that has it open. */
export async function open(options: Options): Promise<Peer> {
  if (!/^[\w-]{1,64}$/.test(options.name)) throw new SynclineError("invalid", `${options.name} is no name for a store: use letters, digits, - and _`)
  if (!globalThis.isSecureContext || !navigator.locks) throw new SynclineError("invalid", "this page may not use what a store needs: serve it over https, or from localhost")
  const base = new URL(options.assets ?? ".", import.meta.url)
  const tab = crypto.randomUUID()
  const forWorker: WorkerOptions = {
    name: options.name, base: base.href, tab, remotes: options.remotes ?? [], hasToken: options.token !== undefined,
    schema: options.schema ?? {}, noOPFS: options.memory ?? false, patience: Math.max(options.patience ?? 6000, 3500),
  }
  const rpc = new RPC(new URL("worker.js", base), forWorker)
  const peer = new Peer(rpc, tab, options)
  try {
    await rpc.ready()
  } catch (error) {
    peer.close()
    throw error
  }
  const warn = options.onWarning ?? ((w: Warning) => console.warn(`syncline: ${w.message}`))
  const { store } = await peer.status()
  if (store.warning) warn({ kind: "memory", message: store.warning })
  // The browser may ask the user, so nobody waits for it.
  else if (!store.persisted) void navigator.storage?.persist?.().then(kept => {
    if (!kept) warn({ kind: "evictable", message: "The browser may delete what is stored here when space is short." })
  })
  return peer
}
