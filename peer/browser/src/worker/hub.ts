import { randomBytes, toHex, type DocumentId } from "../shared/bytes.js"
import type { Progress, Remote } from "../shared/api.js"
import { SynclineError } from "../shared/errors.js"
import type { Fault } from "../shared/fault.js"
import type { Message } from "../shared/wire.js"
import { Acknowledgements } from "./acknowledgements.js"
import { Conn, type ConnEvents } from "./conn.js"
import { isPanic } from "./core-loader.js"
import type { Engine } from "./engine.js"
import { Ephemerals, type EphemeralMessage } from "./ephemerals.js"
import { Link, type Condition, type LinkEvents } from "./link.js"
import { quarantine } from "./quarantine.js"
import { Repos } from "./repos.js"
import { metrics, Tally, type Metric } from "./telemetry.js"

/** How long a page may take to give a token, in ms. */
const tokenPatience = 15_000

/**
 * What the owner does with other ends: one link for each remote, one local connection for each Repo in a page,
 * and every document offered to all of them. A change that one of them has brought is durable before the next
 * hears of it.
 */
export class Hub implements LinkEvents, ConnEvents {
  readonly tally = new Tally()
  readonly peerId = `browser-${toHex(randomBytes(8))}`
  readonly repos: Repos
  readonly #links: Link[] = []
  readonly #conns = new Map<Link, Conn>()
  readonly #open = new Set<DocumentId>()
  readonly #letters = new Map<string, Fault & { document: DocumentId, url: string }>()
  readonly #waiters = new Set<{ id: DocumentId | undefined, check(): void }>()
  readonly #tokens = new Map<string, (token: string | undefined) => void>()
  readonly #ephemerals = new Ephemerals(this.peerId)
  readonly #acks: Acknowledgements
  #condition: Condition = "normal"
  #closed = false

  onStatus: () => void = () => {}
  onProgress: (id: DocumentId) => void = () => {}
  onEphemeral: (id: DocumentId, m: EphemeralMessage) => void = () => {}
  askToken: (url: string) => void = () => {}

