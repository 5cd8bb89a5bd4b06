// What concurrent values of the inventory's fields are read as. The document keeps all of them until somebody writes
// again; the rules are the library's, and the native peer's.
import type { Candidate, Merged, Node, Rule } from "../src/index.ts"

/** From the least to the most. */
export const stages = ["planned", "ordered", "shipped", "stored"]

/** A rule, and what it means to people. */
export const rules: { [field: string]: { rule: Rule, meaning: string } } = {
  price: { rule: { name: "max" }, meaning: "the largest wins" },
  stage: { rule: { name: "ranked", states: stages }, meaning: "the furthest wins" },
  tags: { rule: { name: "union" }, meaning: "all are kept" },
}

/** A field that concurrent changes have given several values. */
export interface Contested {
  field: string
  meaning: string
  set: { author: string, shown: string, chosen: boolean }[]
  /** What the rule makes of them. */
  value: unknown
}

export function contested(field: string, set: readonly Candidate[], merged: Merged): Contested {
  return {
    field, meaning: rules[field]!.meaning, value: plain(merged.value),
    // Of an operation's id, `counter@actor`, the first half of the actor is the device.
    set: set.map(c => ({ author: (c.id.split("@")[1] ?? "").slice(0, 16), shown: show(plain(c.value)), chosen: merged.from.length < set.length && merged.from.includes(c.id) })),
  }
}

/** The value without its exact type; no field of the inventory is a map. */
function plain(n: Node): unknown {
  switch (n.type) {
    case "list": return n.value.map(plain)
    case "int": case "uint": case "counter": return Number(n.value)
    case "f64": case "text": case "str": case "boolean": return n.value
  }
  return null
}

const decimals = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })
export const money = (n: number): string => decimals.format(n).replaceAll(",", "\u202f")
export const show = (v: unknown): string => typeof v === "number" ? money(v) : Array.isArray(v) ? v.join(" ") || "none" : String(v ?? "nothing")
