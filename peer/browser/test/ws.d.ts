declare module "ws" {
  import type { AddressInfo } from "node:net"
  export interface Socket {
    on(event: "message", f: (data: Buffer) => void): void
    send(data: Uint8Array): void
    close(code?: number, reason?: string): void
  }
  export class WebSocketServer {
    constructor(options: { port: number, host: string, handleProtocols?: (offered: Set<string>) => string | false })
    on(event: "connection", f: (socket: Socket, request: { headers: { [name: string]: string | undefined } }) => void): void
    on(event: "listening", f: () => void): void
    address(): AddressInfo
    close(): void
    clients: Set<Socket>
  }
}
