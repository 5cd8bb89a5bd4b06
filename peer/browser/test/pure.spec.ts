import { test, expect } from "@playwright/test"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { decodeCBOR, encodeCBOR } from "../src/shared/cbor.ts"
import { backoff, classes, classOfCode, mendable } from "../src/shared/fault.ts"
import { create, intentOf, listInsert, operationsFromJSON, operationsToJSON, pack, set, splice, unpack, update, validate } from "../src/shared/operations.ts"
import { Counter, Float, parseTypedJSON, Scalar, toTypedJSON, Uint } from "../src/shared/values.ts"
import { decodeMessage } from "../src/shared/wire.ts"
import { difference, follow, merge } from "../src/text.ts"
import { metrics, Tally } from "../src/worker/telemetry.ts"
import { root } from "./paths.ts"
import { random } from "./random.ts"

test("operations go through JSON and through a worker as they are", () => {
  const ops = [
    create("items", "milk", { text: "Milk", count: new Counter(3), at: new Date(1_700_000_000_000), raw: new Uint8Array([0, 255]), tag: new Scalar("x"), u: new Uint(7), half: 0.5, ratio: -0, none: null, list: [1, true, { deep: "x" }] }),
    update("items", "milk", { $odd: { $map: 1 } }),
    set("items", "milk", ["list", 2, "deep"], { $counter: "no tag but a key" } as never),
    listInsert("items", "milk", "list", 1, "a", new Counter(2)),
    splice("items", "milk", "text", 2, 1, "😀"),
  ]
  expect(operationsFromJSON(operationsToJSON(ops))).toEqual(ops)
  expect(structuredClone(ops.map(pack)).map(unpack)).toEqual(ops)
  expect(structuredClone([update("i", "x", { f: new Float(5) })].map(pack)).map(unpack)).toEqual([update("i", "x", { f: new Float(5) })])
  // As the native peer writes them.
  expect(operationsToJSON([create("c", "e", { b: 1, a: new Uint(2), c: 5.5, d: NaN })]))
    .toBe('[{"verb":"create","collection":"c","id":"e","fields":{"a":{"$uint":2},"b":1,"c":5.5,"d":{"$float":"NaN"}}}]')
  expect(toTypedJSON(new Float(5))).toBe("5.0")
  expect(toTypedJSON({ $x: 1 })).toBe('{"$map":{"$x":1}}')
  expect(parseTypedJSON('{"$time":"2023-11-14T22:13:20.000Z"}')).toEqual(new Date(1_700_000_000_000))
  expect(() => parseTypedJSON('{"$nonsense":1}')).toThrow(/want \$uint/)
})

test("operations that no document could carry out are refused", () => {
  const bad: unknown[] = [
    create("", "x"), create("c", ""), update("c", "x", {}), { verb: "explode", collection: "c", id: "x", path: ["f"] },
    set("c", "x", [0, "f"], 1), splice("c", "x", "t", -1, 0, "a"), splice("c", "x", "t", 0, 0, ""), listInsert("c", "x", "l", 0),
    create("c", "x", { f: "\ud800" }), create("c", "x", { f: new Date(NaN) }), create("c", "x", { f: 2n ** 64n }), create("c", "x", { f: (() => 1) as never }),
    create("c", "x".repeat(5000)),
  ]
  for (const o of bad) expect(() => validate(o as never), JSON.stringify(o, (_, v: unknown) => typeof v === "bigint" ? String(v) : v)).toThrow()
})

test("a change's message names what it does, in at most 200 bytes", () => {
  expect(intentOf([create("items", "a"), update("items", "a", { x: 1 }), set("items", "a", "y", 2), splice("items", "a", "t", 0, 0, "x")]))
    .toBe("create items/a; update items/a; edit items/a")
  const long = intentOf(Array.from({ length: 50 }, (_, i) => create("täglich", `😀${i}`)))
  expect(new TextEncoder().encode(long).length).toBeLessThanOrEqual(200)
  expect(long.isWellFormed()).toBe(true)
})

