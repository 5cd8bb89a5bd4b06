import { compareKeys } from "../shared/values.js"

/**
 * A value of a document with its exact type, which JavaScript's own values would lose: numbers are bigint if they
 * are whole in the document, times are in milliseconds.
 */
export type Node =
  | { type: "null" }
  | { type: "boolean", value: boolean }
  | { type: "int" | "uint" | "counter" | "timestamp", value: bigint }
  | { type: "f64", value: number }
  | { type: "text" | "str", value: string }
  | { type: "bytes", value: Uint8Array }
  | { type: "list", value: Node[] }
  | { type: "map", value: Map<string, Node> }
  | { type: "unknown", code: number, value: Uint8Array }

/** What kind of value it is, as the order sees it: all numbers are one kind, and both kinds of strings. */
const kinds: { [t in Node["type"]]: number } = {
  null: 0, boolean: 1, int: 2, uint: 2, f64: 2, timestamp: 3, text: 4, str: 4, bytes: 5, list: 6, map: 7, counter: 8, unknown: 9,
}
export const kindOf = (n: Node): number => kinds[n.type]
export const kind = { bool: 1, number: 2, time: 3, text: 4, bytes: 5, list: 6, map: 7, counter: 8 } as const

const maxMillis = 8_640_000_000_000_000n
export const isDate = (ms: bigint): boolean => ms >= -maxMillis && ms <= maxMillis

type Ordered = string | number | bigint | boolean
const order = <T extends Ordered>(a: T, b: Ordered): number => a < (b as T) ? -1 : a > (b as T) ? 1 : 0

/** A total order over all values, the same as the Go package crdt/value has. Two values of which none comes first are one value. */
export function compare(a: Node, b: Node): number {
  const k = kindOf(a) - kindOf(b)
  if (k !== 0) return k
  switch (a.type) {
    case "null": return 0
    case "boolean": case "counter": return order(a.value, (b as typeof a).value)
    case "int": case "uint": case "f64": return compareNumbers(a.value, (b as typeof a).value)
    case "timestamp": {
      const other = (b as typeof a).value
      return order(isDate(a.value), isDate(other)) || (isDate(a.value) ? order(a.value, other) : 0)
    }
    case "text": case "str": return compareKeys(a.value, (b as typeof a).value)
    case "bytes": return compareLists([...a.value], [...(b as typeof a).value], order)
    case "list": return compareLists(a.value, (b as typeof a).value, compare)
    case "map": return compareLists(entries(a.value), entries((b as typeof a).value), ([k1, v1], [k2, v2]) => compareKeys(k1, k2) || compare(v1, v2))
    case "unknown": {
      const other = b as typeof a
      return order(a.code, other.code) || compareLists([...a.value], [...other.value], order)
    }
  }
}

export const same = (a: Node, b: Node): boolean => compare(a, b) === 0

const entries = (m: Map<string, Node>): [string, Node][] => [...m].sort(([a], [b]) => compareKeys(a, b))

function compareLists<T>(a: T[], b: T[], each: (x: T, y: T) => number): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const c = each(a[i]!, b[i]!)
    if (c !== 0) return c
  }
  return order(a.length, b.length)
}

/** By the exact amount: JavaScript compares a bigint with a number without rounding. Of one amount, the whole number is first, then -0. */
function compareNumbers(a: bigint | number, b: bigint | number): number {
  const nan = Number.isNaN(a), other = Number.isNaN(b)
  if (nan || other) return order(!nan, !other)
  const rank = (n: bigint | number): number => typeof n === "bigint" ? 0 : Object.is(n, -0) ? 1 : 2
  return order(a, b) || order(rank(a), rank(b))
}
