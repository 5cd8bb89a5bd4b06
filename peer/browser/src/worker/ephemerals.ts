import type { Message } from "../shared/wire.js"

export interface EphemeralMessage { senderId: string, sessionId: string, data: Uint8Array }

/** How many (sender, session) pairs are remembered; the ones heard of longest ago are forgotten. */
const maxSessions = 2000

/** Takes each ephemeral message once, however often it is forwarded, and never our own. */
export class Ephemerals {
  readonly #last = new Map<string, number>()

  constructor(private readonly self: string) {}

  accept(m: Message & { type: "ephemeral" }): EphemeralMessage | undefined {
    if (m.senderId === this.self) return undefined
    const key = `${m.senderId} ${m.sessionId}`
    const last = this.#last.get(key)
    if (last !== undefined && m.count <= last) return undefined
    this.#last.delete(key)
    this.#last.set(key, m.count)
    for (const old of this.#last.keys()) {
      if (this.#last.size <= maxSessions) break
      this.#last.delete(old)
    }
    return { senderId: m.senderId, sessionId: m.sessionId, data: m.data }
  }
}
