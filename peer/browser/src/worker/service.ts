import { parseDocumentId, type DocumentId } from "../shared/bytes.js"
import { errorData, SynclineError } from "../shared/errors.js"
import { unpack, type Operation, type Step } from "../shared/operations.js"
import type { Call, FromWorker } from "../shared/protocol.js"
import { states, type LogEntry, type Progress, type State, type WorkerOptions } from "../shared/api.js"
import { candidatesAt } from "./candidates.js"
import type { SQLValue } from "./database.js"
import type { Base, Engine } from "./engine.js"
import type { Hub } from "./hub.js"
import type { Lease } from "./lease.js"
import { LiveQueries, Queries } from "./queries.js"
import { conflictsAt, readAt } from "./read.js"
import type { Dirty } from "./replica.js"

/** Sends to the page of a tab. */
export type Send = (tab: string, message: FromWorker) => void

/** Who calls. */
interface Caller { tab: string, call: Call }

/** What a change event names at most; above that it says only which collections. */
const maxNamed = 1000

/** The owner's answers to the pages of all tabs: each method of the API that needs the store. */
export class Service {
  readonly #queries: Queries
  readonly #live: LiveQueries
  readonly #tabs = new Set<string>()
  readonly #startedAt = Date.now()

  constructor(
    private readonly engine: Engine, private readonly hub: Hub, private readonly lease: Lease,
    options: WorkerOptions, private readonly epoch: string, private readonly send: Send,
    private readonly wipe: () => Promise<void>,
  ) {
    this.#queries = new Queries(engine.db, options.schema)
    this.#live = new LiveQueries((sql, params) => this.#queries.run(sql, params))
    engine.listener = {
      committed: (id, dirty, local) => this.#committed(id, dirty, local),
      restarted: why => {
        this.hub.coreRestarted()
        this.#emitAll("restarted", why)
      },
      refused: error => {
        hub.tally.commitFailures++
        this.#emitAll("refused", errorData(error))
      },
    }
    hub.onStatus = () => this.#emitAll("status", null)
    hub.onProgress = id => this.#emitAll("progress", id)
    hub.onEphemeral = (id, message) => this.#emitAll("ephemeral", { id, ...message })
    hub.askToken = url => this.#emitAll("token?", url)
  }

  /** A tab is there. */
  attach(tab: string): void {
    this.#tabs.add(tab)
    this.send(tab, { kind: "owner", epoch: this.epoch })
    for (const url of this.hub.wantedTokens) this.send(tab, { kind: "event", event: "token?", data: url })
  }

  /** A tab is gone. */
  detach(tab: string): void {
    this.#tabs.delete(tab)
    this.#live.removeWhere(`${tab}/`)
    this.hub.repos.detach(tab)
  }

