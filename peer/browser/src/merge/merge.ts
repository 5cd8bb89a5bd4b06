import { compare, isDate, kind, kindOf, same, type Node } from "./node.js"

// Chooses one value out of those that concurrent changes have given a field. The rules are those of the Go package
// crdt/merge, whose comment says what each means, and whose vectors both must agree on.

/** One of the values that concurrent changes have given a field. */
export interface Candidate {
  /** Of the operation: `counter@actor`. */
  id: string
  /** Of its change, in seconds since 1970. */
  time: bigint
  value: Node
}

export type Reason = "" | "no-rule" | "misfit" | "counter-set" | "entries-differ" | "asked" | "unknown-function" | "function-failed"

/** What a set is read as. */
export interface Merged {
  value: Node
  /** There is more than one value. */
  conflict: boolean
  /** The rule has decided, and nothing is left for a person. */
  settled: boolean
  /** Why it is not settled. */
  reason: Reason
  /** The operations whose value it is; if it is nobody's, those that it is made of. */
  from: string[]
  /** The operations whose values the rule was not made for. */
  misfits: string[]
}

/** A rule: "" for none, `winner`, `counter`, `max`, `min`, `union`, `ranked` (with its states), `last`, `first`, `all`, or `name@version` of the app. */
export interface Rule { name: string, states?: readonly string[] }

/** A function of the app: its result may depend on nothing but the set, or peers differ. */
export type MergeFunction = (set: readonly Candidate[]) => { value: Node, settled: boolean }

interface Choice { value: Node, of: Candidate[], misfits?: Candidate[], reason?: Reason }

/** Reads a set. functions are the app's, by `name@version`. */
export function mergeSet(rule: Rule, given: readonly Candidate[], functions: { [rule: string]: MergeFunction } = {}): Merged {
  const set = ordered(given)
  const last = set.at(-1)
  if (!last || set.every(c => same(c.value, set[0]!.value))) {
    const value: Node = !last ? { type: "null" } : rule.name === "all" ? { type: "list", value: [last.value] } : last.value
    return { value, conflict: false, settled: true, reason: "", from: [], misfits: [] }
  }
  const c = choose(rule, set, functions)
  const misfits = c.misfits ?? []
  const reason: Reason = c.reason || (misfits.length > 0 ? "misfit" : "")
  const own = set.filter(m => same(m.value, c.value))
  const ids = (l: Candidate[]): string[] => l.map(m => m.id)
  return { value: c.value, conflict: true, settled: reason === "", reason, from: ids(own.length > 0 ? own : c.of), misfits: ids(misfits) }
}

/** Orders operation ids as the core does: the larger of concurrent ones wins. */
export function compareIds(a: string, b: string): number {
  const [n, actor] = split(a), [m, other] = split(b)
  return n < m ? -1 : n > m ? 1 : actor < other ? -1 : actor > other ? 1 : 0
}

const split = (id: string): [bigint, string] => {
  const at = id.indexOf("@")
  return [BigInt(id.slice(0, at)), id.slice(at + 1)]
}

/** In the order of ids, each once; of one that comes with two values, which only a mistake can bring about, the larger one. */
function ordered(given: readonly Candidate[]): Candidate[] {
  const byTimeAlone = (a: Candidate, b: Candidate): number => a.time < b.time ? -1 : a.time > b.time ? 1 : 0
  return given.toSorted((a, b) => compareIds(a.id, b.id) || -(compare(a.value, b.value) || byTimeAlone(a, b)))
    .filter((c, i, all) => i === 0 || all[i - 1]!.id !== c.id)
}

const winner = (set: Candidate[]): Candidate => set.at(-1)!
const pick = (c: Candidate, reason: Reason = ""): Choice => ({ value: c.value, of: [c], reason })
/** The best of a set: of those that are as good, the one with the larger id. */
const best = (set: Candidate[], better: (a: Candidate, b: Candidate) => number): Candidate => set.reduce((b, c) => better(c, b) >= 0 ? c : b)

