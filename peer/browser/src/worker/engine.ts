import { randomBytes, newDocumentId, parseDocumentId, type DocumentId } from "../shared/bytes.js"
import { SynclineError } from "../shared/errors.js"
import { operationsToJSON, validate, type Operation, type Step } from "../shared/operations.js"
import type { ReceiptData } from "../shared/api.js"
import { isPanic, loadCore } from "./core-loader.js"
import type { Core } from "./core.js"
import { Journal } from "./journal.js"
import type { Store } from "./pool.js"
import { project } from "./projection.js"
import { rebase } from "./rebase.js"
import { mergeDirty, Replica, type Dirty } from "./replica.js"

/** Who hears of a commit, after it. */
export interface Listener {
  /** Changes of a document have become durable. local: they were made here. */
  committed(id: DocumentId, dirty: Dirty, local: boolean): void
  /** The core was replaced and all documents were opened anew from the journal. */
  restarted(why: string): void
  /** A commit failed: nothing of it was made. */
  refused(error: unknown): void
}

/** A text that operations were meant for: they are moved to where their place is now. */
export interface Base { path: Step[], heads: string[] }

interface Job {
  id: DocumentId
  ops: readonly Operation[]
  request: string
  base: Base | undefined
  resolve(r: ReceiptData): void
  reject(error: unknown): void
}

/** How many steps of an operation's record are kept. */
const maxSteps = 64
/** How many documents may be open in the core; the ones not used for longest are closed. */
const maxOpen = 64
/** How long until a core that could not be loaded is asked for again, in ms. */
const reloadAfter = 1000
/** After so much quiet, long journals are folded. */
const foldQuiet = 2000

/**
 * The owner's documents: opened from the journal, edited and fed, each step durable before anyone hears of
 * it. Edits that wait at the same time share a commit.
 */
export class Engine {
  readonly journal: Journal
  readonly #replicas = new Map<DocumentId, Replica>()
  readonly #jobs: Job[] = []
  readonly #secret: Uint8Array
  readonly #bell = new MessageChannel()
  #foldTimer: ReturnType<typeof setTimeout> | undefined
  #closed = false
  #recovering: Promise<void> | undefined
  listener: Listener = { committed() {}, restarted() {}, refused() {} }

