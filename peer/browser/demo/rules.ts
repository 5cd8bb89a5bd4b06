// What concurrent values of a field are read as: the rules max, ranked and union of the Go package crdt/merge, for
// the kinds of values that the inventory has. The document itself keeps all values until somebody writes again.
import type { Plain } from "../src/index.ts"

/** A value that a change has given a field; id is `counter@actor`. */
export interface Candidate { id: string, value: Plain }

export type Rule = "max" | "ranked" | "union"

/** From the least to the most. */
export const stages = ["planned", "ordered", "shipped", "stored"]

/** Chooses from the candidates, which are in the order of their ids; the last one is what a peer without rules reads. */
export function merge(rule: Rule, set: readonly Candidate[]): Plain {
  const last = set.at(-1)?.value ?? null
  switch (rule) {
    case "max": {
      const numbers = set.map(c => c.value).filter(v => typeof v === "number" && !Number.isNaN(v)) as number[]
      return numbers.length > 0 ? Math.max(...numbers) : last
    }
    case "ranked": {
      const rank = (v: Plain): number => typeof v === "string" ? stages.indexOf(v) : -1
      const known = set.map(c => c.value).filter(v => rank(v) >= 0)
      return known.length > 0 ? known.reduce((a, b) => rank(b) >= rank(a) ? b : a) : last
    }
    case "union": {
      const lists = set.map(c => c.value).filter(Array.isArray) as string[][]
      const own = lists.at(-1) ?? []
      return [...own, ...[...new Set(lists.flat())].filter(v => !own.includes(v)).sort()]
    }
  }
}

/** In words, for people. */
export const meaning: { [r in Rule]: string } = { max: "the largest wins", ranked: "the furthest wins", union: "all are kept" }
