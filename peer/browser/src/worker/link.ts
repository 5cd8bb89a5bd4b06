import { backoff, classOfCode, faultOfNotice, mendable, type Fault } from "../shared/fault.js"
import { decodeMessage, encodeMessage, syncline, type Message } from "../shared/wire.js"
import type { Remote } from "../shared/api.js"
import type { Tally } from "./telemetry.js"

/** How a remote is reached: the native peer's words. */
export type LinkState = "idle" | "connecting" | "connected" | "waiting" | "offline" | "stopped"

/** What the network is made to be, for demonstrations and tests. */
export type Condition = "normal" | "offline" | "slow" | "lossy"

export interface LinkEvents {
  /** The handshake is done: returns who takes the messages. */
  connected(link: Link, peer: { peerId: string, storageId: string | undefined, syncline: boolean }): { receive(m: Message): void, close(): void }
  changed(): void
  /** Asks the app for a token, if it gives one. */
  token(url: string): Promise<string | undefined>
  notice(documentId: string, fault: Fault): void
}

/** ms for a connection and its handshake. */
const dialTimeout = 15_000
/** A connection that lasted so long, in ms, does not count as one more failure in a row. */
const steady = 10_000
/** ms by which each frame is late on a slow network, each way. */
const slowness = 800
/** On a lossy one, the share of frames at which the connection breaks, and the latest delay in ms. */
const loss = 0.08, lossDelay = 400

/** Keeps one remote connected. What it does is decided by the fault that the last connection ended with. */
export class Link {
  state: LinkState = "idle"
  since = Date.now()
  failures = 0
  fault: Fault | undefined
  next = 0
  peerId = ""
  storageId = ""
  bytesIn = 0
  bytesOut = 0
  readonly retries: { [c: string]: number } = {}
  #socket: WebSocket | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #taker: { receive(m: Message): void, close(): void } | undefined
  #condition: Condition = "normal"
  #running = false
  #attempt = 0

  constructor(
    readonly remote: Remote, readonly self: string, private readonly storage: string, private readonly hasToken: boolean,
    private readonly tally: Tally, private readonly events: LinkEvents, private readonly random: () => number = Math.random,
  ) {}

