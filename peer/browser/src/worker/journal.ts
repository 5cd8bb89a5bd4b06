import type { DocumentId } from "../shared/bytes.js"
import type { Database } from "./database.js"

/** A change as it is journaled. */
export interface Entry {
  hash: string
  actor: string
  actorSeq: number
  local: boolean
  /** ms since 1970, of this machine's clock */
  time: number
  intent: string
  body: Uint8Array
}

/** What encrypts bodies at rest, one day; until then it hands them through. */
export interface Seal {
  close(doc: DocumentId, body: Uint8Array): Uint8Array
  open(doc: DocumentId, body: Uint8Array): Uint8Array
}
const noSeal: Seal = { close: (_, body) => body, open: (_, body) => body }

/** How much may lie in the journal beside a document's segment before {@link Journal.fold} makes a new one. */
const foldChanges = 500
const foldBytes = 1 << 20

/** The append-only journal of changes and its segments. Its methods are called inside of a transaction, but for the reading ones. */
export class Journal {
  /** Per document, what lies beside its segment. */
  readonly #loose = new Map<number, { changes: number, bytes: number }>()

  constructor(readonly db: Database, readonly seal: Seal = noSeal) {}

  /** The row of a document, or undefined if the store does not know it. */
  find(id: DocumentId): number | undefined {
    const row = this.db.get("SELECT doc FROM documents WHERE id = ?", id)
    return row && Number(row["doc"])
  }

  add(id: DocumentId, local: boolean, now: number): void {
    this.db.run("INSERT INTO documents (id, created, local) VALUES (?, ?, ?)", id, now, local ? 1 : 0)
  }

  documents(): { id: DocumentId, created: number, local: boolean }[] {
    return this.db.all("SELECT id, created, local FROM documents ORDER BY doc")
      .map(r => ({ id: String(r["id"]), created: Number(r["created"]), local: r["local"] === 1 }))
  }

  /** Reports whether a document was made in this store. */
  madeHere(id: DocumentId): boolean {
    return this.db.get("SELECT local FROM documents WHERE id = ?", id)?.["local"] === 1
  }

  /** Appends a change and returns its sequence, or 0 if it is there already. */
  append(doc: number, id: DocumentId, e: Entry): number {
    const body = this.seal.close(id, e.body)
    this.db.run(`INSERT INTO journal (doc, hash, actor, actor_seq, local, time, intent, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO NOTHING`, doc, e.hash, e.actor, e.actorSeq, e.local ? 1 : 0, e.time, e.intent, body)
    const loose = this.#loose.get(doc) ?? { changes: 0, bytes: 0 }
    this.#loose.set(doc, { changes: loose.changes + 1, bytes: loose.bytes + body.length })
    return this.db.lastRow()
  }

  /** Chunks that make the document, in an order in which they can be applied. */
  *chunks(doc: number, id: DocumentId): Generator<Uint8Array> {
    const segment = this.db.get("SELECT through, body FROM segments WHERE doc = ?", doc)
    if (segment) yield this.seal.open(id, segment["body"] as Uint8Array)
    let changes = 0, bytes = 0
    for (const row of this.db.all("SELECT body FROM journal WHERE doc = ? AND sequence > ? AND body IS NOT NULL ORDER BY sequence", doc, Number(segment?.["through"] ?? 0))) {
      const body = row["body"] as Uint8Array
      changes++
      bytes += body.length
      yield this.seal.open(id, body)
    }
    this.#loose.set(doc, { changes, bytes })
  }

  /** Reports whether a document's journal has grown long enough for a new segment. */
  wantsFold(doc: number): boolean {
    const loose = this.#loose.get(doc)
    return loose !== undefined && (loose.changes >= foldChanges || loose.bytes >= foldBytes)
  }

  /** Makes a chunk that holds all of the document the segment that stands for the journal so far. */
  fold(doc: number, id: DocumentId, body: Uint8Array, changes: number): void {
    const through = Number(this.db.get("SELECT coalesce(max(sequence), 0) AS s FROM journal WHERE doc = ?", doc)!["s"])
    this.db.run(`INSERT INTO segments (doc, through, changes, body) VALUES (?, ?, ?, ?)
                 ON CONFLICT (doc) DO UPDATE SET through = excluded.through, changes = excluded.changes, body = excluded.body`,
      doc, through, changes, this.seal.close(id, body))
    this.db.run("UPDATE journal SET body = NULL WHERE doc = ? AND sequence <= ? AND body IS NOT NULL", doc, through)
    this.#loose.set(doc, { changes: 0, bytes: 0 })
  }

  /** After a transaction that failed: what was counted in it is unknown. */
  forget(doc: number): void { this.#loose.delete(doc) }

  meta(key: string): Uint8Array | string | number | undefined {
    return this.db.get("SELECT value FROM meta WHERE key = ?", key)?.["value"] as Uint8Array | string | undefined
  }

  setMeta(key: string, value: Uint8Array | string | number): void {
    this.db.run("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
  }
}
