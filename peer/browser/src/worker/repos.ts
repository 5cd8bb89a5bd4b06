import type { DocumentId } from "../shared/bytes.js"
import { decodeMessage, encodeMessage, type Message } from "../shared/wire.js"
import { Conn, type ConnEvents } from "./conn.js"
import type { Engine } from "./engine.js"
import type { Tally } from "./telemetry.js"

/** What the connections of Repos need of the hub. */
export interface RepoHub extends ConnEvents {
  forward(m: Message & { type: "ephemeral" }): void
}

interface Page { conn: Conn, asked: Set<DocumentId> }

/**
 * The automerge-repo Repos of pages, as ends like others: they sync with the owner, which makes durable what
 * they bring before it goes on to any other end.
 */
export class Repos {
  readonly #pages = new Map<string, Page>()

  constructor(
    private readonly engine: Engine, private readonly tally: Tally, private readonly hub: RepoHub,
    private readonly self: string, private readonly introduce: (id: DocumentId) => void,
  ) {}

  *conns(): Generator<Conn> { for (const p of this.#pages.values()) yield p.conn }

  /** Takes a message of a tab's Repo, encoded as on a socket; send gives it the answers. */
  receive(tab: string, frame: Uint8Array, send: (frame: Uint8Array) => void): void {
    const m = decodeMessage(frame)
    if (!m) return
    if (m.type === "join") {
      this.#pages.get(tab)?.conn.close()
      // Its storage is ours, so nothing of it counts as acknowledged elsewhere.
      const events: ConnEvents = { heads: () => {}, unavailable: () => {}, refused: (c, id, data, error) => this.hub.refused(c, id, data, error) }
      const conn = new Conn(this.engine, this.tally, events, this.self, m.senderId, `page:${m.senderId}`, true, out => send(encodeMessage(out)))
      this.#pages.set(tab, { conn, asked: new Set() })
      send(encodeMessage({ type: "peer", senderId: this.self, targetId: m.senderId, peerMetadata: { storageId: this.engine.storageId, isEphemeral: false }, selectedProtocolVersion: "1" }))
      return
    }
    const page = this.#pages.get(tab)
    if (!page) return
    switch (m.type) {
      case "request":
        page.asked.add(m.documentId)
        this.introduce(m.documentId)
        page.conn.receive(m.documentId, m.data)
        return
      case "sync":
        this.introduce(m.documentId)
        page.conn.receive(m.documentId, m.data)
        return
      case "ephemeral":
        this.hub.forward(m)
        this.forward(m, page.conn)
    }
  }

  /** Another end has not got a document that a Repo has asked for, and neither have we. */
  unavailable(id: DocumentId, by: Conn): void {
    if (this.engine.replica(id).heads.length > 0) return
    for (const p of this.#pages.values()) {
      if (p.conn === by || !p.asked.delete(id)) continue
      p.conn.tellUnavailable(id)
    }
  }

  forward(m: Message & { type: "ephemeral" }, except: Conn): void {
    for (const p of this.#pages.values()) if (p.conn !== except) p.conn.send({ ...m, targetId: p.conn.peerId })
  }

  detach(tab: string): void {
    this.#pages.get(tab)?.conn.close()
    this.#pages.delete(tab)
  }

  close(): void {
    for (const p of this.#pages.values()) p.conn.close()
    this.#pages.clear()
  }
}
