import type { ErrorData } from "./errors.js"
import type { WorkerOptions } from "./api.js"

// What goes between a page, its own worker, and the worker of the tab that owns the store.

/** Page to worker. The worker hands calls on to the owner, which may be itself. */
export type ToWorker =
  | { kind: "start", options: WorkerOptions }
  | Call
  /** The tab is seen again, or the like: try the remotes at once. */
  | { kind: "stop" }

export interface Call { kind: "call", id: string, method: string, params: unknown }

/** Worker to page. */
export type FromWorker =
  /** There is an owner, this one or another; what was not answered by the last one is to be asked again. */
  | { kind: "owner", epoch: string }
  | { kind: "reply", id: string, result?: unknown, error?: ErrorData }
  | { kind: "event", event: string, data: unknown }
  /** The store could not be opened. */
  | { kind: "failed", error: ErrorData }

/** Between workers, on BroadcastChannels. */
export type Between =
  | { kind: "owner" }
  | { kind: "hello", tab: string }
  | { kind: "goodbye", tab: string }
  | { kind: "ping", tab: string, n: number }
  | { kind: "pong", n: number }
  | { kind: "wiped" }
  | { kind: "call", tab: string, call: Call }
  | { kind: "to-page", message: FromWorker }

export const ownerChannel = (name: string): string => `syncline:${name}:owner`
export const tabChannel = (name: string, tab: string): string => `syncline:${name}:tab:${tab}`
export const allChannel = (name: string): string => `syncline:${name}:all`
