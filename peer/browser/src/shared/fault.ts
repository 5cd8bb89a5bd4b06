// What kind of thing goes wrong with a remote, and how long to wait then: as the native peer has it.

/** The kinds of errors. Each error has exactly one, and the class alone decides what is done about it. */
export const classes = [
  "resolve", "no-route", "refused", "tls", "timeout", "lost", "protocol", "unauthorised",
  "forbidden", "over-limit", "draining", "storage-full", "internal", "rejected",
] as const

/**
 * - `refused`: no connection could be made. A browser does not tell a page why: `resolve`, `no-route` and
 *   `tls` are here for the native peer's sake.
 * - `timeout`: one end did not hear of the other in time.
 * - `lost`: the connection broke, or was closed without a reason.
 * - `unauthorised`: the remote takes no token, or not this one, or no longer.
 * - `forbidden`: the token does not allow it.
 * - `rejected`: the remote found a change of ours not valid, or we one of its.
 */
export type Class = typeof classes[number]

/** What went wrong, with all that counts for what is done about it. */
export interface Fault {
  class: Class
  reason: string
  /** ms that the other end asks for */
  retryAfter: number
  /** The document can still be received. */
  receives?: boolean
}

/** Reports whether trying again later may help. */
export const mendable = (c: Class): boolean => c !== "unauthorised" && c !== "forbidden" && c !== "rejected"

const byCode: { [code: number]: Class } = {
  1002: "protocol", 1003: "protocol", 1007: "protocol", 1008: "forbidden", 1009: "over-limit", 1010: "protocol",
  1011: "internal", 1012: "draining", 1013: "over-limit",
  4001: "unauthorised", 4002: "unauthorised", 4003: "protocol", 4004: "timeout", 4005: "over-limit", 4006: "draining", 4007: "storage-full",
}

/** The class of a connection that was closed with a code. */
export const classOfCode = (code: number): Class => byCode[code] ?? "lost"

/** What a notice says, or undefined if it says that nothing is wrong that we know of. */
export function faultOfNotice(n: { code: string, message: string, retryAfterMs?: number }): Fault | undefined {
  const c = ({
    unavailable: "forbidden", "read-only": "forbidden", "over-limit": "over-limit", "storage-full": "storage-full",
    "rejected-change": "rejected", draining: "draining",
  } as { [code: string]: Class })[n.code]
  return c && { class: c, reason: `the remote says: ${n.message.slice(0, 200)}`, retryAfter: n.retryAfterMs ?? 0, receives: n.code === "read-only" }
}

/** In ms. */
export const backoffFirst = 1000, backoffMost = 60_000
/** As long as another end may have us wait, in ms. */
const maxRetryAfter = 3_600_000

/** How many times longer a class is waited for. */
const stretch = (c: Class): number => c === "storage-full" ? 15 : ["tls", "protocol", "over-limit", "internal"].includes(c) ? 5 : 1

/**
 * How long to wait after a fault, the last of so many in a row, in ms, with full jitter: drawn evenly from
 * nothing up to a bound that doubles. random is a number in [0, 1). Undefined if trying again would not help.
 */
export function backoff(f: Fault, failures: number, random: number): number | undefined {
  if (!mendable(f.class)) return undefined
  const s = stretch(f.class)
  const bound = Math.min(backoffFirst * s * 2 ** Math.min(failures - 1, 30), backoffMost * s)
  return Math.min(Math.max(f.retryAfter, 0), maxRetryAfter) + random * bound
}