  constructor(readonly store: Store, private core: Core, private readonly base: string, readonly now: () => number = Date.now) {
    this.journal = new Journal(store.db)
    const secret = this.journal.meta("device-secret")
    this.#secret = secret instanceof Uint8Array ? secret : randomBytes(32)
    if (!secret) store.db.transaction(() => {
      this.journal.setMeta("device-secret", this.#secret)
      this.journal.setMeta("storage-id", crypto.randomUUID())
    })
    this.#bell.port1.onmessage = () => void this.#drain()
  }

  get db() { return this.store.db }
  get storageId(): string { return String(this.journal.meta("storage-id")) }
  get openDocuments(): number { return this.#replicas.size }

  /** Makes a document. */
  create(): DocumentId {
    const id = newDocumentId()
    this.db.transaction(() => this.journal.add(id, true, this.now()))
    return id
  }

  /** Enters a document that others have, or may have. It returns false if it is here already. */
  enter(text: string): boolean {
    const id = parseDocumentId(text)
    if (this.journal.find(id) !== undefined) return false
    this.db.transaction(() => this.journal.add(id, false, this.now()))
    return true
  }

  /** The open document. The error is `not-found` if the store does not know it. */
  replica(id: DocumentId): Replica {
    let r = this.#replicas.get(id)
    if (r) {
      this.#replicas.delete(id) // to the end: the first is the one not used for longest
    } else {
      const doc = this.journal.find(id)
      if (doc === undefined) throw new SynclineError("not-found", `document ${id} is not in this store: find it first`)
      r = new Replica(this.core, doc, id, this.#secret, this.journal)
      for (const [old, o] of this.#replicas) {
        if (this.#replicas.size < maxOpen) break
        o.close()
        this.#replicas.delete(old)
      }
    }
    this.#replicas.set(id, r)
    return r
  }

  /** Carries a batch out, once for each request; resolves when it is durable. base, if given, is of the texts that are spliced. */
  apply(id: DocumentId, ops: readonly Operation[], request: string, base?: Base): Promise<ReceiptData> {
    return new Promise((resolve, reject) => {
      try {
        ops.forEach(validate)
      } catch (error) {
        return reject(error as Error)
      }
      this.#jobs.push({ id, ops, request, base, resolve, reject })
      if (this.#jobs.length === 1) this.#bell.port2.postMessage(null) // after what has arrived by then
    })
  }

  async #drain(): Promise<void> {
    while (this.#recovering) await this.#recovering
    const jobs = this.#jobs.splice(0)
    if (jobs.length === 0) return
    try {
      this.#commit(jobs)
    } catch (error) {
      this.#dropAll(jobs.map(j => j.id))
      if (!isPanic(error)) {
        this.listener.refused(error)
        return jobs.forEach(j => j.reject(error))
      }
      await this.restart(`the core panicked: ${(error as Error).message}`)
      // Which of them it was is found out one by one; none of them was stored.
      for (const job of jobs) {
        while (this.#recovering) await this.#recovering
        await this.#alone(job, jobs.length === 1)
      }
    }
  }

  async #alone(job: Job, last: boolean): Promise<void> {
    try {
      if (!last) return this.#commit([job])
    } catch (error) {
      this.#dropAll([job.id])
      if (!isPanic(error)) return job.reject(error)
      await this.restart(`the core panicked: ${(error as Error).message}`)
    }
    job.reject(new SynclineError("quarantined", "the CRDT core failed on this edit; it was not made, and the document is as it was"))
  }

  #commit(jobs: readonly Job[]): void {
    if (this.#closed) throw new SynclineError("closed", "the store is closed")
    const done: (() => void)[] = []
    const changed = new Map<DocumentId, Dirty>()
    this.db.transaction(() => {
      for (const job of jobs) {
        try {
          const { receipt, dirty } = this.#carryOut(job)
          if (dirty) {
            const all = changed.get(job.id)
            if (all) mergeDirty(all, dirty)
            else changed.set(job.id, dirty)
          }
          done.push(() => job.resolve(receipt))
        } catch (error) {
          // What is wrong with one edit is its own affair; what is wrong with the store or the core is not.
          if (!(error instanceof SynclineError) || error.code.startsWith("storage")) throw error
          done.push(() => job.reject(error))
        }
      }
      for (const [id, dirty] of changed) project(this.db, this.replica(id), dirty)
    })
    for (const [id, dirty] of changed) this.listener.committed(id, dirty, true)
    done.forEach(f => f())
    this.#considerFold()
  }

  #carryOut(job: Job): { receipt: ReceiptData, dirty?: Dirty } {
    const known = this.receiptWhere("request = ?", job.request)
    if (known) return { receipt: known }
    const r = this.replica(job.id), now = this.now()
    const ops = job.base ? rebase(r, job.ops, job.base) : job.ops
    if (ops.length === 0 && job.ops.length > 0) throw new SynclineError("no-change", "others have deleted already what this would delete")
    const { founded, entry, dirty } = r.perform(ops, now)
    for (const f of founded) this.journal.append(r.doc, job.id, f)
    const sequence = this.journal.append(r.doc, job.id, entry)
    this.db.run("INSERT INTO operations (sequence, request, device, count, operations) VALUES (?, ?, ?, ?, ?)",
      sequence, job.request, r.device, ops.length, operationsToJSON(ops.slice(0, maxSteps)))
    return {
      receipt: { document: job.id, sequence, hash: entry.hash, actor: entry.actor, actorSeq: entry.actorSeq, device: r.device, time: now, intent: entry.intent, operations: ops.length },
      dirty,
    }
  }

  /** The receipt of an operation made here, by a condition on the tables `operations o` and `journal j`. */
  receiptWhere(condition: string, param: string | number): ReceiptData | undefined {
    const row = this.db.get(`SELECT d.id, j.sequence, j.hash, j.actor, j.actor_seq, o.device, j.time, j.intent, o.count
      FROM operations o JOIN journal j USING (sequence) JOIN documents d USING (doc) WHERE o.${condition}`, param)
    return row && {
      document: String(row["id"]), sequence: Number(row["sequence"]), hash: String(row["hash"]), actor: String(row["actor"]),
      actorSeq: Number(row["actor_seq"]), device: String(row["device"]), time: Number(row["time"]), intent: String(row["intent"]), operations: Number(row["count"]),
    }
  }

  /**
   * Runs a step that may bring in changes of others, and makes them durable before it returns how many were
   * new. If it throws, the document is as the journal has it.
   */
  take(id: DocumentId, step: (r: Replica) => void): number {
    const r = this.replica(id)
    try {
      const took = r.take(() => step(r), this.now())
      if (took.count === 0) return 0
      this.db.transaction(() => {
        for (const e of took.entries) this.journal.append(r.doc, id, e)
        if (took.bulk) this.journal.fold(r.doc, id, took.bulk, r.changes)
        project(this.db, r, took.dirty)
      })
      this.listener.committed(id, took.dirty, false)
      this.#considerFold()
      return took.count
    } catch (error) {
      this.#dropAll([id])
      if (!isPanic(error)) this.listener.refused(error)
      throw error
    }
  }

  /** Replaces the core after a panic: all documents are opened anew, from the journal. */
  restart(why: string): Promise<void> {
    for (const r of this.#replicas.values()) r.close()
    this.#replicas.clear()
    return this.#recovering ??= this.#reload(why)
  }

  async #reload(why: string): Promise<void> {
    for (;;) {
      try {
        this.core = await loadCore(this.base)
        break
      } catch {
        // The server is away, and nothing keeps the app's files.
        await new Promise(resolve => setTimeout(resolve, reloadAfter))
        if (this.#closed) return
      }
    }
    this.#recovering = undefined
    this.listener.restarted(why)
  }

  /**
   * While the core is replaced: nothing of the old one may be used, so what needs a document waits for this, and
   * looks again then: another may have ended the new core.
   */
  get recovering(): Promise<void> | undefined { return this.#recovering }

  /** The current core: for sync states and messages. It changes when the core is restarted. */
  get api(): Core { return this.core }

  #dropAll(ids: Iterable<DocumentId>): void {
    for (const id of new Set(ids)) {
      const r = this.#replicas.get(id)
      if (!r) continue
      this.#replicas.delete(id)
      this.journal.forget(r.doc)
      r.close()
    }
  }

  #considerFold(): void {
    if (this.#foldTimer !== undefined) return
    if (![...this.#replicas.values()].some(r => this.journal.wantsFold(r.doc))) return
    this.#foldTimer = setTimeout(() => {
      this.#foldTimer = undefined
      if (!this.#closed) this.fold()
    }, foldQuiet)
  }

  /** Makes segments of the journals that have grown long. */
  fold(): void {
    for (const [id, r] of this.#replicas) {
      if (!this.journal.wantsFold(r.doc)) continue
      try {
        this.db.transaction(() => this.journal.fold(r.doc, id, r.handle.save(), r.changes))
      } catch (error) {
        this.journal.forget(r.doc) // as with a full disk; the journal has everything
        this.listener.refused(error)
      }
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#foldTimer)
    this.#bell.port1.close()
    for (const job of this.#jobs.splice(0)) job.reject(new SynclineError("closed", "the store is closed"))
    this.#dropAll([...this.#replicas.keys()])
    this.store.close()
  }
}
