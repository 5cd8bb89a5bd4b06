import type { DocumentId } from "../shared/bytes.js"
import type { Message } from "../shared/wire.js"
import { isPanic } from "./core-loader.js"
import type { SyncState } from "./core.js"
import type { Engine } from "./engine.js"
import type { Tally } from "./telemetry.js"

/** What a connection tells of. */
export interface ConnEvents {
  /** The other end has told of its heads. */
  heads(conn: Conn, id: DocumentId, heads: string[]): void
  /** The other end has not got the document. */
  unavailable(conn: Conn, id: DocumentId): void
  /** What it brought could not be taken. */
  refused(conn: Conn, id: DocumentId, message: Uint8Array, error: unknown): void
}

interface Session {
  state: SyncState
  /** It wants no more of this document on this connection. */
  ended: boolean
  begun: boolean
}

/**
 * One connection with another end, a relay or a Repo in a page: a session for each document. What it says is
 * made after the commit of what it is about, because the engine commits before it returns.
 */
export class Conn {
  readonly #sessions = new Map<DocumentId, Session>()
  #closed = false

  constructor(
    private readonly engine: Engine, private readonly tally: Tally, private readonly events: ConnEvents,
    readonly self: string, readonly peerId: string,
    /** The other end's, or its peer id if it keeps nothing. */
    readonly storageId: string,
    /** It is a peer, and no relay. */
    readonly isPeer: boolean,
    private readonly post: (m: Message) => void,
  ) {}

  has(id: DocumentId): boolean { return this.#sessions.has(id) }
  get documents(): Iterable<DocumentId> { return this.#sessions.keys() }

  /** Begins a session, from what the two ends were known to have in common. */
  open(id: DocumentId): Session {
    let s = this.#sessions.get(id)
    if (!s) {
      s = { state: this.#saved(id), ended: false, begun: false }
      this.#sessions.set(id, s)
    }
    return s
  }

  #saved(id: DocumentId): SyncState {
    const { low } = this.engine.api
    const row = this.engine.db.get("SELECT state FROM sync_states s JOIN documents d USING (doc) WHERE d.id = ? AND s.remote = ?", id, this.storageId)
    if (row) {
      try {
        return low.decodeSyncState(row["state"] as Uint8Array)
      } catch { /* it is only a shortcut */ }
    }
    return low.initSyncState()
  }

  /** What is kept of a session across connections. */
  saved(id: DocumentId): Uint8Array | undefined {
    const s = this.#sessions.get(id)
    return s && this.engine.api.low.encodeSyncState(s.state)
  }

  /** Says what the other end does not know yet, if anything: at most one message. */
  speak(id: DocumentId): void {
    const s = this.open(id)
    if (s.ended || this.#closed) return
    const r = this.engine.replica(id)
    const data = r.handle.generateSyncMessage(s.state)
    if (!data) return
    // A request asks the other end to ask around.
    const type = !s.begun && r.heads.length === 0 ? "request" : "sync"
    s.begun = true
    this.tally.changesOut += countChanges(this.engine, data)
    this.post({ type, senderId: this.self, targetId: this.peerId, documentId: id, data })
  }

  /** Takes a sync message in, durably, and answers it. */
  receive(id: DocumentId, data: Uint8Array): void {
    const s = this.open(id)
    if (s.ended || this.#closed) return
    try {
      this.tally.changesIn += this.engine.take(id, r => r.handle.receiveSyncMessage(s.state, data))
      const { theirHeads } = this.engine.api.low.exportSyncState(s.state)
      if (theirHeads) this.events.heads(this, id, theirHeads)
      // Here too: what the other end says of itself may end the core only when it is answered.
      this.speak(id)
    } catch (error) {
      // The state is of a message that was not taken; after a panic it is gone altogether.
      s.ended = true
      this.events.refused(this, id, data, error)
    }
  }

  unavailable(id: DocumentId): void { this.events.unavailable(this, id) }

  tellUnavailable(id: DocumentId): void {
    this.post({ type: "doc-unavailable", senderId: this.self, targetId: this.peerId, documentId: id })
  }

  send(m: Message): void {
    if (!this.#closed) this.post(m)
  }

  /** Begins the session anew, as after a core that has panicked. */
  reset(id: DocumentId): void { this.#sessions.delete(id) }

  resetAll(): void {
    const ended = [...this.#sessions].filter(([, s]) => s.ended).map(([id]) => id)
    this.#sessions.clear()
    for (const id of ended) this.open(id).ended = true
  }

  end(id: DocumentId): void { this.open(id).ended = true }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const s of this.#sessions.values()) {
      try {
        s.state.free()
      } catch { /* of a core that has panicked */ }
    }
    this.#sessions.clear()
  }
}

function countChanges(engine: Engine, data: Uint8Array): number {
  if (data.length < 200) return 0 // heads and a filter
  try {
    return engine.api.low.decodeSyncMessage(data).changes.length
  } catch (error) {
    if (isPanic(error)) throw error
    return 0
  }
}
