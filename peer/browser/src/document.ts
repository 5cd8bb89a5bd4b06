import type { LogEntry, ReceiptData } from "./shared/api.js"
import type { DocumentId } from "./shared/bytes.js"
import { encodeCBOR } from "./shared/cbor.js"
import { pack, type Operation, type Step } from "./shared/operations.js"
import { mergeSet, type Candidate, type Merged, type MergeFunction, type Rule } from "./merge/merge.js"
import type { Change, Peer } from "./peer.js"
import { Presence, type PresenceOptions } from "./presence.js"
import { Receipt } from "./receipt.js"

/** What a document's values are when they are read: counters are numbers, immutable strings strings. */
export type Plain = string | number | bigint | boolean | null | Uint8Array | Date | Plain[] | { [key: string]: Plain }

/** A text as it is at some heads. */
export interface TextAt { text: string, heads: string[] }

/** A document: collections of entities, which are maps of fields. It holds nothing: the owner's worker has the document. */
export class Document {
  readonly id: DocumentId
  readonly #peer: Peer

  /** @internal */
  constructor(peer: Peer, id: DocumentId) {
    this.#peer = peer
    this.id = id
  }

  /** As automerge-repo's apps share it. */
  get url(): string { return `automerge:${this.id}` }

  /**
   * Carries a batch of operations out as one change: all of them or, with an error, none. When it resolves, the
   * change is on the disk and visible in all tabs.
   *
   * at, if given, is the text that splices of the batch were meant for: their places are moved to where they are now.
   */
  async apply(ops: Operation | readonly Operation[], at?: { path: readonly Step[], heads: readonly string[] }): Promise<Receipt> {
    const list = Array.isArray(ops) ? ops as readonly Operation[] : [ops as Operation]
    const data = await this.#peer.call<ReceiptData>("apply", { id: this.id, ops: list.map(pack), request: crypto.randomUUID(), ...at && { base: at } })
    return new Receipt(this.#peer, data)
  }

  /** The whole document. */
  value(at?: readonly string[]): Promise<{ [collection: string]: Plain }> { return this.#read([], at) as Promise<{ [collection: string]: Plain }> }
  /** A collection's entities by their ids. */
  async collection(name: string, at?: readonly string[]): Promise<{ [id: string]: Plain }> { return ((await this.#read([name], at)) ?? {}) as { [id: string]: Plain } }
  /** An entity's fields, or undefined. */
  entity(collection: string, id: string, at?: readonly string[]): Promise<{ [field: string]: Plain } | undefined> { return this.#read([collection, id], at) as Promise<{ [field: string]: Plain } | undefined> }
  /** The value of a field, or of what lies deeper in it, or undefined. */
  get(collection: string, id: string, field: string, ...deeper: Step[]): Promise<Plain | undefined> { return this.#read([collection, id, field, ...deeper]) }

  #read(path: Step[], heads?: readonly string[]): Promise<Plain | undefined> { return this.#peer.call("read", { id: this.id, path, ...heads && { heads } }) }

  /** All values that concurrent changes have given a field. The last one is what get returns. */
  conflicts(collection: string, id: string, field: string, ...deeper: Step[]): Promise<{ id: string, value: Plain }[]> {
    return this.#peer.call("conflicts", { id: this.id, path: [collection, id, field, ...deeper] })
  }

  /** The same with their exact types, operations and times: what {@link mergeSet} chooses from. */
  candidates(collection: string, id: string, field: string, ...deeper: Step[]): Promise<Candidate[]> {
    return this.#peer.call("candidates", { id: this.id, path: [collection, id, field, ...deeper] })
  }

  /** A field as a merge rule reads it: the same at every peer, the native ones too. Nothing is written. */
  async merged(rule: Rule, collection: string, id: string, field: string, functions?: { [rule: string]: MergeFunction }): Promise<Merged> {
    return mergeSet(rule, await this.candidates(collection, id, field), functions)
  }

  /** A text and the heads that it is of: what {@link Document.apply} takes as at. */
  text(collection: string, id: string, field: string, ...deeper: Step[]): Promise<TextAt> {
    return this.#peer.call("text", { id: this.id, path: [collection, id, field, ...deeper] })
  }

  /** A name for a place in a text, in UTF-16 units, that stays with the characters around it, at all peers. */
  cursor(path: readonly Step[], pos: number): Promise<string> { return this.#peer.call("cursor", { id: this.id, path, pos }) }
  /** Where a cursor is now, in UTF-16 units. */
  position(path: readonly Step[], cursor: string): Promise<number> { return this.#peer.call("position", { id: this.id, path, cursor }) }

  /** The document's changes, the newest first, with how far each of ours has come. */
  log(options: { limit?: number } = {}): Promise<LogEntry[]> { return this.#peer.call("log", { id: this.id, limit: options.limit ?? 100 }) }
  /** The hashes of the changes that nothing builds on: a version, which value and others read at. */
  heads(): Promise<string[]> { return this.#peer.call("heads", { id: this.id }) }
  /** The document in automerge's own format. */
  save(): Promise<Uint8Array> { return this.#peer.call("save", { id: this.id }) }

  /** Calls back after each change of this document, whoever has made it. Returns what ends it. */
  onChange(callback: (c: Change) => void): () => void {
    return this.#peer.on("change", c => { if (c.document === this.id) callback(c) })
  }

  /** Sends a message to all who have the document open now. It is not stored. */
  broadcast(message: unknown, session: { id: string, count: number }): Promise<void> {
    return this.#peer.call("broadcast", { id: this.id, data: encodeCBOR(message), session: session.id, count: session.count })
  }

  /** Shows who else is here, and to them what is said of this tab. */
  presence<T>(options?: PresenceOptions): Presence<T> { return new Presence<T>(this.#peer, this, options) }
}