  constructor(private readonly engine: Engine, private readonly hasToken: boolean, private readonly may: (f: () => void) => void) {
    this.#acks = new Acknowledgements(engine, this.tally)
    this.repos = new Repos(engine, this.tally, this, this.peerId, id => this.#introduce(id))
    for (const d of engine.journal.documents()) this.#open.add(d.id)
  }

  connect(remote: Remote): void {
    if (!/^wss?:\/\/[^/]/.test(remote.url)) throw new SynclineError("invalid", `${remote.url} is not the address of a relay: write ws://HOST:PORT or wss://HOST`)
    if (this.#links.some(l => l.remote.url === remote.url)) return
    const link = new Link(remote, this.peerId, this.engine.storageId, this.hasToken, this.tally, this)
    this.#links.push(link)
    link.simulate(this.#condition)
    link.start()
  }

  // What links tell.

  connected(link: Link, peer: { peerId: string, storageId: string | undefined }): { receive(m: Message): void, close(): void } {
    const conn = new Conn(this.engine, this.tally, this, this.peerId, peer.peerId, peer.storageId ?? peer.peerId, link.remote.peer ?? false,
      m => this.may(() => link.send(m)))
    this.#conns.set(link, conn)
    for (const key of this.#letters.keys()) if (key.endsWith(link.remote.url)) this.#letters.delete(key)
    for (const id of this.#open) this.#offer(conn, id)
    return {
      receive: m => this.#receive(conn, m),
      close: () => {
        this.#acks.save(conn)
        this.#conns.delete(link)
        conn.close()
      },
    }
  }

  changed(): void { this.onStatus() }

  notice(documentId: string, fault: Fault): void {
    for (const [link, conn] of this.#conns) {
      if (!conn.has(documentId)) continue
      this.#letters.set(`${documentId} ${link.remote.url}`, { ...fault, document: documentId, url: link.remote.url })
      if (!fault.receives) conn.end(documentId)
    }
    this.#moved(documentId)
    this.onStatus()
  }

  token(url: string): Promise<string | undefined>
  token(url: string, given: string | null): void
  token(url: string, given?: string | null): Promise<string | undefined> | void {
    if (given !== undefined) {
      this.#tokens.get(url)?.(given ?? undefined)
      const link = this.#links.find(l => l.remote.url === url)
      if (given && link?.state === "connected") link.refresh(given)
      return
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no page answered in time")), tokenPatience)
      this.#tokens.set(url, token => {
        clearTimeout(timer)
        this.#tokens.delete(url)
        resolve(token)
      })
      this.askToken(url)
    })
  }

  /** Tokens that were asked for when perhaps no page was there yet. */
  get wantedTokens(): Iterable<string> { return this.#tokens.keys() }

  // What connections tell.

  heads(conn: Conn, id: DocumentId, heads: string[]): void {
    if (this.#acks.note(conn, id, heads)) this.onProgress(id)
    this.#moved(id)
  }

  unavailable(conn: Conn, id: DocumentId): void {
    this.repos.unavailable(id, conn)
    this.#moved(id)
  }

  refused(conn: Conn, id: DocumentId, message: Uint8Array, error: unknown): void {
    const link = [...this.#conns].find(([, c]) => c === conn)?.[0]
    const full = error instanceof SynclineError && error.code.startsWith("storage")
    if (!full) this.tally.changesRefused++
    const reason = (error as Error).message
    const fault: Fault = { class: full ? "storage-full" : "rejected", reason, retryAfter: 0 }
    if (link) {
      this.#letters.set(`${id} ${link.remote.url}`, { ...fault, document: id, url: link.remote.url })
      if (full) link.giveUp(fault)
    }
    if (isPanic(error)) void quarantine(this.engine, id, message, reason).then(() => this.#moved(id))
    this.onStatus()
  }

  /** The core was replaced: its sync states went with the old one. */
  coreRestarted(): void {
    for (const c of this.#all()) c.resetAll()
    for (const id of this.#open) for (const c of this.#all()) this.#offer(c, id)
  }

  #receive(conn: Conn, m: Message): void {
    if (this.#closed) return
    const { recovering } = this.engine
    if (recovering) return void recovering.then(() => this.#receive(conn, m))
    switch (m.type) {
      case "sync": case "request":
        this.#introduce(m.documentId)
        conn.receive(m.documentId, m.data)
        return
      case "doc-unavailable": return conn.unavailable(m.documentId)
      case "ephemeral": {
        const fresh = this.#ephemerals.accept(m)
        if (!fresh) return
        this.onEphemeral(m.documentId, fresh)
        this.repos.forward(m, conn)
      }
    }
  }

  // What the engine and the service tell.

  /** Offers a document to all. */
  open(id: DocumentId): void {
    if (this.#open.has(id)) return
    this.#open.add(id)
    for (const c of this.#all()) this.#offer(c, id)
  }

  #introduce(id: DocumentId): void {
    this.engine.enter(id)
    this.open(id)
  }

  #offer(conn: Conn, id: DocumentId): void {
    if (this.engine.recovering) return // with a new core, all is offered anew
    try {
      conn.speak(id)
    } catch (error) {
      if (isPanic(error)) void this.engine.restart(`the core panicked while it synced: ${(error as Error).message}`)
      else throw error
    }
  }

  committed(id: DocumentId, _local: boolean): void {
    this.#open.add(id)
    this.#acks.changed(id)
    // Not now: the commit's own connection answers itself, and what else was committed by then goes along.
    queueMicrotask(() => {
      if (!this.#closed) for (const c of this.#all()) this.#offer(c, id)
      this.#moved(id)
    })
  }

  broadcast(id: DocumentId, data: Uint8Array, session: string, count: number): void {
    for (const c of this.#all()) {
      c.send({ type: "ephemeral", senderId: this.peerId, targetId: c.peerId, documentId: id, count, sessionId: session, data })
    }
    this.onEphemeral(id, { senderId: this.peerId, sessionId: session, data })
  }

  /** An ephemeral message of a page's Repo. */
  forward(m: Message & { type: "ephemeral" }): void {
    const fresh = this.#ephemerals.accept(m)
    if (!fresh) return
    this.onEphemeral(m.documentId, fresh)
    for (const c of this.#conns.values()) c.send({ ...m, targetId: c.peerId })
  }

  progress(id: DocumentId, hash: string): Progress { return this.#acks.progress(id, this.#conns.values())(hash) }
  progressOf(id: DocumentId): (hash: string) => Progress { return this.#acks.progress(id, this.#conns.values()) }

  /** Resolves when check holds; looks again whenever something has happened to the document, or to any if id is undefined. */
  until(id: DocumentId | undefined, check: () => boolean, timeout: number): Promise<void> {
    if (check()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const end = (f: () => void): void => {
        clearTimeout(timer)
        this.#waiters.delete(waiter)
        f()
      }
      const timer = setTimeout(() => end(() => reject(new SynclineError("unavailable", `not within ${timeout} ms${this.#why()}`))), timeout)
      const waiter = {
        id,
        check: () => {
          try {
            if (check()) end(resolve)
          } catch (error) {
            end(() => reject(error as Error))
          }
        },
      }
      this.#waiters.add(waiter)
    })
  }

  #why(): string {
    if (this.#links.length === 0) return ": there is no remote"
    return this.#links.some(l => l.state === "connected") ? "" : `: ${this.#links.map(l => `${l.remote.url} is ${l.state}${l.fault ? ` (${l.fault.reason})` : ""}`).join("; ")}`
  }

  #moved(id: DocumentId): void {
    for (const w of [...this.#waiters]) if (w.id === id || w.id === undefined) w.check()
  }

  /** Resolves when another end has everything that is here. */
  async flush(timeout: number): Promise<void> {
    await this.until(undefined, () => this.#acks.settled(), timeout)
    this.#acks.saveAll() // so that it is known after the page, too
  }

  simulate(condition: Condition): void {
    this.#condition = condition
    for (const l of this.#links) l.simulate(condition)
    this.onStatus()
  }

  /** A page is looked at again: waiting links try at once. */
  kick(): void { for (const l of this.#links) l.kick() }

  /** Somebody asks for it: stopped links try again, too, and documents that were refused are offered again. */
  retry(): void {
    this.#letters.clear()
    for (const l of this.#links) l.kick(true)
    for (const [link] of this.#conns) link.giveUp({ class: "lost", reason: "asked to try again", retryAfter: 0 })
    for (const l of this.#links) l.kick(true)
  }

  *#all(): Generator<Conn> {
    yield* this.#conns.values()
    yield* this.repos.conns()
  }

  status(): object {
    const pending = this.#acks.pending()
    return {
      peerId: this.peerId, storageId: this.engine.storageId, network: this.#condition,
      documents: this.#open.size, unacknowledged: pending.reduce((n, p) => n + p.changes, 0), oldest: this.#acks.oldest() ?? null,
      pending, remotes: this.#links.map(l => l.status()), undelivered: [...this.#letters.values()],
      quarantined: this.engine.db.all("SELECT d.id AS document, q.hash, q.reason, q.time FROM quarantine q JOIN documents d USING (doc)"),
      counters: { ...this.tally, retries: { ...this.tally.retries } },
      reconciliation: { p50: this.tally.quantile(0.5) ?? null, p99: this.tally.quantile(0.99) ?? null },
    }
  }

  telemetry(): Metric[] {
    const remotes: { [state: string]: number } = { idle: 0, connecting: 0, connected: 0, waiting: 0, offline: 0, stopped: 0 }
    for (const l of this.#links) remotes[l.state]!++
    const oldest = this.#acks.oldest()
    return metrics(this.tally, {
      pending: this.#acks.pending().reduce((n, p) => n + p.changes, 0), oldest: oldest === undefined ? 0 : Math.max(0, Date.now() - oldest) / 1000,
      undelivered: { waiting: 0, dead: this.#letters.size, dropped: 0 }, remotes,
    })
  }

  close(): void {
    if (this.#closed) return
    for (const c of this.#conns.values()) this.#acks.save(c)
    this.#closed = true
    for (const l of this.#links) l.stop()
    this.repos.close()
    this.#acks.close()
  }
}
