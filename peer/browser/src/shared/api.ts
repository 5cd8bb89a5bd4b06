import type { DocumentId } from "./bytes.js"

/** How far a change has come. Each state includes those before it. */
export type State = "local" | "sent" | "acknowledged" | "seen"
export const states: readonly State[] = ["local", "sent", "acknowledged", "seen"]

/** What {@link open} hands to the worker; see the options of open for what each is. */
export interface WorkerOptions {
  name: string
  base: string
  tab: string
  remotes: Remote[]
  hasToken: boolean
  schema: Schema
  noOPFS: boolean
  patience: number
}

/** A relay, or a peer that listens. */
export interface Remote {
  /** A ws:// or wss:// address. */
  url: string
  /** It is a peer that listens and not a relay: what it has acknowledged counts as seen. */
  peer?: boolean
}

/** For each collection, the fields that its SQL view has as columns. */
export type Schema = { readonly [collection: string]: readonly string[] }

/** The record of a batch of operations that was done in this browser. */
export interface ReceiptData {
  document: DocumentId
  /** The change's place in this store's journal: it grows, over all documents, and has gaps. */
  sequence: number
  hash: string
  actor: string
  actorSeq: number
  /** Names this browser within the document, and to nobody outside of it. */
  device: string
  /** ms since 1970 */
  time: number
  /** What the change says of itself, to all who have it. */
  intent: string
  /** How many operations there were in the batch. */
  operations: number
}

/** Where a change is beside this store. */
export interface Progress {
  state: State
  /** The ends that have it, by their storage ids. */
  acknowledged: string[]
}

/** A change of a document's history. */
export interface LogEntry {
  hash: string
  actor: string
  /** The device that made it, within the document: the first half of the actor id. */
  device: string
  /** It was made in this browser. */
  own: boolean
  /** The change's own time, in ms since 1970, whole seconds. */
  time: number
  intent: string
  /** How many operations of the core it holds. */
  size: number
  /** Only of own changes: how far it has come. */
  state?: State
}
