import { hmac } from "@noble/hashes/hmac"
import { sha256 } from "@noble/hashes/sha2"
import { documentBytes, randomBytes, toHex, type DocumentId } from "../shared/bytes.js"
import { SynclineError } from "../shared/errors.js"
import { intentOf, type Operation } from "../shared/operations.js"
import { isPanic } from "./core-loader.js"
import type { Core, Handle } from "./core.js"
import { founding } from "./founding.js"
import type { Entry, Journal } from "./journal.js"
import { perform } from "./perform.js"

/** Entities that a change has touched, by collection; "all" if it has made or removed a collection. */
export type Dirty = Map<string, Set<string> | "all">

/** What a change says of itself. */
type Meta = NonNullable<ReturnType<Handle["getChangeMetaByHash"]>>

/** From so many changes at once on, one segment is stored for them and not each. */
const bulk = 1000

/** The bytes of an actor id that tell the device within the document. */
export function deviceTag(secret: Uint8Array, id: DocumentId): string {
  return toHex(hmac(sha256, secret, documentBytes(id)).subarray(0, 8))
}

/** One document, open in the core. What it does is not durable: the engine puts each step in a transaction, and drops the replica if that fails. */
export class Replica {
  readonly device: string
  readonly handle: Handle
  readonly actor: string

  constructor(private readonly core: Core, readonly doc: number, readonly id: DocumentId, secret: Uint8Array, journal: Journal) {
    this.device = deviceTag(secret, id)
    // A fresh actor for each opening: a restored profile must not use a number twice.
    this.actor = this.device + toHex(randomBytes(8))
    this.handle = core.getBackend(core.init({ actor: this.actor }))
    const chunks = [...journal.chunks(doc, id)]
    if (chunks.length > 0) this.handle.loadIncremental(concat(chunks))
    this.handle.updateDiffCursor()
  }

  get heads(): string[] { return this.handle.getHeads() }
  get changes(): number { return this.handle.stats().numChanges }
  has(hash: string): boolean { return this.handle.getChangeMetaByHash(hash) !== null }

  /** Of these heads, those that the document knows. */
  known(heads: readonly string[]): string[] { return heads.filter(h => this.has(h)) }

  /** How many changes the ends that have said these heads do not have. */
  since(heads: readonly string[]): string[] {
    return this.handle.getChangesMeta(this.known(heads)).map(m => m.hash)
  }

  /** The last changes, each before what it builds on: a long history is not read for the end of it. */
  newest(limit: number): Meta[] {
    const list: Meta[] = [], seen = new Set<string>()
    let open: Meta[] = []
    const reach = (hashes: readonly string[]): void => {
      for (const h of hashes) {
        if (seen.has(h)) continue
        seen.add(h)
        open.push(this.handle.getChangeMetaByHash(h)!)
      }
    }
    reach(this.heads)
    while (list.length < limit && open.length > 0) {
      // Operations are numbered on from those that a change builds on. There are as many open ends as people write at once: few.
      const next = open.reduce((a, b) => b.maxOp > a.maxOp || b.maxOp === a.maxOp && b.hash > a.hash ? b : a)
      open = open.filter(m => m !== next)
      list.push(next)
      reach(next.deps)
    }
    return list
  }

  /**
   * Carries a batch out as one change, after the foundings of collections that it is the first to write to. If
   * it throws, the document is as it was.
   */
  perform(ops: readonly Operation[], now: number): { founded: Entry[], entry: Entry, dirty: Dirty } {
    if (ops.length === 0) throw new SynclineError("invalid", "a batch needs at least one operation")
    const intent = intentOf(ops)
    const { entries: founded, dirty } = this.#found(ops, now)
    this.#carryOut(ops)
    let hash: string | null
    try {
      hash = this.handle.commit(intent, Math.floor(now / 1000))
    } catch (error) {
      if (!isPanic(error)) this.handle.rollback()
      throw error
    }
    this.handle.updateDiffCursor()
    const body = this.handle.getLastLocalChange()!
    const meta = this.handle.getChangeMetaByHash(hash!)!
    for (const o of ops) touch(dirty, o.collection, o.id)
    return { founded, entry: { hash: hash!, actor: this.actor, actorSeq: meta.seq, local: true, time: now, intent, body }, dirty }
  }

