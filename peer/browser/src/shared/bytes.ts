import bs58check from "bs58check"
import { SynclineError } from "./errors.js"

/** Hexadecimal, lower case, as hashes and actor ids are written. */
export function toHex(bytes: Uint8Array): string {
  let s = ""
  for (const b of bytes) s += b.toString(16).padStart(2, "0")
  return s
}

export function fromHex(hex: string): Uint8Array {
  if (hex.length % 2 !== 0 || /[^0-9a-f]/.test(hex)) throw new SynclineError("invalid", `${hex.slice(0, 80)} is not hexadecimal`)
  return Uint8Array.from(hex.match(/../g) ?? [], pair => parseInt(pair, 16))
}

export function toBase64(bytes: Uint8Array): string {
  let s = ""
  for (let i = 0; i < bytes.length; i += 0x8000) s += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(s)
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), c => c.charCodeAt(0))
}

export function randomBytes(n: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(n))
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((v, i) => v === b[i])
}

/** A document's id as people and automerge-repo write it: base58 with a checksum over 16 bytes. */
export type DocumentId = string

/** A new random document id. */
export function newDocumentId(): DocumentId {
  return bs58check.encode(randomBytes(16))
}

/** Reads an id or an `automerge:` URL and gives the id. */
export function parseDocumentId(text: string): DocumentId {
  const id = text.replace(/^automerge:/, "").replace(/[#?].*$/, "")
  const bytes = bs58check.decodeUnsafe(id)
  if (bytes?.length !== 16) throw new SynclineError("invalid", `${text.slice(0, 80)} is not a document id`)
  return id
}

/** The 16 bytes of a document id. */
export function documentBytes(id: DocumentId): Uint8Array {
  return bs58check.decode(parseDocumentId(id))
}
