import { fromBase64, toBase64 } from "./bytes.js"
import { SynclineError } from "./errors.js"

// The values of a document, as an app writes them:
//
//   string              text: a mutable sequence of characters
//   number              int if it is whole, else float64; see Float and Uint
//   bigint              int, or uint if it is too large for 64 signed bits
//   boolean, null, Uint8Array
//   Date                a timestamp in milliseconds
//   Counter             a number that concurrent increments add up in
//   Scalar              an immutable string, replaced as a whole
//   arrays and plain objects of the same
//
// What is read back are plain values: a Counter is a number, a Scalar a string.

/** A number that is incremented and not replaced: concurrent increments add up. */
export class Counter { constructor(readonly value: number | bigint) {} }
/** A float64 even if it is whole. */
export class Float { constructor(readonly value: number) {} }
/** An unsigned integer. */
export class Uint { constructor(readonly value: number | bigint) {} }
/** An immutable string, which has no positions and is replaced as a whole. */
export class Scalar { constructor(readonly value: string) {} }

/** A value that an app writes. */
export type Value =
  | string | number | bigint | boolean | null | Uint8Array | Date | Counter | Float | Uint | Scalar
  | readonly Value[] | { readonly [key: string]: Value }

/** How deep maps and lists may be nested in each other, from the root on. */
export const maxDepth = 1000
/** The largest timestamp on either side of 1970, in milliseconds. */
const maxMillis = 8.64e15
const minInt = -(2n ** 63n), maxInt = 2n ** 63n - 1n, maxUint = 2n ** 64n - 1n

/** What the core calls a scalar, or the kind of a composite. */
export type Typed =
  | { type: "map", entries: [string, Value][] }
  | { type: "list", items: readonly Value[] }
  | { type: "text", text: string }
  | { type: "int" | "uint" | "f64" | "counter" | "str" | "bytes" | "timestamp" | "boolean" | "null", value: unknown }

function integer(type: "int" | "uint" | "counter", v: number | bigint): Typed {
  const n = typeof v === "bigint" ? v : Number.isInteger(v) ? BigInt(v) : undefined
  const fits = n !== undefined && (type === "uint" ? n >= 0n && n <= maxUint : n >= minInt && n <= maxInt)
  if (!fits) throw new SynclineError("invalid", `${v} is no ${type} of 64 bits`)
  return { type, value: n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n }
}

function plain(v: object): v is { [key: string]: Value } {
  const proto: unknown = Object.getPrototypeOf(v)
  return proto === Object.prototype || proto === null
}

/** Says what a value is for the core. It does not look inside of maps and lists. */
export function typed(v: Value): Typed {
  switch (typeof v) {
    case "string":
      if (!v.isWellFormed()) throw new SynclineError("invalid", "a string with half a surrogate pair")
      return { type: "text", text: v }
    case "boolean": return { type: "boolean", value: v }
    case "bigint": return integer(v > maxInt ? "uint" : "int", v)
    case "number": return Number.isSafeInteger(v) && !Object.is(v, -0) ? { type: "int", value: v } : { type: "f64", value: v }
  }
  if (v === null) return { type: "null", value: null }
  if (v instanceof Counter) return integer("counter", v.value)
  if (v instanceof Uint) return integer("uint", v.value)
  if (v instanceof Float) return { type: "f64", value: v.value }
  if (v instanceof Scalar) {
    if (!v.value.isWellFormed()) throw new SynclineError("invalid", "a string with half a surrogate pair")
    return { type: "str", value: v.value }
  }
  if (v instanceof Uint8Array) return { type: "bytes", value: v }
  if (v instanceof Date) {
    if (!(Math.abs(v.getTime()) <= maxMillis)) throw new SynclineError("invalid", "a date that is none")
    return { type: "timestamp", value: v }
  }
  if (Array.isArray(v)) return { type: "list", items: v as readonly Value[] }
  if (typeof v === "object" && plain(v)) return { type: "map", entries: Object.entries(v) }
  throw new SynclineError("invalid", `a value that no document can hold: ${Object.prototype.toString.call(v)}`)
}

/** A value in the JSON of operations, which keeps types: see the Go package crdt, operation_json.go. */
export function toTypedJSON(v: Value): string {
  const t = typed(v)
  switch (t.type) {
    case "map": return t.entries.length === 1 && t.entries[0]![0].startsWith("$") ? `{"$map":${entriesJSON(t.entries)}}` : entriesJSON(t.entries)
    case "list": return `[${t.items.map(toTypedJSON).join()}]`
    case "text": return JSON.stringify(t.text)
    case "int": return String(t.value)
    case "uint": return (t.value as number | bigint) > maxInt ? String(t.value) : `{"$uint":${t.value}}`
    case "counter": return `{"$counter":${t.value}}`
    case "str": return `{"$scalar":${JSON.stringify(t.value)}}`
    case "bytes": return `{"$bytes":"${toBase64(t.value as Uint8Array)}"}`
    case "timestamp": return `{"$time":"${(t.value as Date).toISOString()}"}`
    case "f64": {
      const f = t.value as number
      if (!Number.isFinite(f)) return `{"$float":"${f}"}`
      const s = Object.is(f, -0) ? "-0" : String(f)
      return /[.e]/.test(s) ? s : `${s}.0`
    }
    default: return String(t.value)
  }
}