  /** Leaves the operations of a batch pending, or nothing of it if it throws. */
  #carryOut(ops: readonly Operation[]): void {
    try {
      ops.forEach((o, i) => {
        try {
          perform(this.handle, o)
        } catch (error) {
          if (!(error instanceof SynclineError)) throw error
          throw new SynclineError(error.code, `operation ${i + 1} (${intentOf([o])}): ${error.message}`)
        }
      })
      if (this.handle.pendingOps() === 0) throw new SynclineError("no-change", "the batch changes nothing")
    } catch (error) {
      if (!isPanic(error)) this.handle.rollback()
      throw error
    }
  }

  /**
   * Takes in the foundings that a batch needs, unless the batch itself cannot be carried out, and with them what
   * others have made in those collections and waited for them.
   */
  #found(ops: readonly Operation[], now: number): { entries: Entry[], dirty: Dirty } {
    const none = { entries: [], dirty: new Map() }, before = this.heads
    // The first change of a document makes its collections itself: see crdt.Founding of the native peer.
    if (before.length === 0) return none
    const names = new Set(ops.filter(o => o.verb === "create" && !this.handle.getWithType("_root", o.collection)).map(o => o.collection))
    if (names.size === 0) return none
    this.#carryOut(ops)
    this.handle.rollback()
    const made = new Set<string>()
    for (const name of names) {
      const f = founding(this.core, name)
      // One that is in the history and does not show was taken out: the batch makes the collection then.
      if (this.has(f.hash)) continue
      try {
        this.handle.loadIncremental(f.body)
      } catch (error) {
        if (isPanic(error)) throw error
        continue // somebody has forged it, with other content
      }
      if (this.has(f.hash)) made.add(f.hash)
    }
    return { entries: this.#news(before, now, made), dirty: this.#touched() }
  }

  /**
   * Runs a step that may bring changes of others in, and says which. bulk is given instead of entries if there
   * are many: a chunk of the whole document.
   */
  take(step: () => void, now: number): { entries: Entry[], bulk?: Uint8Array, count: number, dirty: Dirty } {
    const before = this.heads, had = this.changes
    step()
    const heads = this.heads, count = this.changes - had
    const dirty: Dirty = new Map()
    if (heads.length === before.length && heads.every((h, i) => h === before[i])) return { entries: [], count: 0, dirty }
    if (count >= bulk) {
      this.handle.updateDiffCursor()
      for (const c of this.handle.keys("_root")) dirty.set(c, "all")
      return { entries: [], bulk: this.handle.save(), count, dirty }
    }
    return { entries: this.#news(before, now, new Set()), count, dirty: this.#touched() }
  }

  /** What has come to the history since these were its heads, with the changes that were made here. */
  #news(heads: readonly string[], now: number, here: ReadonlySet<string>): Entry[] {
    const bodies = this.handle.getChanges([...heads])
    return this.handle.getChangesMeta([...heads]).map((m, i): Entry => ({
      hash: m.hash, actor: m.actor, actorSeq: m.seq, local: here.has(m.hash), time: now, intent: m.message ?? "", body: bodies[i]!,
    }))
  }

  /** What has been touched since this was last asked, or the cursor was set. */
  #touched(): Dirty {
    const dirty: Dirty = new Map()
    for (const patch of this.handle.diffIncremental()) {
      const [collection, entity] = patch.path
      if (entity === undefined) dirty.set(String(collection), "all")
      else touch(dirty, String(collection), String(entity))
    }
    return dirty
  }

  close(): void {
    try {
      this.handle.free()
    } catch { /* the core has panicked */ }
  }
}

function touch(dirty: Dirty, collection: string, id: string): void {
  const set = dirty.get(collection)
  if (set === "all") return
  if (set) set.add(id)
  else dirty.set(collection, new Set([id]))
}

/** Adds what is in one to the other. */
export function mergeDirty(into: Dirty, from: Dirty): void {
  for (const [c, ids] of from) {
    if (ids === "all") into.set(c, "all")
    else for (const id of ids) touch(into, c, id)
  }
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const p of parts) {
    out.set(p, at)
    at += p.length
  }
  return out
}
