/**
 * Syncline's peer for browsers: documents that are edited at once and durably, offline too, queried with SQL,
 * and kept in sync in the background.
 *
 * ```ts
 * const peer = await open({ name: "notes", remotes: [{ url: "wss://relay.example" }] })
 * const doc = await peer.create() // or peer.find(id)
 * const receipt = await doc.apply(create("items", "milk", { text: "Milk", count: new Counter(1) }))
 * peer.live("SELECT _id, _json->>'text' AS text FROM items", [], rows => show(rows))
 * await receipt.wait("acknowledged") // another end has it on its disk
 * ```
 *
 * @packageDocumentation
 */
export { open, Peer, type Change, type Options, type Warning } from "./peer.js"
export { Document, type Plain, type TextAt } from "./document.js"
export { Receipt } from "./receipt.js"
export { compareIds, mergeSet, type Candidate, type Merged, type MergeFunction, type Reason, type Rule } from "./merge/merge.js"
export { compare as compareNodes, type Node } from "./merge/node.js"
export { Presence, type Other, type PresenceOptions } from "./presence.js"
export type { Metric, NetworkCondition, RemoteStatus, Row, SQLParam, Status } from "./status.js"
export {
  create, update, remove, set, unset, increment, splice, listInsert, listSet, listDelete,
  operationsFromJSON, operationsToJSON, type Operation, type Place, type Step, type Verb,
} from "./shared/operations.js"
export { Counter, Float, Scalar, Uint, parseTypedJSON, toTypedJSON, type Value } from "./shared/values.js"
export { SynclineError, type ErrorCode } from "./shared/errors.js"
export { newDocumentId, parseDocumentId, type DocumentId } from "./shared/bytes.js"
export type { LogEntry, Progress, ReceiptData, Remote, Schema, State } from "./shared/api.js"
export type { Class } from "./shared/fault.js"
