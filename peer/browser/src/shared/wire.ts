import { decodeCBOR, encodeCBOR } from "./cbor.js"
import { SynclineError } from "./errors.js"

// The automerge-repo WebSocket protocol, version 1, and what Syncline adds to it: wire.md, sections 1 and 6.

export interface Metadata { storageId?: string, isEphemeral?: boolean, syncline?: number }

export type Message =
  | { type: "join", senderId: string, peerMetadata: Metadata, supportedProtocolVersions: string[] }
  | { type: "peer", senderId: string, targetId?: string, peerMetadata?: Metadata, selectedProtocolVersion?: string }
  | { type: "error", senderId?: string, targetId?: string, message: string }
  | { type: "request" | "sync", senderId: string, targetId: string, documentId: string, data: Uint8Array }
  | { type: "doc-unavailable", senderId: string, targetId: string, documentId: string }
  | { type: "ephemeral", senderId: string, targetId: string, documentId: string, count: number, sessionId: string, data: Uint8Array }
  | { type: "syncline-token", senderId: string, targetId: string, token: string }
  | { type: "syncline-notice", senderId: string, code: string, documentId?: string, retryAfterMs?: number, message: string, hash?: Uint8Array }

/** The version of Syncline's additions. */
export const syncline = 1

export const encodeMessage = (m: Message): Uint8Array => encodeCBOR(m)

const isText = (v: unknown): v is string => typeof v === "string"
const isBytes = (v: unknown): v is Uint8Array => v instanceof Uint8Array
const needs: { [type: string]: { [field: string]: (v: unknown) => boolean } } = {
  join: { senderId: isText },
  peer: { senderId: isText },
  error: { message: isText },
  request: { documentId: isText, data: isBytes },
  sync: { documentId: isText, data: isBytes },
  "doc-unavailable": { documentId: isText },
  ephemeral: { senderId: isText, documentId: isText, count: Number.isSafeInteger, sessionId: isText, data: isBytes },
  "syncline-notice": { code: isText, message: isText },
}

/** Reads a frame. A message of a type that we do not use is undefined; what is none is an error. */
export function decodeMessage(frame: Uint8Array): Message | undefined {
  const m = decodeCBOR(frame)
  if (m === null || typeof m !== "object" || Array.isArray(m) || m instanceof Uint8Array || !isText(m["type"])) throw new SynclineError("invalid", "a frame that is no message")
  const fields = needs[m["type"]]
  if (!fields) return undefined
  for (const [field, fits] of Object.entries(fields)) {
    if (!fits(m[field])) throw new SynclineError("invalid", `a ${m["type"]} message without a good ${field}`)
  }
  return m as unknown as Message
}
