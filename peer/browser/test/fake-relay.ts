import { WebSocketServer, type Socket } from "ws"
import { decodeCBOR, encodeCBOR } from "../src/shared/cbor.ts"

type Message = { type: string, senderId: string, documentId?: string, data?: Uint8Array, [field: string]: unknown }

/** A relay that does what a test wants of it: it joins clients, and hands their messages to the test. */
export class FakeRelay {
  readonly #server: WebSocketServer
  readonly protocols: string[] = []
  joins = 0
  onMessage: (m: Message, reply: (m: object) => void, socket: Socket) => void = () => {}
  /** Called instead of the answer to a join, if it returns true. */
  onJoin: (socket: Socket, reply: (m: object) => void) => boolean = () => false

  private constructor(server: WebSocketServer) {
    this.#server = server
    server.on("connection", (socket, request) => {
      this.protocols.push(request.headers["sec-websocket-protocol"] ?? "")
      socket.on("message", data => {
        const m = decodeCBOR(new Uint8Array(data)) as unknown as Message
        const reply = (out: object): void => socket.send(encodeCBOR({ senderId: "fake", targetId: m.senderId, ...out }))
        if (m.type !== "join") return this.onMessage(m, reply, socket)
        this.joins++
        if (!this.onJoin(socket, reply)) reply({ type: "peer", peerMetadata: { storageId: "fake-storage", isEphemeral: false, syncline: 1 }, selectedProtocolVersion: "1" })
      })
    })
  }

  static async start(): Promise<FakeRelay> {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: offered => offered.has("syncline.v1") ? "syncline.v1" : false })
    await new Promise<void>(resolve => server.on("listening", resolve))
    return new FakeRelay(server)
  }

  get url(): string { return `ws://127.0.0.1:${this.#server.address().port}` }

  close(): void {
    for (const c of this.#server.clients) c.close()
    this.#server.close()
  }
}
