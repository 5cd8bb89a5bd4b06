import type { Document } from "./document.js"
import type { Peer } from "./peer.js"

/** Somebody else who has the document open. */
export interface Other<T> {
  /** Of the tab: random, and new with each presence. */
  session: string
  state: T
  /** When it was heard of last, ms since 1970. */
  seen: number
}

export interface PresenceOptions {
  /** How often our state is said again, in ms: 5000. Who says nothing for three times as long is gone. */
  heartbeat?: number
}

type Said<T> = { syncline: "presence", state: T } | { syncline: "presence", gone: true } | { syncline: "presence", hello: true }

/** Who has a document open now, in any browser or tab, each with a small state: a name, a colour, a cursor. It is never stored. */
export class Presence<T> {
  readonly session = crypto.randomUUID()
  readonly #document: Document
  readonly #others = new Map<string, Other<T>>()
  readonly #callbacks = new Set<(others: Other<T>[]) => void>()
  readonly #heartbeat: number
  readonly #stop: () => void
  #state: T | undefined
  #count = 0
  #timer: ReturnType<typeof setInterval>

  /** @internal */
  constructor(peer: Peer, document: Document, options: PresenceOptions = {}) {
    this.#document = document
    this.#heartbeat = options.heartbeat ?? 5000
    this.#stop = peer.on("ephemeral", m => { if (m.document === document.id && m.sessionId !== this.session) this.#hear(m.sessionId, m.message as Said<T>) })
    this.#timer = setInterval(() => this.#beat(), this.#heartbeat)
    addEventListener("pagehide", this.#leave)
    this.#say({ syncline: "presence", hello: true })
  }

  /** Who is here beside us. */
  get others(): Other<T>[] { return [...this.#others.values()] }

  /** Says what others see of us. */
  set(state: T): void {
    this.#state = state
    this.#say({ syncline: "presence", state })
  }

  /** Calls back with the others whenever they have changed. Returns what ends it. */
  onChange(callback: (others: Other<T>[]) => void): () => void {
    this.#callbacks.add(callback)
    return () => this.#callbacks.delete(callback)
  }

  #say(m: Said<T>): void { void this.#document.broadcast(m, { id: this.session, count: ++this.#count }).catch(() => {}) }

  #beat(): void {
    if (this.#state !== undefined) this.#say({ syncline: "presence", state: this.#state })
    const old = Date.now() - 3 * this.#heartbeat
    let gone = false
    for (const [id, o] of this.#others) if (o.seen < old) gone = this.#others.delete(id)
    if (gone) this.#tell()
  }

  #hear(session: string, m: Said<T>): void {
    if (m === null || typeof m !== "object" || m.syncline !== "presence") return
    if ("hello" in m) {
      if (this.#state !== undefined) this.#say({ syncline: "presence", state: this.#state })
      return
    }
    if ("gone" in m) this.#others.delete(session)
    else this.#others.set(session, { session, state: m.state, seen: Date.now() })
    this.#tell()
  }

  #tell(): void { for (const f of this.#callbacks) f(this.others) }

  readonly #leave = (): void => this.close()

  /** Leaves. */
  close(): void {
    clearInterval(this.#timer)
    removeEventListener("pagehide", this.#leave)
    this.#say({ syncline: "presence", gone: true })
    this.#stop()
    this.#others.clear()
  }
}