  #emitAll(event: string, data: unknown): void {
    this.lease.guard(() => { for (const tab of this.#tabs) this.send(tab, { kind: "event", event, data }) })
  }

  #committed(id: DocumentId, dirty: Dirty, local: boolean): void {
    this.#queries.collections(dirty.keys())
    this.hub.committed(id, local)
    this.#live.changed(dirty.keys())
    let named = 0
    const entities = Object.fromEntries([...dirty].map(([c, ids]) => [c, ids === "all" || (named += ids.size) > maxNamed ? "all" : [...ids]]))
    this.#emitAll("changed", { id, entities, local, heads: this.engine.replica(id).heads })
  }

  /** Answers a call. What it has done is durable before it is answered, and said only while we own the store. */
  async handle(tab: string, call: Call): Promise<void> {
    const reply = (message: Omit<FromWorker & { kind: "reply" }, "kind" | "id">): void =>
      this.lease.guard(() => this.send(tab, { kind: "reply", id: call.id, ...message }))
    try {
      const method = this.#methods[call.method]
      if (!method) throw new SynclineError("invalid", `there is no method ${call.method}`)
      while (this.engine.recovering) await this.engine.recovering
      reply({ result: await method(call.params as never, { tab, call }) })
    } catch (error) {
      reply({ error: errorData(error) })
    }
  }

  readonly #methods: { [name: string]: (p: never, caller: Caller) => unknown } = {
    create: () => {
      const id = this.engine.create()
      this.hub.open(id)
      return id
    },
    find: async ({ id: text, timeout }: { id: string, timeout: number }) => {
      const id = parseDocumentId(text)
      this.engine.enter(id)
      this.hub.open(id)
      if (!this.engine.journal.madeHere(id) && this.engine.replica(id).heads.length === 0) await this.hub.until(id, () => this.engine.replica(id).heads.length > 0, timeout)
      return id
    },
    documents: () => this.engine.journal.documents(),
    apply: ({ id, ops, request, base }: { id: DocumentId, ops: Operation[], request: string, base?: Base }) => this.engine.apply(id, ops.map(unpack), request, base),
    read: ({ id, path, heads }: { id: DocumentId, path: Step[], heads?: string[] }) => readAt(this.engine.replica(id).handle, path, heads),
    text: ({ id, path }: { id: DocumentId, path: Step[] }) => {
      const r = this.engine.replica(id)
      return { text: readAt(r.handle, path) ?? "", heads: r.heads }
    },
    conflicts: ({ id, path }: { id: DocumentId, path: Step[] }) => conflictsAt(this.engine.replica(id).handle, path),
    candidates: ({ id, path }: { id: DocumentId, path: Step[] }) => candidatesAt(this.engine.replica(id).handle, path),
    heads: ({ id }: { id: DocumentId }) => this.engine.replica(id).heads,
    save: ({ id }: { id: DocumentId }) => this.engine.replica(id).handle.save(),
    cursor: ({ id, path, pos }: { id: DocumentId, path: Step[], pos: number }) => {
      const h = this.engine.replica(id).handle
      const obj = this.#text(id, path)
      return obj === undefined ? "" : h.getCursor(obj, Math.min(pos, h.length(obj)))
    },
    position: ({ id, path, cursor }: { id: DocumentId, path: Step[], cursor: string }) => {
      const obj = this.#text(id, path)
      return obj === undefined || cursor === "" ? 0 : this.engine.replica(id).handle.getCursorPosition(obj, cursor)
    },
    log: ({ id, limit }: { id: DocumentId, limit: number }) => this.#log(id, limit),
    receipt: ({ sequence }: { sequence: number }) => {
      const r = this.engine.receiptWhere("sequence = ?", sequence)
      if (!r) throw new SynclineError("not-found", `operation ${sequence}: no operation that was made in this store has this number`)
      return r
    },
    progress: ({ id, hash }: { id: DocumentId, hash: string }): Progress => this.hub.progress(id, hash),
    wait: async ({ id, hash, state, timeout }: { id: DocumentId, hash: string, state: State, timeout: number }) => {
      if (!this.engine.replica(id).has(hash)) throw new SynclineError("not-found", `${id} has no change ${hash}`)
      await this.hub.until(id, () => states.indexOf(this.hub.progress(id, hash).state) >= states.indexOf(state), timeout)
    },
    flush: ({ timeout }: { timeout: number }) => this.hub.flush(timeout),
    query: ({ sql, params }: { sql: string, params: SQLValue[] }) => this.#queries.run(sql, params).rows,
    live: ({ key, sql, params }: { key: string, sql: string, params: SQLValue[] }, { tab }) => {
      const emit = (data: object): void => this.lease.guard(() => this.send(tab, { kind: "event", event: "live", data: { key, ...data } }))
      this.#live.add(`${tab}/${key}`, sql, params, rows => emit({ rows }), error => emit({ error: errorData(error) }))
    },
    unlive: ({ key }: { key: string }, { tab }) => this.#live.remove(`${tab}/${key}`),
    status: async () => ({
      ...this.hub.status(), owner: this.epoch, since: this.#startedAt, tabs: this.#tabs.size, liveQueries: this.#live.size,
      store: await this.#storeStatus(), open: this.engine.openDocuments,
      journal: Number(this.engine.db.get("SELECT count(*) AS n FROM journal")!["n"]),
    }),
    telemetry: () => this.hub.telemetry(),
    broadcast: ({ id, data, session, count }: { id: DocumentId, data: Uint8Array, session: string, count: number }) => this.hub.broadcast(id, data, session, count),
    network: ({ condition }: { condition: never }) => this.hub.simulate(condition),
    connect: ({ remote }: { remote: { url: string } }) => this.hub.connect(remote),
    retry: () => this.hub.retry(),
    seen: () => this.hub.kick(),
    token: ({ url, token }: { url: string, token: string | null }) => this.hub.token(url, token),
    repo: ({ message }: { message: Uint8Array }, { tab }) => this.hub.repos.receive(tab, message, bytes => this.lease.guard(() => this.send(tab, { kind: "event", event: "repo", data: bytes }))),
    blobs: (p: { op: string, key?: string, body?: Uint8Array }) => this.#blobs(p),
    fold: () => this.engine.fold(),
    wipe: () => this.wipe(),
  }

  #text(id: DocumentId, path: readonly Step[]): string | undefined {
    const h = this.engine.replica(id).handle
    let obj = "_root", kind = "map"
    for (const s of path) {
      const v = h.getWithType(obj, s as never) as [string, unknown] | null
      if (!v) return undefined
      kind = v[0]
      obj = v[1] as string
    }
    return kind === "text" ? obj : undefined
  }

  #log(id: DocumentId, limit: number): LogEntry[] {
    const r = this.engine.replica(id)
    const progress = this.hub.progressOf(id)
    return r.newest(limit).map(m => {
      const own = m.actor.startsWith(r.device)
      return {
        hash: m.hash, actor: m.actor, device: m.actor.slice(0, 16), own, time: Number(m.time) * 1000,
        intent: m.message ?? "", size: m.maxOp - m.startOp + 1, ...own && { state: progress(m.hash).state },
      }
    })
  }

  async #storeStatus(): Promise<object> {
    const { kind, warning } = this.engine.store
    const estimate = await navigator.storage?.estimate?.().catch(() => undefined)
    const persisted = await navigator.storage?.persisted?.().catch(() => false)
    return { kind, ...warning && { warning }, usage: estimate?.usage ?? 0, quota: estimate?.quota ?? 0, persisted: persisted ?? false }
  }

  /** The key-value store of an app's own Repo. Keys are JSON arrays, so that ranges are prefixes. */
  #blobs({ op, key = "", body }: { op: string, key?: string, body?: Uint8Array }): unknown {
    const { db } = this.engine
    const below = `${key.slice(0, -1)},` // of a key's JSON without its last bracket
    const range = "key = ? OR (key >= ? AND key < ?)"
    const bounds = key === "[]" ? ["", "", "\u{10ffff}"] : [key, below, `${below.slice(0, -1)}-`]
    switch (op) {
      case "load": return db.get("SELECT body FROM blobs WHERE key = ?", key)?.["body"]
      case "save": return db.transaction(() => db.run("INSERT INTO blobs (key, body) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body", key, body!))
      case "remove": return db.transaction(() => db.run("DELETE FROM blobs WHERE key = ?", key))
      case "loadRange": return db.all(`SELECT key, body FROM blobs WHERE ${range} ORDER BY key`, ...bounds)
      case "removeRange": return db.transaction(() => db.run(`DELETE FROM blobs WHERE ${range}`, ...bounds))
    }
    throw new SynclineError("invalid", `blobs: ${op}`)
  }
}
