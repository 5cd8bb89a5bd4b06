// Worker: what sets of concurrent values are read as, by code that shares nothing
// with Go's. The rules stand in the comments of the Go packages crdt/merge and
// crdt/value; values are in the notation of their vectors.

import { serve } from "./protocol.mjs"

const kinds = ["null", "bool", "number", "time", "text", "bytes", "list", "map", "counter", "unknown"]
const maxMillis = 8_640_000_000_000_000n
const maxTime = 2n ** 53n - 1n

/** A described value with its kind and what it compares by; raw is how it was written. */
function read(raw) {
  const value = (kind, v, type = kind) => ({ kind: kinds.indexOf(kind), v, type, raw })
  if (raw === null) return value("null")
  if (typeof raw === "boolean") return value("bool", raw ? 1 : 0)
  if (typeof raw === "string") return value("text", Buffer.from(raw))
  if (Array.isArray(raw)) return value("list", raw.map(read))
  const [[type, inner]] = Object.entries(raw)
  switch (type) {
    case "int": case "uint": return value("number", BigInt(inner), type)
    case "float": return value("number", Number(inner), type)
    case "bits": return value("number", Buffer.from(inner, "hex").readDoubleBE(), "float")
    case "scalar": return value("text", Buffer.from(inner), type)
    case "time": return value("time", BigInt(inner))
    case "bytes": return value("bytes", Buffer.from(inner, "hex"))
    case "counter": return value("counter", BigInt(inner))
    case "unknown": return value("unknown", [inner[0], Buffer.from(inner[1], "hex")])
    case "map": return value("map", inner.map(([k, v]) => [Buffer.from(k), read(v)]).sort(([a], [b]) => Buffer.compare(a, b)))
  }
  throw new Error(`no such kind of value: ${type}`)
}

const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
const isDate = ms => ms >= -maxMillis && ms <= maxMillis

/** Numbers by their amount: a BigInt and a Number compare without rounding. */
function compareNumbers(a, b) {
  const [nan, alsoNaN] = [Number.isNaN(a), Number.isNaN(b)]
  if (nan || alsoNaN) return order(!nan, !alsoNaN)
  const rank = n => (typeof n === "bigint" ? 0 : Object.is(n, -0) ? 1 : 2)
  return order(a, b) || order(rank(a), rank(b))
}

function compareLists(a, b, each) {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const c = each(a[i], b[i])
    if (c) return c
  }
  return order(a.length, b.length)
}

function compare(a, b) {
  if (a.kind !== b.kind) return order(a.kind, b.kind)
  switch (kinds[a.kind]) {
    case "null": return 0
    case "number": return compareNumbers(a.v, b.v)
    case "time": return order(isDate(a.v), isDate(b.v)) || (isDate(a.v) ? order(a.v, b.v) : 0)
    case "text": case "bytes": return Buffer.compare(a.v, b.v)
    case "list": return compareLists(a.v, b.v, compare)
    case "map": return compareLists(a.v, b.v, ([k, v], [l, w]) => Buffer.compare(k, l) || compare(v, w))
    case "unknown": return order(a.v[0], b.v[0]) || Buffer.compare(a.v[1], b.v[1])
  }
  return order(a.v, b.v) // bool, counter
}

const equal = (a, b) => compare(a, b) === 0

function readID(id) {
  const [counter, actor] = id.split("@")
  return [BigInt(counter), Buffer.from(actor, "hex")]
}
const compareIDs = ([c, a], [d, b]) => order(c, d) || Buffer.compare(a, b)

/** The candidates in the order of their ids, each once. */
function ordered(set) {
  const all = set.map(c => ({ ...c, at: readID(c.id), seconds: BigInt(c.time), value: read(c.value) }))
  all.sort((a, b) => compareIDs(a.at, b.at) || compare(b.value, a.value) || order(b.seconds, a.seconds))
  return all.filter((c, i) => i === 0 || c.id !== all[i - 1].id)
}

const last = set => set[set.length - 1]
const clamp = t => (t > maxTime ? maxTime : t < -maxTime ? -maxTime : t)
/** The candidate that comes last, of equal ones that of the larger id. */
const best = (set, by) => set.reduce((best, c) => (by(c, best) >= 0 ? c : best))

/** The different values, ascending, each as the largest id has it. */
function distinct(items) {
  const sorted = items.toReversed().sort(compare) // stable
  return sorted.filter((v, i) => i === 0 || !equal(v, sorted[i - 1]))
}

function among(set, fits, choose) {
  const fit = set.filter(c => fits(c.value))
  const misfits = set.filter(c => !fits(c.value))
  if (!fit.length) return { raw: last(set).value.raw, of: [], misfits }
  return { ...choose(fit), misfits }
}

