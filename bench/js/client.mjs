// One stock automerge-repo client with its stock WebSocket and file adapters.
// What is added only watches: bytes and messages that pass, what the other end
// has acknowledged, what has reached the disk.

import { EventEmitter, once } from "node:events"
import * as A from "@automerge/automerge"
import { Repo } from "@automerge/automerge-repo"
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs"

class WatchedSocketAdapter extends WebSocketClientAdapter {
  traffic = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, connections: 0 }
  #watched

  connect(peerId, peerMetadata) {
    super.connect(peerId, peerMetadata)
    const socket = this.socket
    if (socket === this.#watched) return
    this.#watched = socket
    socket.on("open", () => this.traffic.connections++)
    // The stock adapter takes its listeners off a socket that has not opened when
    // the next attempt begins; that one's refusal would then end the process.
    socket.on("error", () => {})
    const send = socket.send.bind(socket)
    socket.send = (data, ...rest) => {
      this.traffic.messagesOut++
      this.traffic.bytesOut += data.byteLength
      send(data, ...rest)
    }
  }

  receiveMessage(data) {
    this.traffic.messagesIn++
    this.traffic.bytesIn += data.byteLength
    super.receiveMessage(data)
  }
}

class WatchedStorageAdapter extends NodeFSStorageAdapter {
  saved = new EventEmitter()
  async save(key, data) {
    await super.save(key, data)
    this.saved.emit("saved")
  }
}

const sameHeads = (a, b) => a.length === b.length && [...a].sort().join() === [...b].sort().join()

export class Client {
  #events = new EventEmitter()
  #acknowledged = new Map() // document id → heads of the other end's last sync message
  #ephemeral = new Map() // document id → [{senderId, message}] as the application sees them
  #wireEphemeral = new Map() // document id → [{senderId, count}] as they arrive, before any are dropped
  #listening = new Set()

  constructor({ url, peerId, storage, retryMs }) {
    this.#events.setMaxListeners(0)
    this.adapter = new WatchedSocketAdapter(url, retryMs)
    this.adapter.on("message", message => this.#watch(message))
    this.adapter.on("peer-candidate", () => queueMicrotask(() => this.#events.emit("peer")))
    this.adapter.on("peer-disconnected", () => queueMicrotask(() => this.#events.emit("peer")))
    this.storage = storage ? new WatchedStorageAdapter(storage) : undefined
    this.repo = new Repo({ network: [this.adapter], storage: this.storage, peerId })
  }

  #watch(message) {
    if (message.type === "sync") {
      this.#acknowledged.set(message.documentId, A.decodeSyncMessage(message.data).heads)
      this.#events.emit(message.documentId)
    } else if (message.type === "ephemeral") {
      push(this.#wireEphemeral, message.documentId, { senderId: message.senderId, count: message.count })
    }
  }

  /** Keeps every ephemeral message of a document from now on. */
  listen(handle) {
    if (this.#listening.has(handle.documentId)) return handle
    this.#listening.add(handle.documentId)
    handle.on("ephemeral-message", ({ senderId, message }) => {
      push(this.#ephemeral, handle.documentId, { senderId, message })
      this.#events.emit(handle.documentId)
    })
    handle.on("heads-changed", () => this.#events.emit(handle.documentId))
    return handle
  }

  handle(documentId) {
    const handle = this.repo.handles[documentId]
    if (!handle) throw new Error(`document ${documentId} was neither created nor found by this client`)
    return handle
  }

  heads(documentId) {
    return [...A.getHeads(this.handle(documentId).doc() ?? A.init())].sort()
  }

  acknowledged(documentId) {
    return this.#acknowledged.get(documentId) ?? []
  }

  ephemeral(documentId) {
    return {
      received: this.#ephemeral.get(documentId) ?? [],
      onWire: this.#wireEphemeral.get(documentId) ?? [],
    }
  }

  /** Whether the other end's heads include the given changes. */
  hasAcknowledged(documentId, wanted) {
    const theirs = this.acknowledged(documentId)
    if (theirs.length === 0) return false
    if (sameHeads(theirs, wanted)) return true
    const doc = this.handle(documentId).doc()
    const known = theirs.filter(head => A.hasHeads(doc, [head]))
    const unknownToThem = new Set(A.getChangesMetaSince(doc, known).map(change => change.hash))
    return wanted.every(hash => A.hasHeads(doc, [hash]) && !unknownToThem.has(hash))
  }

  async until(event, condition) {
    while (!condition()) await once(this.#events, event)
  }

  /** Whether the disk holds the document and the state of its finished sync. */
  async #saved(documentId) {
    const storageId = this.repo.getStorageIdOfPeer(this.repo.peers[0])
    if (!storageId) return false
    const heads = this.heads(documentId)
    const state = await this.repo.storageSubsystem.loadSyncState(documentId, storageId)
    return state !== undefined && sameHeads(state.sharedHeads, heads)
  }

  async untilSaved(documentId) {
    await this.repo.flush([documentId])
    while (!(await this.#saved(documentId))) await once(this.storage.saved, "saved")
  }

  /** Closes the socket at once, as a lost network would; the adapter tries again. */
  drop() {
    this.adapter.socket?.terminate()
  }

  disconnect() {
    if (this.adapter.socket) this.adapter.disconnect()
  }

  async connect() {
    this.adapter.connect(this.repo.peerId, this.adapter.peerMetadata)
    await this.connected()
  }

  async connected() {
    await this.until("peer", () => this.repo.peers.length > 0)
  }

  async disconnected() {
    await this.until("peer", () => this.repo.peers.length === 0)
  }

  async close() {
    this.disconnect()
    await this.repo.flush()
  }
}

function push(map, key, value) {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