function choose(rule: Rule, set: Candidate[], functions: { [rule: string]: MergeFunction }): Choice {
  const byValue = (a: Candidate, b: Candidate): number => compare(a.value, b.value)
  switch (rule.name) {
    case "": return pick(winner(set), "no-rule")
    case "winner": return pick(winner(set))
    case "last": return pick(best(set, byTime))
    case "first": return pick(best(set, (a, b) => -byTime(a, b)))
    case "all": return { value: { type: "list", value: distinct(set) }, of: set, reason: "asked" }
    case "counter": return among(set, v => v.type === "counter", fit => pick(winner(fit), fit.every(c => same(c.value, fit[0]!.value)) ? "" : "counter-set"))
    case "max": return among(set, comparable(set), fit => pick(best(fit, byValue)))
    case "min": return among(set, comparable(set), fit => pick(best(fit, (a, b) => -byValue(a, b))))
    case "ranked": {
      const rank = (v: Node): number => v.type === "text" || v.type === "str" ? (rule.states ?? []).indexOf(v.value) : -1
      return among(set, v => rank(v) >= 0, fit => pick(best(fit, (a, b) => rank(a.value) - rank(b.value))))
    }
    case "union": return union(set)
  }
  const f = functions[rule.name]
  if (!f) return pick(winner(set), "unknown-function")
  try {
    const { value, settled } = f(set)
    kindOf(value).toFixed() // what is no value fails here
    return { value, of: set, reason: settled ? "" : "asked" }
  } catch {
    return pick(winner(set), "function-failed")
  }
}

/** Lets a rule choose among the candidates that fit it. */
function among(set: Candidate[], fits: (v: Node) => boolean, choice: (fit: Candidate[]) => Choice): Choice {
  const fit = set.filter(c => fits(c.value)), misfits = set.filter(c => !fits(c.value))
  return fit.length === 0 ? { value: winner(set).value, of: [], misfits } : { ...choice(fit), misfits }
}

/** What JavaScript counts exactly, in seconds; times beyond it are taken as that. */
const maxTime = 2n ** 53n - 1n

function byTime(a: Candidate, b: Candidate): number {
  const counted = (t: bigint): bigint => t > maxTime ? maxTime : t < -maxTime ? -maxTime : t
  const x = counted(a.time), y = counted(b.time)
  return x < y ? -1 : x > y ? 1 : compareIds(a.id, b.id)
}

/** The values of a set in their order, each once, as the largest id wrote it. */
function distinct(set: readonly Candidate[]): Node[] {
  return set.toReversed().sort((a, b) => compare(a.value, b.value)).filter((c, i, all) => i === 0 || !same(all[i - 1]!.value, c.value)).map(c => c.value)
}

/** What fits max and min: the values of the first of these kinds that the set has. */
function comparable(set: Candidate[]): (v: Node) => boolean {
  const hasPlace = (v: Node): boolean => v.type === "f64" ? !Number.isNaN(v.value) : v.type === "timestamp" ? isDate(v.value) : true
  for (const k of [kind.number, kind.time, kind.text, kind.bytes, kind.bool]) {
    const fits = (v: Node): boolean => kindOf(v) === k && hasPlace(v)
    if (set.some(c => fits(c.value))) return fits
  }
  return () => false
}

/** Of lists or of maps, whichever the larger id has written. */
function union(set: Candidate[]): Choice {
  const decides = set.findLast(c => c.value.type === "list" || c.value.type === "map")
  return decides?.value.type === "map"
    ? among(set, v => v.type === "map", unionOfMaps)
    : among(set, v => v.type === "list", unionOfLists)
}

function unionOfLists(set: Candidate[]): Choice {
  const elements = (c: Candidate): Node[] => (c.value as Node & { type: "list" }).value
  const all = elements(winner(set))
  const others = set.flatMap(c => elements(c).filter(e => !all.some(a => same(a, e))).map(value => ({ id: c.id, time: c.time, value })))
  return { value: { type: "list", value: [...all, ...distinct(others)] }, of: set }
}

function unionOfMaps(set: Candidate[]): Choice {
  const all = new Map<string, Node>()
  let reason: Reason = ""
  for (const c of set) {
    for (const [k, v] of (c.value as Node & { type: "map" }).value) {
      const old = all.get(k)
      if (old && !same(old, v)) reason = "entries-differ"
      all.set(k, v)
    }
  }
  return { value: { type: "map", value: all }, of: set, reason }
}