const one = (c, reason = "") => ({ raw: c.value.raw, of: [c], reason })
const isKind = kind => v => kinds[v.kind] === kind

function ordering(set) {
  for (const kind of ["number", "time", "text", "bytes", "bool"]) {
    const fits = v => kinds[v.kind] === kind && !Number.isNaN(v.v) && (kind !== "time" || isDate(v.v))
    if (set.some(c => fits(c.value))) return fits
  }
  return () => false
}

function unionOfLists(set) {
  const own = last(set).value.v
  const others = set.flatMap(c => c.value.v).filter(e => !own.some(o => equal(o, e)))
  return { raw: [...own, ...distinct(others)].map(v => v.raw), of: set, reason: "" }
}

function unionOfMaps(set) {
  const all = new Map()
  let reason = ""
  for (const c of set) {
    for (const [key, v] of c.value.v) {
      const name = key.toString()
      if (all.has(name) && !equal(all.get(name), v)) reason = "entries-differ"
      all.set(name, v)
    }
  }
  const entries = [...all].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return { raw: { map: entries.map(([k, v]) => [k, v.raw]) }, of: set, reason }
}

/** The functions that the vectors name. */
const functions = {
  "sum@1": set => {
    if (!set.every(c => c.value.type === "int")) throw new Error("not an int")
    return [{ int: BigInt.asIntN(64, set.reduce((n, c) => n + c.value.v, 0n)).toString() }, true]
  },
  "longest@1": set => {
    if (!set.every(c => c.value.type === "text")) throw new Error("not a text")
    const length = c => [...c.value.raw].length
    const chosen = best(set, (a, b) => length(a) - length(b))
    return [chosen.value.raw, set.filter(c => length(c) === length(chosen)).length === 1]
  },
}

function call(name, set) {
  if (!functions[name]) return one(last(set), "unknown-function")
  try {
    const [raw, settled] = functions[name](set)
    return { raw, of: set, reason: settled ? "" : "asked" }
  } catch {
    return one(last(set), "function-failed")
  }
}

function choose(rule, states, set) {
  const byValue = (a, b) => compare(a.value, b.value)
  const byTime = (a, b) => order(clamp(a.seconds), clamp(b.seconds)) || compareIDs(a.at, b.at)
  const rank = v => (kinds[v.kind] === "text" ? states.indexOf(v.v.toString()) : -1)
  switch (rule) {
    case "": return one(last(set), "no-rule")
    case "winner": return one(last(set))
    case "last": return one(best(set, byTime))
    case "first": return one(best(set, (a, b) => byTime(b, a)))
    case "max": return among(set, ordering(set), fit => one(best(fit, byValue)))
    case "min": return among(set, ordering(set), fit => one(best(fit, (a, b) => byValue(b, a))))
    case "ranked": return among(set, v => rank(v) >= 0, fit => one(best(fit, (a, b) => rank(a.value) - rank(b.value))))
    case "all": return { raw: distinct(set.map(c => c.value)).map(v => v.raw), of: set, reason: "asked" }
    case "counter":
      return among(set, isKind("counter"), fit => one(last(fit), fit.every(c => equal(c.value, fit[0].value)) ? "" : "counter-set"))
    case "union": {
      const kind = set.map(c => kinds[c.value.kind]).findLast(k => k === "list" || k === "map") ?? "list"
      return among(set, isKind(kind), kind === "list" ? unionOfLists : unionOfMaps)
    }
  }
  return call(rule, set)
}

function merge({ rule, states = [], set: given }) {
  const set = ordered(given)
  if (set.every(c => equal(c.value, set[0].value))) {
    const raw = set.length ? last(set).value.raw : null
    return { value: rule === "all" && set.length ? [raw] : raw, conflict: false, settled: true, reason: "", from: [], misfits: [] }
  }
  const { raw, of, misfits = [], reason: own = "" } = choose(rule, states, set)
  const reason = own || (misfits.length ? "misfit" : "")
  const writers = set.filter(c => equal(c.value, read(raw)))
  const ids = candidates => candidates.map(c => c.id)
  return { value: raw, conflict: true, settled: !reason, reason, from: ids(writers.length ? writers : of), misfits: ids(misfits) }
}

serve({
  /** Sets as in crdt/merge/testdata/vectors.json, read. */
  merge: ({ vectors }) => ({ results: vectors.map(merge) }),

  /** Whether values ascend. */
  ascend: ({ values }) => {
    const all = values.map(read)
    return { ascend: all.every((a, i) => all.every((b, j) => compare(a, b) === order(i, j))) }
  },
})