/** Writes a map whose keys are no tags. */
export function entriesJSON(entries: [string, Value][]): string {
  return `{${entries.toSorted(([a], [b]) => compareKeys(a, b)).map(([k, e]) => `${JSON.stringify(k)}:${toTypedJSON(e)}`).join()}}`
}

/** Orders keys by their UTF-8 bytes, as Go does. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0
  const x = [...a], y = [...b]
  for (let i = 0; i < x.length && i < y.length; i++) {
    const d = x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!
    if (d !== 0) return d
  }
  return x.length - y.length
}

type Source = { source?: string }

/** Reads a value as it stands in the JSON of operations. Numbers keep whether they are whole. */
export function parseTypedJSON(text: string): Value {
  return untag(parseNumbers(text))
}

/** Reads JSON whose numbers keep whether they are whole, and leaves tags alone. */
export function parseNumbers(text: string): Value {
  // The reviver's third argument has a number's own digits; without it (older engines) 5.0 reads as 5.
  const revive = (_key: string, v: unknown, context?: Source): unknown => typeof v === "number" ? number(v, context?.source) : v
  return JSON.parse(text, revive as (key: string, v: unknown) => unknown) as Value
}

/** Gives values their types that are tagged. */
export function untag(v: Value): Value {
  if (Array.isArray(v)) return (v as Value[]).map(untag)
  if (v === null || typeof v !== "object" || !plain(v)) return v
  const found = tagged(v)
  return found === v ? untagEntries(v) : found
}

/** As untag, of a map that is no tag itself whatever its keys are. */
export function untagEntries(v: { [key: string]: Value }): { [key: string]: Value } {
  return Object.fromEntries(Object.entries(v).map(([k, e]) => [k, untag(e)]))
}

function number(v: number, source: string | undefined): Value {
  if (source === undefined) return v
  if (/[.eE]/.test(source)) return Number.isSafeInteger(v) ? new Float(v) : v
  const n = BigInt(source)
  if (n > maxUint || n < minInt) throw new SynclineError("invalid", `the whole number ${source.slice(0, 40)} does not fit 64 bits`)
  return Number.isSafeInteger(v) ? v : n
}

function tagged(v: { [key: string]: Value }): Value {
  const keys = Object.keys(v)
  if (keys.length !== 1 || !keys[0]!.startsWith("$")) return v
  const tag = keys[0]!, of = v[tag]!
  if (tag === "$uint" && (typeof of === "number" || typeof of === "bigint")) return new Uint(of)
  if (tag === "$counter" && (typeof of === "number" || typeof of === "bigint")) return new Counter(of)
  if (tag === "$f64" && typeof of === "number") return new Float(of)
  if (tag === "$float" && typeof of === "string" && /^(NaN|-?Infinity)$/.test(of)) return Number(of)
  if (tag === "$time" && typeof of === "string" && !Number.isNaN(Date.parse(of))) return new Date(of)
  if (tag === "$bytes" && typeof of === "string") return fromBase64(of)
  if (tag === "$scalar" && typeof of === "string") return new Scalar(of)
  if (tag === "$map" && of !== null && typeof of === "object" && plain(of)) return untagEntries(of)
  throw new SynclineError("invalid", `{${JSON.stringify(tag)}: …}: want $uint, $counter, $float, $time, $bytes, $scalar or $map with a fitting value`)
}

/**
 * A value whose classes survive the way between a page and a worker, where only plain objects do: as tags. A
 * Float has one of its own, {"$f64": 5}, as numbers in the JSON of operations need none.
 */
export function portable(v: Value): Value {
  if (v instanceof Counter) return { $counter: v.value }
  if (v instanceof Uint) return { $uint: v.value }
  if (v instanceof Float) return { $f64: v.value }
  if (v instanceof Scalar) return { $scalar: v.value }
  if (v === null || typeof v !== "object" || v instanceof Uint8Array || v instanceof Date) return v
  if (Array.isArray(v)) return (v as Value[]).map(portable)
  const keys = Object.keys(v)
  return keys.length === 1 && keys[0]!.startsWith("$") ? { $map: portableEntries(v as { [key: string]: Value }) } : portableEntries(v as { [key: string]: Value })
}

/** As portable, of a map that is no tag whatever its keys are. */
export function portableEntries(v: { [key: string]: Value }): { [key: string]: Value } {
  return Object.fromEntries(Object.entries(v).map(([k, e]) => [k, portable(e)]))
}
