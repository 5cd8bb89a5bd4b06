import type { Progress, ReceiptData, State } from "./shared/api.js"
import type { Peer } from "./peer.js"

/**
 * The record of a batch of operations that was done in this browser; it is on the disk. It is good across
 * connections, and after a restart {@link Peer.receipt} has it again by its sequence.
 */
export class Receipt {
  readonly #peer: Peer
  readonly data: ReceiptData

  /** @internal */
  constructor(peer: Peer, data: ReceiptData) {
    this.#peer = peer
    this.data = data
  }

  get sequence(): number { return this.data.sequence }
  get hash(): string { return this.data.hash }
  get intent(): string { return this.data.intent }

  /** Says where the change is beside this store. */
  progress(): Promise<Progress> { return this.#peer.call("progress", { id: this.data.document, hash: this.data.hash }) }

  /** Waits until the change is in a state, or in one after it: `acknowledged` means that it is on another end's disk. */
  wait(state: State, options: { timeout?: number } = {}): Promise<void> {
    return this.#peer.call("wait", { id: this.data.document, hash: this.data.hash, state, timeout: options.timeout ?? 30_000 })
  }
}
