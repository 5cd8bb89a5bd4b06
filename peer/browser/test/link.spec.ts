import { test, expect } from "@playwright/test"
import { encodeMessage } from "../src/shared/wire.ts"
import { Link } from "../src/worker/link.ts"
import { Tally } from "../src/worker/telemetry.ts"

/** A socket that does what the test says, in the place of the browser's. */
class Socket {
  static readonly OPEN = 1
  static all: Socket[] = []
  readyState = 0
  binaryType = ""
  readonly sent: Uint8Array[] = []
  onopen: () => void = () => {}
  onmessage: (e: { data: ArrayBuffer }) => void = () => {}
  onclose: (e: { code: number, reason: string }) => void = () => {}
  constructor(readonly url: string, readonly protocols: string[]) { Socket.all.push(this) }
  send(frame: Uint8Array): void { this.sent.push(frame) }
  close(): void { this.readyState = 3 }

  /** The other end answers the handshake. */
  open(): void {
    this.readyState = Socket.OPEN
    this.onopen()
    this.hear({ type: "peer", senderId: "far", peerMetadata: { storageId: "far-storage" }, selectedProtocolVersion: "1" })
  }
  hear(m: object): void { this.onmessage({ data: new Uint8Array(encodeMessage({ targetId: "us", ...m } as never)).buffer }) }
}

/** What a link finds in a worker. */
function surroundings(): { tell(event: "online" | "offline"): void, restore(): void } {
  const events = new EventTarget(), network = { onLine: true }
  const put = { WebSocket: Socket, navigator: network, addEventListener: events.addEventListener.bind(events), removeEventListener: events.removeEventListener.bind(events) }
  const before = Object.keys(put).map(name => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const)
  for (const [name, value] of Object.entries(put)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
  Socket.all = []
  return {
    tell: event => { network.onLine = event === "online"; events.dispatchEvent(new Event(event)) },
    restore: () => { for (const [name, d] of before) if (d) Object.defineProperty(globalThis, name, d); else delete (globalThis as { [name: string]: unknown })[name] },
  }
}

test("a link hears of the network, and waits as its class and the other end say", async () => {
  const around = surroundings()
  const link = new Link({ url: "ws://far" }, "us", "our-storage", false, new Tally(), {
    connected: () => ({ receive: () => {}, close: () => {} }), changed: () => {}, token: async () => undefined, notice: () => {},
  }, () => 0.5)
  const dialled = (n: number): Promise<void> => expect.poll(() => Socket.all.length).toBe(n)
  const last = (): Socket => Socket.all.at(-1)!
  try {
    link.start()
    await dialled(1)
    last().open()
    expect(link.state).toBe("connected")

    // The other end goes down for an hour; the network that changes meanwhile is tried at once.
    last().hear({ type: "syncline-notice", senderId: "far", code: "draining", message: "back later", retryAfterMs: 3_600_000 })
    last().onclose({ code: 4006, reason: "" })
    expect(link.status()).toMatchObject({ state: "waiting", class: "draining", reason: "back later" })
    expect(link.next - Date.now()).toBeGreaterThan(3_500_000)
    around.tell("offline")
    expect(link.state).toBe("offline")
    around.tell("online")
    await dialled(2)
    last().open()
    expect(link.status()).toMatchObject({ state: "connected", failures: 0 })

    // A page that is looked at again asks for it.
    last().onclose({ code: 1006, reason: "" })
    expect(link.status()).toMatchObject({ state: "waiting", class: "lost", failures: 1 })
    link.kick()
    await dialled(3)

    // Without a network nothing is dialled, and no failure counts against the remote.
    around.tell("offline")
    last().onclose({ code: 1006, reason: "" })
    expect(link.state).toBe("offline")
    link.kick()
    expect(Socket.all.length).toBe(3)
    around.tell("online")
    await dialled(4)
    last().open()

    // What trying again does not mend is not tried by itself, and is when somebody asks.
    last().onclose({ code: 4001, reason: "who are you" })
    expect(link.status()).toMatchObject({ state: "stopped", class: "unauthorised", mendable: false })
    around.tell("online")
    expect(Socket.all.length).toBe(4)
    link.kick(true)
    await dialled(5)
  } finally {
    link.stop()
    around.restore()
  }
})
