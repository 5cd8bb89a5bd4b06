import { toBase64 } from "../shared/bytes.js"
import { compareKeys } from "../shared/values.js"
import { SynclineError } from "../shared/errors.js"
import type { Step } from "../shared/operations.js"
import type { Handle } from "./core.js"

/** What is read of a document: plain values that a page can be sent. */
export type Plain = string | number | bigint | boolean | null | Uint8Array | Date | Plain[] | { [key: string]: Plain }

/** Makes what the core gives plain: counters are numbers, immutable strings strings; keys are in order. */
export function plain(v: unknown): Plain {
  if (v === null || v === undefined) return null
  if (typeof v !== "object") return v as Plain
  if (v instanceof Uint8Array || v instanceof Date) return v
  if (Array.isArray(v)) return v.map(plain)
  if (Object.getPrototypeOf(v) !== Object.prototype) {
    // The core's own classes, of whichever load of it: a counter and an immutable string.
    if ("val" in v) return v.val as string
    if ("value" in v) return v.value as number
  }
  return Object.fromEntries(Object.entries(v).sort(([a], [b]) => compareKeys(a, b)).map(([k, e]) => [k, plain(e)]))
}

/** Writes a plain value as JSON, as the native peer does: bytes as base64, whole numbers with all digits. */
export function toJSON(v: Plain): string {
  if (v === null || typeof v === "boolean") return String(v)
  if (typeof v === "bigint") return String(v)
  if (typeof v === "number") return Number.isFinite(v) ? String(v) : "null"
  if (typeof v === "string") return JSON.stringify(v)
  if (v instanceof Uint8Array) return `"${toBase64(v)}"`
  if (v instanceof Date) return Number.isNaN(v.getTime()) ? "null" : JSON.stringify(v)
  if (Array.isArray(v)) return `[${v.map(toJSON).join()}]`
  return `{${Object.entries(v).map(([k, e]) => `${JSON.stringify(k)}:${toJSON(e)}`).join()}}`
}

/** Reads what is at a path, or undefined. No path: the whole document. */
export function readAt(h: Handle, path: readonly Step[], heads?: string[]): Plain | undefined {
  let obj = "_root"
  for (const [i, step] of path.entries()) {
    const v = h.getWithType(obj, step as never, heads) as [string, unknown] | null
    if (!v) return undefined
    const [kind, value] = v
    if (kind === "map" || kind === "table" || kind === "list") { obj = value as string; continue }
    if (i < path.length - 1) return undefined
    return kind === "text" ? h.text(value as string, heads) : plain(value)
  }
  return plain(h.materialize(obj, heads))
}

/** All values that concurrent changes have given a place; the last one is what is read. */
export function conflictsAt(h: Handle, path: readonly Step[]): { id: string, value: Plain }[] {
  const last = path.at(-1)
  if (last === undefined) throw new SynclineError("invalid", "conflicts are asked for at a path")
  let obj = "_root"
  for (const step of path.slice(0, -1)) {
    const v = h.getWithType(obj, step as never) as [string, unknown] | null
    if (!v || !["map", "table", "list"].includes(v[0])) return []
    obj = v[1] as string
  }
  return h.getAll(obj, last as never).map(entry => {
    const [kind, value, id] = entry as unknown as [string, unknown, string]
    // A composite is its own operation.
    if (kind === "map" || kind === "table" || kind === "list") return { id: value as string, value: plain(h.materialize(value as string)) }
    if (kind === "text") return { id: value as string, value: h.text(value as string) }
    return { id, value: plain(value) }
  })
}
