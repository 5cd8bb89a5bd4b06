import * as Automerge from "@automerge/automerge/slim"
import { ApiHandler } from "automerge-low-level"

/**
 * The CRDT core: WebAssembly, of which a panic leaves nothing that may be used again. So it lives in a module
 * of its own that can be loaded more than once: see core-loader.ts.
 */
export const core = { ...Automerge, low: ApiHandler }

export type Core = typeof core

/** The core's own document, beside which there is no copy of its content in JavaScript. */
export type Handle = ReturnType<Core["getBackend"]>

/** The core's own sync state. */
export type SyncState = ReturnType<Core["low"]["initSyncState"]>
