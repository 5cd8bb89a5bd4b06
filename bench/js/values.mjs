// Documents as JSON and JSON as values, in the one notation that all tests
// share: keys sorted, {$counter}, {$date} in ms, {$bytes} in hex, {$scalar} for
// an immutable string. Read back, {$int}, {$uint} and {$float} also choose a
// number's type.

import * as A from "@automerge/automerge"

/** A document, or any value in it, as plain JSON. */
export function toJSON(value) {
  if (value === null || value === undefined) return null
  if (typeof value !== "object") return typeof value === "bigint" ? Number(value) : value
  if (value instanceof A.Counter) return { $counter: value.value }
  if (value instanceof Date) return { $date: value.getTime() }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("hex") }
  if (A.isImmutableString(value)) return { $scalar: value.toString() }
  if (Array.isArray(value)) return value.map(toJSON)
  const out = {}
  for (const key of Object.keys(value).sort()) out[key] = toJSON(value[key])
  return out
}

/** The value that the notation stands for, to be put into a document. */
export function fromJSON(value) {
  if (value === null || typeof value !== "object") return value
  if (Array.isArray(value)) return value.map(fromJSON)
  const keys = Object.keys(value)
  if (keys.length === 1) {
    const inner = value[keys[0]]
    switch (keys[0]) {
      case "$counter": return new A.Counter(inner)
      case "$date": return new Date(inner)
      case "$bytes": return new Uint8Array(Buffer.from(inner, "hex"))
      case "$scalar": return new A.ImmutableString(inner)
      case "$int": return new A.Int(inner)
      case "$uint": return new A.Uint(inner)
      case "$float": return new A.Float64(inner)
    }
  }
  return Object.fromEntries(keys.map(key => [key, fromJSON(value[key])]))
}

/** Heads and content of a document; the form that two replicas must share. */
export function dump(doc) {
  return { heads: [...A.getHeads(doc)].sort(), doc: toJSON(A.toJS(doc)) }
}
