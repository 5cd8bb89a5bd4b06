import type { DocumentId } from "../shared/bytes.js"
import type { Progress } from "../shared/api.js"
import type { Conn } from "./conn.js"
import type { Engine } from "./engine.js"
import type { Tally } from "./telemetry.js"

/** How long what was learnt of other ends may stay in memory only, in ms: it can be learnt again. */
const saveAfter = 500

interface End { heads: string[], peer: boolean }
/** An operation made here that nobody else is known to have. time: ms since 1970. */
interface Open { sequence: number, hash: string, time: number }

/**
 * How far changes have come. That is not kept for each: what an end has acknowledged are the heads that it
 * has told of, and a change is acknowledged if it is one of them or among their ancestors.
 */
export class Acknowledgements {
  readonly #ends = new Map<DocumentId, Map<string, End>>()
  readonly #unsaved = new Map<DocumentId, Set<Conn>>()
  /** How many changes of a document no other end has, as of a sequence of the journal and of what the ends had said. Documents that all is known of are not in it. */
  readonly #lacking = new Map<DocumentId, { through: number, heads: string, changes: number }>()
  readonly #open = new Map<DocumentId, Open[]>()
  /** The last operation that is in #open, or is acknowledged. */
  #read = 0
  /** Documents of which that has to be counted again. There may be thousands, of which few change at a time. */
  readonly #uncounted = new Set<DocumentId>()
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly engine: Engine, private readonly tally: Tally) {
    for (const { id } of engine.journal.documents()) this.#uncounted.add(id)
  }

  /** A document has more changes than before. */
  changed(id: DocumentId): void { this.#uncounted.add(id) }

  #of(id: DocumentId): Map<string, End> {
    let ends = this.#ends.get(id)
    if (!ends) {
      ends = new Map()
      for (const row of this.engine.db.all("SELECT s.remote, s.heads FROM sync_states s JOIN documents d USING (doc) WHERE d.id = ?", id)) {
        ends.set(String(row["remote"]), { heads: JSON.parse(String(row["heads"])) as string[], peer: false })
      }
      this.#ends.set(id, ends)
    }
    return ends
  }

  /** Notes what an end says that it has, and reports whether that is news. */
  note(conn: Conn, id: DocumentId, heads: string[]): boolean {
    const known = this.engine.replica(id).known(heads)
    const before = this.#of(id).get(conn.storageId)
    if (before && before.heads.join() === known.join()) return false
    this.#of(id).set(conn.storageId, { heads: known, peer: conn.isPeer })
    this.#uncounted.add(id)
    this.#unsaved.set(id, (this.#unsaved.get(id) ?? new Set()).add(conn))
    this.#timer ??= setTimeout(() => this.saveAll(), saveAfter)
    this.#settle(id, known)
    return true
  }

  /** Notes the time at which operations made here were first known elsewhere. */
  #settle(id: DocumentId, heads: string[]): void {
    const open = this.#openOf(id)
    if (open.length === 0 || heads.length === 0) return
    const lacks = new Set(this.engine.replica(id).since(heads)), now = this.engine.now()
    const done = open.filter(o => !lacks.has(o.hash))
    if (done.length === 0) return
    try {
      this.engine.db.transaction(() => { for (const o of done) this.engine.db.run("UPDATE operations SET acknowledged = ? WHERE sequence = ?", now, o.sequence) })
    } catch {
      return // a full disk: it is noted with the next heads
    }
    const left = open.filter(o => lacks.has(o.hash))
    if (left.length > 0) this.#open.set(id, left)
    else this.#open.delete(id)
    for (const o of done) this.tally.reconciled(now - o.time)
  }

  #openOf(id: DocumentId): Open[] {
    for (const row of this.engine.db.all(`SELECT d.id, o.sequence, j.hash, j.time FROM operations o JOIN journal j USING (sequence) JOIN documents d USING (doc)
      WHERE o.acknowledged IS NULL AND o.sequence > ? ORDER BY o.sequence`, this.#read)) {
      const doc = String(row["id"]), list = this.#open.get(doc)
      const o = { sequence: Number(row["sequence"]), hash: String(row["hash"]), time: Number(row["time"]) }
      if (list) list.push(o)
      else this.#open.set(doc, [o])
      this.#read = o.sequence
    }
    return this.#open.get(id) ?? []
  }

  /** Says of each change of a document where it is beside here. */
  progress(id: DocumentId, conns: Iterable<Conn>): (hash: string) => Progress {
    const r = this.engine.replica(id)
    const ends = [...this.#of(id)].filter(([, e]) => e.heads.length > 0).map(([name, e]) => ({ name, peer: e.peer, lacks: new Set(r.since(e.heads)) }))
    const live = [...conns].some(c => c.has(id))
    return hash => {
      const acknowledged = ends.filter(e => !e.lacks.has(hash))
      const state = acknowledged.some(e => e.peer) ? "seen" : acknowledged.length > 0 ? "acknowledged" : live ? "sent" : "local"
      return { state, acknowledged: acknowledged.map(e => e.name).sort() }
    }
  }

  /** The documents with changes that no other end is known to have. */
  pending(): { document: DocumentId, changes: number }[] {
    this.#count()
    return [...this.#lacking].filter(([, l]) => l.changes > 0).map(([document, { changes }]) => ({ document, changes }))
  }

  /** Reports whether another end has all that is here. */
  settled(): boolean {
    this.#count()
    for (const l of this.#lacking.values()) if (l.changes > 0) return false
    return true
  }

  #count(): void {
    const { db } = this.engine
    for (const id of this.#uncounted) {
      const doc = this.engine.journal.find(id)
      if (doc === undefined) continue
      const known = [...this.#of(id).values()].flatMap(e => e.heads), heads = known.join()
      const before = this.#lacking.get(id)
      const through = Number(db.get("SELECT max(sequence) AS s FROM journal")!["s"] ?? 0)
      if (before && before.heads === heads && before.changes > 0) {
        // Nobody has said anything since: all that came is more.
        const more = Number(db.get("SELECT count(*) AS n FROM journal WHERE sequence > ? AND +doc = ?", before.through, doc)!["n"])
        this.#lacking.set(id, { through, heads, changes: before.changes + more })
        continue
      }
      const r = this.engine.replica(id)
      const changes = known.length === 0 ? r.changes : r.since(known).length
      if (changes > 0) this.#lacking.set(id, { through, heads, changes })
      else this.#lacking.delete(id)
    }
    this.#uncounted.clear()
  }

  /** When the first operation was made that nobody else is known to have, in ms since 1970. */
  oldest(): number | undefined {
    const row = this.engine.db.get("SELECT min(j.time) AS t FROM operations o JOIN journal j USING (sequence) WHERE o.acknowledged IS NULL")
    return row?.["t"] == null ? undefined : Number(row["t"])
  }

  /** Keeps what is known of a connection that ends. */
  save(conn: Conn): void {
    this.#write([...this.#unsaved].filter(([, conns]) => conns.delete(conn)).map(([id]) => [id, conn]))
  }

  /** Keeps what is known of all connections. */
  saveAll(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const all = [...this.#unsaved].flatMap(([id, conns]) => [...conns].map((c): [DocumentId, Conn] => [id, c]))
    this.#unsaved.clear()
    this.#write(all)
  }

  #write(list: [DocumentId, Conn][]): void {
    if (list.length === 0) return
    try {
      this.engine.db.transaction(() => {
        for (const [id, conn] of list) {
          const end = this.#of(id).get(conn.storageId), doc = this.engine.journal.find(id), state = conn.saved(id)
          if (!end || doc === undefined || !state) continue
          this.engine.db.run(`INSERT INTO sync_states (doc, remote, state, heads) VALUES (?, ?, ?, ?)
            ON CONFLICT (doc, remote) DO UPDATE SET state = excluded.state, heads = excluded.heads`, doc, conn.storageId, state, JSON.stringify(end.heads))
        }
      })
    } catch { /* it is only a shortcut, and will be learnt again */ }
  }

  close(): void { clearTimeout(this.#timer) }
}
