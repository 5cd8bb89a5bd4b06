/**
 * What an error is about, for programs. The words are the native peer's where it has them.
 *
 * - `invalid`: no document could carry the operation out, or a call that makes no sense.
 * - `not-found`, `exists`, `kind`, `range`: the operation does not fit what is in the document.
 * - `no-change`: the document is already as the operations would have it; nothing was written.
 * - `too-large`, `too-deep`: more than one change may hold.
 * - `storage-full`: the disk or the origin's quota is full; the edit was refused and nothing is lost.
 * - `storage`: the store failed in another way; the edit was refused.
 * - `unavailable`: nobody who could be asked has the document, or nobody answered in time.
 * - `read-only`: SQL that is more than reading.
 * - `sql`: SQL that SQLite does not understand.
 * - `quarantined`: the change ended the CRDT core and was put aside; the document is as it was before.
 * - `closed`: the peer was closed or wiped.
 * - `internal`: a defect.
 */
export type ErrorCode =
  | "invalid" | "not-found" | "exists" | "kind" | "range" | "no-change" | "too-large" | "too-deep"
  | "storage-full" | "storage" | "unavailable" | "read-only" | "sql" | "quarantined" | "closed" | "internal"

/** Every error that this package throws or rejects with. */
export class SynclineError extends Error {
  override readonly name = "SynclineError"
  constructor(readonly code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
  }
}

/** An error as it crosses from a worker to a page. */
export interface ErrorData { code: ErrorCode, message: string }

export function errorData(error: unknown): ErrorData {
  if (error instanceof SynclineError) return { code: error.code, message: error.message }
  return { code: "internal", message: error instanceof Error ? error.message : String(error) }
}

export function errorFrom(data: ErrorData): SynclineError {
  return new SynclineError(data.code, data.message)
}
