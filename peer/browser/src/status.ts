import type { Class } from "./shared/fault.js"
import type { DocumentId } from "./shared/bytes.js"

/** A row of a query. */
export type Row = { [column: string]: string | number | bigint | null | Uint8Array }
export type SQLParam = string | number | bigint | null | Uint8Array

/** What the network is made to be: `slow` delays each frame, `lossy` also breaks connections. */
export type NetworkCondition = "normal" | "offline" | "slow" | "lossy"

/** How a remote is reached. */
export interface RemoteStatus {
  url: string
  /** `waiting`: for the next attempt. `offline`: there is no network. `stopped`: another attempt would not help. */
  state: "idle" | "connecting" | "connected" | "waiting" | "offline" | "stopped"
  /** Of the state, ms since 1970. */
  since: number
  /** In a row. */
  failures: number
  retries: { [c in Class]?: number }
  /** Of the last failure, unless connected. */
  class?: Class
  reason?: string
  mendable?: boolean
  /** Of the next attempt, when waiting, ms since 1970. */
  next?: number
  peerId: string
  storageId: string
  bytesIn: number
  bytesOut: number
}

/** A reading of how a peer stands. */
export interface Status {
  peerId: string
  storageId: string
  /** Names the owner: another one, after a takeover. */
  owner: string
  /** When this owner opened the store, ms since 1970. */
  since: number
  tabs: number
  network: NetworkCondition
  documents: number
  /** Open in the core. */
  open: number
  liveQueries: number
  /** Rows of the journal. */
  journal: number
  /** How many changes no other end is known to have. */
  unacknowledged: number
  /** When the first operation of those was made, ms since 1970, or null. */
  oldest: number | null
  pending: { document: DocumentId, changes: number }[]
  remotes: RemoteStatus[]
  /** Documents that a remote or we have refused, and why. */
  undelivered: { document: DocumentId, url: string, class: Class, reason: string }[]
  quarantined: { document: DocumentId, hash: string, reason: string, time: number }[]
  counters: {
    messagesIn: number, messagesOut: number, bytesIn: number, bytesOut: number
    changesIn: number, changesOut: number, changesRefused: number, commitFailures: number
    retries: { [c in Class]: number }
  }
  /** From an operation here until it is durable at another end: bounds of ms that half and 99 % stayed below, or null. */
  reconciliation: { p50: number | null, p99: number | null }
  store: { kind: "opfs" | "memory", warning?: string, usage: number, quota: number, persisted: boolean }
}

/** A metric with its labels. */
export interface Metric { name: string, labels: { [label: string]: string }, value: number }