  start(): void {
    if (this.#running) return
    this.#running = true
    addEventListener("online", this.#online)
    addEventListener("offline", this.#offline)
    void this.#dial()
  }

  stop(): void {
    this.#running = false
    removeEventListener("online", this.#online)
    removeEventListener("offline", this.#offline)
    clearTimeout(this.#timer)
    this.#drop(1000, "bye")
    this.#set("idle")
  }

  /** Tries at once: the network has changed, the tab is looked at again, or somebody asks for it. */
  kick(force = false): void {
    if (!this.#running || this.state === "connected" || this.state === "connecting") return
    if (this.state === "stopped" && !force) return
    this.failures = 0
    clearTimeout(this.#timer)
    void this.#dial()
  }

  /** Makes the network as it is said to be. */
  simulate(c: Condition): void {
    this.#condition = c
    if (c === "offline") {
      this.#drop(1000, "offline")
      clearTimeout(this.#timer)
      this.#set("offline")
    } else if (this.state === "offline") {
      this.kick()
    }
  }

  send(m: Message): void {
    const socket = this.#socket
    if (socket?.readyState !== WebSocket.OPEN) return
    const frame = encodeMessage(m)
    this.bytesOut += frame.length
    this.tally.bytesOut += frame.length
    this.tally.messagesOut++
    this.#through(() => { if (socket.readyState === WebSocket.OPEN) socket.send(frame as Uint8Array<ArrayBuffer>) })
  }

  /** A fresh token for a connection that is there. */
  refresh(token: string): void {
    this.send({ type: "syncline-token", senderId: this.self, targetId: this.peerId, token })
  }

  readonly #online = (): void => this.kick()
  readonly #offline = (): void => {
    // A connection that is there tells by itself when it is lost.
    if (this.state === "waiting") this.#set("offline")
  }

  #queue: Promise<void> = Promise.resolve()

  /** Frames stay in order, however late each is. */
  #through(f: () => void): void {
    const c = this.#condition
    if (c === "normal" || c === "offline") {
      void (this.#late > 0 ? this.#queue = this.#queue.then(f) : f())
      return
    }
    if (c === "lossy" && this.random() < loss) return this.#drop(4000, "lost on the way")
    const due = performance.now() + (c === "slow" ? slowness : this.random() * lossDelay)
    this.#late++
    this.#queue = this.#queue.then(async () => {
      await new Promise(resolve => setTimeout(resolve, Math.max(0, due - performance.now())))
      this.#late--
      f()
    })
  }
  #late = 0

  #set(s: LinkState): void {
    if (this.state === s) return
    this.state = s
    this.since = Date.now()
    this.events.changed()
  }

  async #dial(): Promise<void> {
    if (this.#condition === "offline" || navigator.onLine === false) return this.#set("offline")
    this.#set("connecting")
    const attempt = ++this.#attempt
    let token: string | undefined
    try {
      token = this.hasToken ? await this.events.token(this.remote.url) : undefined
    } catch (error) {
      return this.#failed({ class: "unauthorised", reason: `the app gave no token: ${(error as Error).message}`, retryAfter: 0 })
    }
    if (!this.#running || attempt !== this.#attempt) return
    let socket: WebSocket
    try {
      socket = new WebSocket(this.remote.url, token ? ["syncline.v1", `bearer.${token}`] : [])
    } catch (error) {
      return this.#failed({ class: "protocol", reason: (error as Error).message, retryAfter: 0 })
    }
    this.#begin(socket)
  }

  #begin(socket: WebSocket): void {
    this.#socket = socket
    socket.binaryType = "arraybuffer"
    let opened = false, refusal = "", drained = 0
    const timeout = setTimeout(() => this.#lost(socket, { class: "timeout", reason: "no answer to the handshake", retryAfter: 0 }), dialTimeout)
    socket.onopen = () => {
      opened = true
      this.send({ type: "join", senderId: this.self, peerMetadata: { storageId: this.storage, isEphemeral: false, syncline }, supportedProtocolVersions: ["1"] })
    }
    socket.onmessage = e => {
      const frame = new Uint8Array(e.data as ArrayBuffer)
      this.bytesIn += frame.length
      this.tally.bytesIn += frame.length
      this.tally.messagesIn++
      this.#through(() => {
        if (this.#socket !== socket) return
        let m: Message | undefined
        try {
          m = decodeMessage(frame)
        } catch (error) {
          return this.#lost(socket, { class: "protocol", reason: (error as Error).message, retryAfter: 0 }, 4003)
        }
        if (!m) return
        if (m.type === "error") { refusal = m.message; return }
        if (m.type === "syncline-notice") {
          const fault = faultOfNotice(m)
          if (fault && m.documentId) this.events.notice(m.documentId, fault)
          else if (fault) { refusal = m.message; drained = fault.retryAfter }
          return
        }
        if (m.type !== "peer") return this.#taker?.receive(m)
        if (this.#taker) return
        clearTimeout(timeout)
        this.peerId = m.senderId
        this.storageId = m.peerMetadata?.storageId ?? ""
        this.fault = undefined
        this.#set("connected")
        this.#taker = this.events.connected(this, { peerId: m.senderId, storageId: m.peerMetadata?.storageId, syncline: (m.peerMetadata?.syncline ?? 0) >= 1 })
      })
    }
    socket.onclose = e => {
      clearTimeout(timeout)
      const c = opened || e.code !== 1006 ? classOfCode(e.code) : "refused"
      this.#lost(socket, { class: c, reason: refusal || e.reason || (opened ? `the connection was closed (${e.code})` : `no connection to ${this.remote.url}`), retryAfter: drained })
    }
  }

  #lost(socket: WebSocket, fault: Fault, code?: number): void {
    if (this.#socket !== socket) return
    if (code) socket.close(code, fault.reason.slice(0, 100))
    this.#drop(1000, "")
    if (this.#running) this.#failed(fault)
  }

  /** Ends a connection over something that is wrong on our side, and waits as its class says. */
  giveUp(fault: Fault): void {
    if (!this.#socket) return
    this.#drop(1000, "")
    if (this.#running) this.#failed(fault)
  }

  /** Ends the connection without counting it as a failure. */
  #drop(code: number, why: string): void {
    const socket = this.#socket, taker = this.#taker
    this.#socket = this.#taker = undefined
    this.#attempt++
    socket?.close(code >= 4000 || code === 1000 ? code : 1000, why)
    taker?.close()
    if (code === 4000) this.#failed({ class: "lost", reason: why, retryAfter: 0 })
  }

  #failed(fault: Fault): void {
    if (this.state === "connected" && Date.now() - this.since >= steady) this.failures = 0
    this.failures++
    this.retries[fault.class] = (this.retries[fault.class] ?? 0) + 1
    this.tally.retries[fault.class]++
    this.fault = fault
    const delay = backoff(fault, this.failures, this.random())
    if (navigator.onLine === false) return this.#set("offline")
    // With a token of the app's, the next one may be better; it is asked for like after a lost connection.
    if (delay === undefined && !(this.hasToken && fault.class === "unauthorised" && this.failures < 3)) return this.#set("stopped")
    const wait = delay ?? backoff({ ...fault, class: "lost" }, this.failures, this.random())!
    this.next = Date.now() + wait
    this.#set("waiting")
    this.#timer = setTimeout(() => void this.#dial(), wait)
  }

  status(): object {
    return {
      url: this.remote.url, state: this.state, since: this.since, failures: this.failures, retries: { ...this.retries },
      ...this.fault && { class: this.fault.class, reason: this.fault.reason, mendable: mendable(this.fault.class) },
      ...this.state === "waiting" && { next: this.next }, peerId: this.peerId, storageId: this.storageId, bytesIn: this.bytesIn, bytesOut: this.bytesOut,
    }
  }
}
