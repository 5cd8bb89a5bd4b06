/**
 * For an app that has an automerge-repo `Repo` already: it keeps it, with these adapters.
 *
 * ```ts
 * const peer = await open({ name: "notes", remotes: [{ url: "wss://relay.example" }] })
 * const repo = new Repo({ network: [new SynclineNetworkAdapter(peer)] })
 * ```
 *
 * The Repo then syncs with the tab that owns the store, as with a server that is never away. That one makes each
 * change durable before it goes on, to the other tabs and through the one socket to the relay; automerge-repo by
 * itself sends a change before it has stored it. So the Repo needs no storage of its own.
 *
 * @packageDocumentation
 */
import { NetworkAdapter, type Chunk, type Message as RepoMessage, type PeerId, type PeerMetadata, type StorageAdapterInterface, type StorageKey } from "@automerge/automerge-repo/slim"
import type { Peer } from "./peer.js"
import { decodeMessage, encodeMessage, type Message } from "./shared/wire.js"

/** Connects a Repo with the store of this browser, and through it with all remotes. */
export class SynclineNetworkAdapter extends NetworkAdapter {
  readonly #peer: Peer
  #ready = false
  #whenReady: Promise<void>
  #becomeReady: () => void = () => {}
  #owner: PeerId | undefined
  #stops: (() => void)[] = []

  constructor(peer: Peer) {
    super()
    this.#peer = peer
    this.#whenReady = new Promise(resolve => { this.#becomeReady = resolve })
  }

  isReady(): boolean { return this.#ready }
  whenReady(): Promise<void> { return this.#whenReady }

  connect(peerId: PeerId, peerMetadata: PeerMetadata = {}): void {
    this.peerId = peerId
    this.peerMetadata = peerMetadata
    this.#stops = [
      this.#peer.on("repo", frame => this.#hear(frame)),
      // Another tab has the store now: it is a new end, which has all that was durable.
      this.#peer.on("owner", () => {
        this.#leave()
        this.#join()
      }),
    ]
    this.#join()
  }

  #join(): void {
    this.#post({ type: "join", senderId: this.peerId!, peerMetadata: {}, supportedProtocolVersions: ["1"] })
  }

  #post(m: Message): void {
    void this.#peer.call("repo", { message: encodeMessage(m) }).catch(() => {})
  }

  #hear(frame: Uint8Array): void {
    const m = decodeMessage(frame)
    if (!m) return
    if (m.type === "peer") {
      this.#owner = m.senderId as PeerId
      this.#ready = true
      this.#becomeReady()
      this.emit("peer-candidate", { peerId: this.#owner, peerMetadata: (m.peerMetadata ?? {}) as PeerMetadata })
      return
    }
    this.emit("message", m as unknown as RepoMessage)
  }

  send(message: RepoMessage): void {
    // Of what a Repo says, an end that keeps everything needs these.
    if (["sync", "request", "ephemeral"].includes(message.type)) this.#post(message as unknown as Message)
  }

  #leave(): void {
    if (this.#owner) this.emit("peer-disconnected", { peerId: this.#owner })
    this.#owner = undefined
  }

  disconnect(): void {
    this.#stops.forEach(f => f())
    this.#leave()
    this.#ready = false
  }
}

/**
 * Keeps what a Repo stores in this browser's store: each save is on the disk when it resolves. For a Repo that has
 * network adapters of its own; with {@link SynclineNetworkAdapter} none is needed.
 */
export class SynclineStorageAdapter implements StorageAdapterInterface {
  readonly #peer: Peer
  constructor(peer: Peer) { this.#peer = peer }

  #blobs<T>(op: string, key: StorageKey, body?: Uint8Array): Promise<T> {
    return this.#peer.call("blobs", { op, key: JSON.stringify(key), ...body && { body } })
  }

  load(key: StorageKey): Promise<Uint8Array | undefined> { return this.#blobs("load", key) }
  save(key: StorageKey, data: Uint8Array): Promise<void> { return this.#blobs("save", key, data) }
  remove(key: StorageKey): Promise<void> { return this.#blobs("remove", key) }
  removeRange(prefix: StorageKey): Promise<void> { return this.#blobs("removeRange", prefix) }

  async loadRange(prefix: StorageKey): Promise<Chunk[]> {
    const rows = await this.#blobs<{ key: string, body: Uint8Array }[]>("loadRange", prefix)
    return rows.map(r => ({ key: JSON.parse(r.key) as StorageKey, data: r.body }))
  }
}
