import type { DocumentId } from "../shared/bytes.js"
import type { Progress } from "../shared/api.js"
import type { Conn } from "./conn.js"
import type { Engine } from "./engine.js"
import type { Tally } from "./telemetry.js"

/** How long what was learnt of other ends may stay in memory only, in ms: it can be learnt again. */
const saveAfter = 500

interface End { heads: string[], peer: boolean }

/**
 * How far changes have come. That is not kept for each: what an end has acknowledged are the heads that it
 * has told of, and a change is acknowledged if it is one of them or among their ancestors.
 */
export class Acknowledgements {
  readonly #ends = new Map<DocumentId, Map<string, End>>()
  readonly #unsaved = new Map<DocumentId, Set<Conn>>()
  /** What a document lacked elsewhere when it stood at these heads. */
  readonly #lacking = new Map<DocumentId, { at: string, changes: number }>()
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly engine: Engine, private readonly tally: Tally) {}

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
    this.#unsaved.set(id, (this.#unsaved.get(id) ?? new Set()).add(conn))
    this.#timer ??= setTimeout(() => this.#saveAll(), saveAfter)
    this.#settle(id, known)
    return true
  }

  /** Notes the time at which operations made here were first known elsewhere. */
  #settle(id: DocumentId, heads: string[]): void {
    const open = this.engine.db.all(`SELECT o.sequence, j.hash, j.time FROM operations o JOIN journal j USING (sequence) JOIN documents d USING (doc)
      WHERE o.acknowledged IS NULL AND d.id = ?`, id)
    if (open.length === 0) return
    const lacks = new Set(this.engine.replica(id).since(heads)), now = this.engine.now()
    const done = open.filter(o => !lacks.has(String(o["hash"])))
    if (done.length === 0) return
    try {
      this.engine.db.transaction(() => { for (const o of done) this.engine.db.run("UPDATE operations SET acknowledged = ? WHERE sequence = ?", now, o["sequence"]!) })
    } catch {
      return // a full disk: it is noted with the next heads
    }
    for (const o of done) this.tally.reconciled(now - Number(o["time"]))
  }

  /** Says of each change of a document where it is beside here. */
  progress(id: DocumentId, conns: Iterable<Conn>): (hash: string) => Progress {
    const r = this.engine.replica(id)
    const ends = [...this.#of(id)].map(([name, e]) => ({ name, peer: e.peer, lacks: new Set(r.since(e.heads)) }))
    const live = [...conns].some(c => c.has(id))
    return hash => {
      const acknowledged = ends.filter(e => !e.lacks.has(hash))
      const state = acknowledged.some(e => e.peer) ? "seen" : acknowledged.length > 0 ? "acknowledged" : live ? "sent" : "local"
      return { state, acknowledged: acknowledged.map(e => e.name).sort() }
    }
  }

  /** The documents with changes that no other end is known to have. */
  pending(): { document: DocumentId, changes: number }[] {
    const list: { document: DocumentId, changes: number }[] = []
    for (const { id } of this.engine.journal.documents()) {
      const heads = [...this.#of(id).values()].flatMap(e => e.heads)
      const newest = Number(this.engine.db.get("SELECT max(sequence) AS s FROM journal JOIN documents d USING (doc) WHERE d.id = ?", id)?.["s"] ?? 0)
      const at = `${newest} ${heads.join()}`
      let known = this.#lacking.get(id)
      if (known?.at !== at) this.#lacking.set(id, known = { at, changes: this.engine.replica(id).since(heads).length })
      if (known.changes > 0) list.push({ document: id, changes: known.changes })
    }
    return list
  }

  /** When the first operation was made that nobody else is known to have, in ms since 1970. */
  oldest(): number | undefined {
    const row = this.engine.db.get("SELECT min(j.time) AS t FROM operations o JOIN journal j USING (sequence) WHERE o.acknowledged IS NULL")
    return row?.["t"] == null ? undefined : Number(row["t"])
  }

  /** Keeps what is known of a connection that ends. */
  save(conn: Conn): void {
    for (const [id, conns] of this.#unsaved) if (conns.has(conn)) this.#write(id, conn)
  }

  #saveAll(): void {
    this.#timer = undefined
    for (const [id, conns] of this.#unsaved) for (const c of conns) this.#write(id, c)
    this.#unsaved.clear()
  }

  #write(id: DocumentId, conn: Conn): void {
    const end = this.#of(id).get(conn.storageId), doc = this.engine.journal.find(id), state = conn.saved(id)
    this.#unsaved.get(id)?.delete(conn)
    if (!end || doc === undefined || !state) return
    try {
      this.engine.db.transaction(() => this.engine.db.run(`INSERT INTO sync_states (doc, remote, state, heads) VALUES (?, ?, ?, ?)
        ON CONFLICT (doc, remote) DO UPDATE SET state = excluded.state, heads = excluded.heads`, doc, conn.storageId, state, JSON.stringify(end.heads)))
    } catch { /* it is only a shortcut, and will be learnt again */ }
  }

  close(): void { clearTimeout(this.#timer) }
}
