import { test, expect } from "@playwright/test"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { mergeSet, type MergeFunction } from "../src/merge/merge.ts"
import { compare, kindOf, type Node } from "../src/merge/node.ts"
import { root } from "./paths.ts"

const crdt = join(root, "..", "..", "crdt")
const vectors = (path: string): unknown[] => JSON.parse(readFileSync(join(crdt, path), "utf8")) as unknown[]

/** A value in the notation of the vectors: crdt/value/valuetest. */
function read(raw: unknown): Node {
  if (raw === null) return { type: "null" }
  if (typeof raw === "boolean") return { type: "boolean", value: raw }
  if (typeof raw === "string") return { type: "text", value: raw }
  if (Array.isArray(raw)) return { type: "list", value: raw.map(read) }
  const [type, inner] = Object.entries(raw as object)[0] as [string, never]
  switch (type) {
    case "int": case "uint": case "counter": return { type, value: BigInt(inner) }
    case "time": return { type: "timestamp", value: BigInt(inner) }
    case "float": return { type: "f64", value: Number(inner) }
    case "bits": return { type: "f64", value: Buffer.from(inner, "hex").readDoubleBE() }
    case "bytes": return { type: "bytes", value: new Uint8Array(Buffer.from(inner, "hex")) }
    case "scalar": return { type: "str", value: inner }
    case "map": return { type: "map", value: new Map((inner as [string, unknown][]).map(([k, v]) => [k, read(v)])) }
    case "unknown": return { type: "unknown", code: inner[0], value: new Uint8Array(Buffer.from(inner[1], "hex")) }
    case "repeat": return { type: "text", value: (inner[0] as string).repeat(inner[1]) }
  }
  throw new Error(`no such kind: ${type}`)
}

const functions: { [rule: string]: MergeFunction } = {
  "sum@1": set => {
    const sum = set.reduce((n, c) => { if (c.value.type !== "int") throw new Error("no int"); return n + c.value.value }, 0n)
    return { value: { type: "int", value: BigInt.asIntN(64, sum) }, settled: true }
  },
  "longest@1": set => {
    const length = (n: Node): number => { if (n.type !== "text") throw new Error("no text"); return [...n.value].length }
    const most = Math.max(...set.map(c => length(c.value)))
    const longest = set.filter(c => length(c.value) === most)
    return { value: longest.at(-1)!.value, settled: longest.every(c => compare(c.value, longest[0]!.value) === 0) }
  },
}

test("values have the native peer's order", () => {
  const all = vectors("value/testdata/order.json").map(read)
  expect(all.length).toBeGreaterThan(50)
  for (const [i, a] of all.entries()) {
    for (const [j, b] of all.entries()) assert.equal(Math.sign(compare(a, b)), Math.sign(i - j), `${i} ${j}`)
  }
})

test("merge functions choose what the native peer's choose, on its vectors", () => {
  interface Vector { name: string, rule: string, states?: string[], set: { id: string, time: string, value: unknown }[], value: unknown, conflict: boolean, settled: boolean, reason: string, from: string[], misfits: string[] }
  const all = vectors("merge/testdata/vectors.json") as Vector[]
  expect(all.length).toBeGreaterThan(100)
  for (const v of all) {
    const set = v.set.map(c => ({ id: c.id, time: BigInt(c.time), value: read(c.value) }))
    for (const given of [set, set.toReversed(), [...set, ...set]]) {
      const got = mergeSet({ name: v.rule, ...v.states && { states: v.states } }, given, functions)
      const { value, ...rest } = got
      assert.deepEqual(rest, { conflict: v.conflict, settled: v.settled, reason: v.reason, from: v.from, misfits: v.misfits }, v.name)
      assert.equal(kindOf(value), kindOf(read(v.value)), v.name)
      assert.deepEqual(value, read(v.value), v.name)
    }
  }
})