test("CBOR: what is written is read, and foreign bytes make an error and no more", () => {
  const values = [0, 23, 24, 255, 65536, 2 ** 32, -1, -500, 1.5, "täxt 😀", true, false, null, new Uint8Array([1, 2]), [1, [2]], { a: { b: [null] }, c: "" }]
  for (const v of values) expect(decodeCBOR(encodeCBOR(v))).toEqual(v)
  // A longer map header than needed, an absent field as undefined, a float time, as stock clients write.
  expect(decodeCBOR(Uint8Array.from([0xb9, 0, 2, 0x61, 0x61, 0xf7, 0x61, 0x62, 0xfb, 0x42, 0x78, 0, 0, 0, 0, 0, 0]))).toEqual({ a: undefined, b: 1.5 * 2 ** 40 })
  const r = random(7)
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: 1 + r() * 60 }, () => r() * 256)
    if (i % 2) bytes.set(encodeCBOR({ type: "sync", documentId: "x", data: new Uint8Array(3) }).slice(0, bytes.length))
    try {
      decodeMessage(bytes)
    } catch (error) {
      assert.equal((error as Error).name, "SynclineError")
    }
  }
  // A length that nothing backs is refused before anything is made of it.
  expect(() => decodeCBOR(Uint8Array.from([0x5b, 0, 0, 0, 1, 0, 0, 0, 0]))).toThrow(/too soon/)
  expect(() => decodeCBOR(new Uint8Array(1000).fill(0x81))).toThrow(/deep/)
})

test("backoff has full jitter, bounds by class, and what the other end asks for on top", () => {
  const fault = (c: typeof classes[number], retryAfter = 0): { class: typeof c, reason: string, retryAfter: number } => ({ class: c, reason: "", retryAfter })
  const r = random(1)
  for (const c of classes) {
    for (let failures = 1; failures < 40; failures++) {
      const delay = backoff(fault(c), failures, r())
      assert(mendable(c) ? delay! <= 60_000 * 15 : delay === undefined)
    }
  }
  expect(backoff(fault("lost"), 1, 0.5)).toBe(500)
  expect(backoff(fault("lost"), 3, 0.5)).toBe(2000)
  expect(backoff(fault("lost"), 30, 1)).toBe(60_000)
  expect(backoff(fault("storage-full"), 1, 1)).toBe(15_000)
  expect(backoff(fault("draining", 4000), 1, 0)).toBe(4000)
  expect(backoff(fault("draining", 1e12), 1, 0)).toBe(3_600_000)
  expect([4001, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 1009, 1006].map(classOfCode))
    .toEqual(["unauthorised", "unauthorised", "protocol", "timeout", "over-limit", "draining", "storage-full", "lost", "over-limit", "lost"])
})

test("a difference makes one text of another, and never cuts a character", () => {
  const r = random(3), alphabet = ["a", "b", "😀", "é", "😁"]
  const text = (n: number): string => Array.from({ length: r() * n }, () => alphabet[Math.floor(r() * alphabet.length)]!).join("")
  for (let i = 0; i < 5000; i++) {
    const a = text(12), b = text(12), c = text(12), d = difference(a, b)
    assert.equal(a.slice(0, d.at) + d.text + a.slice(d.at + d.del), b)
    assert([a.slice(0, d.at), a.slice(d.at, d.at + d.del), d.text].every(s => s.isWellFormed()), `${a} → ${b}`)
    assert.equal(follow(0, d), 0)
    if (d.at < a.length) assert.equal(follow(a.length, d), b.length)
    assert.equal(merge(a, a, c), c)
    assert.equal(merge(a, b, a), b)
  }
  expect(merge("hello world", "hello brave world", "hello world!")).toBe("hello brave world!")
  expect(merge("ac", "abc", "aXc")).toBe("aXbc")
})

test("metrics have the names and labels of the native peer", () => {
  const native = readFileSync(join(root, "..", "telemetry", "telemetry.go"), "utf8")
  const ours = metrics(new Tally(), { pending: 0, oldest: 0, undelivered: { waiting: 0, dead: 0, dropped: 0 }, remotes: { idle: 0 } })
  expect(ours.length).toBeGreaterThan(20)
  for (const m of ours) {
    const name = m.name.replace(/(?<=_seconds)_(bucket|sum|count)$/, "")
    expect(native.includes(`"${name}"`), m.name).toBe(true)
    for (const label of Object.keys(m.labels)) if (label !== "le") expect(native.includes(`"${label}"`), `${m.name}: ${label}`).toBe(true)
  }
})
