import { test, expect } from "@playwright/test"
import * as Automerge from "@automerge/automerge"
import type { DocumentId } from "../src/shared/bytes.ts"
import type { Core } from "../src/worker/core.ts"
import { founding } from "../src/worker/founding.ts"
import { Replica } from "../src/worker/replica.ts"

const core = { ...Automerge } as unknown as Core
const id = "4NMNnkMhL8jXrdJ9jamS58PAVdXu" as DocumentId

/** A replica of a document that has these changes. */
function replica(...chunks: Uint8Array[]): Replica {
  const journal = { chunks: () => chunks } as never
  return new Replica(core, 1, id, crypto.getRandomValues(new Uint8Array(32)), journal)
}

const create = (collection: string, id: string) => ({ verb: "create", collection, id, fields: {} }) as const

test("a founding is the native peer's to the byte", () => {
  // As crdt/founding_test.go has them.
  expect(founding(core, "items").hash).toBe("0d251be0c4dba28088428764095286f39cb2b2c6c716b2c9fa7507fcf841323a")
  expect(founding(core, "größe/☃").hash).toBe("a1bbb82639fcdf906f1333e9b2965f5687a12a5b2392390020918b96e823b496")
  expect(founding(core, "$syncline").hash).toBe("c2ea87abed73e7013d076262b633bca234ae1956727b7926665d14b6dfccb47e")
})

test("two that begin a collection apart begin one, which any client reads as one", () => {
  const base = replica().perform([create("old", "x")], 0)
  expect(base.founded).toEqual([])
  const made = ["a", "b"].map(name => {
    const r = replica(base.entry.body), { founded, entry } = r.perform([create("items", name), create("items", name + "2")], 1000)
    expect(founded.map(f => f.intent)).toEqual(["collection items"])
    expect(r.perform([create("items", name + "3")], 2000).founded).toEqual([])
    return [...founded.map(f => f.body), entry.body]
  })
  expect(made[0]![0]).toEqual(made[1]![0])
  for (const order of [made, made.toReversed()]) {
    const [doc] = Automerge.applyChanges(Automerge.init<any>(), [base.entry.body, ...order.flat()] as Automerge.Change[])
    expect(Automerge.toJS(doc)).toEqual({ old: { x: {} }, items: { a: {}, a2: {}, b: {}, b2: {} } })
    expect(Object.keys(Automerge.getConflicts(doc, "items") ?? { one: 1 })).toHaveLength(1)
  }
})

test("what waited for a founding is journaled when that is made here", () => {
  const base = replica().perform([create("old", "x")], 0).entry.body
  const other = replica(base), r = replica(base)
  const theirs = other.perform([create("items", "b")], 1000)
  const later = other.perform([{ verb: "update", collection: "old", id: "x", fields: { n: 1 } }, create("items", "c")], 2000)
  const waiting = r.take(() => r.handle.loadIncremental(later.entry.body), 3000)
  expect(waiting.count).toBe(0)
  expect(r.take(() => r.handle.loadIncremental(theirs.entry.body), 3000).count).toBe(0)
  const { founded, entry, dirty } = r.perform([create("items", "a")], 4000)
  expect(founded.map(f => [f.hash, f.local])).toEqual([[theirs.founded[0]!.hash, true], [theirs.entry.hash, false], [later.entry.hash, false]])
  expect(dirty.get("items")).toBe("all")
  expect(dirty.get("old")).toEqual(new Set(["x"]))
  // What the journal has is whole.
  const again = replica(base, ...founded.map(f => f.body), entry.body)
  expect(again.heads).toEqual(r.heads)
  expect(again.handle.materialize("_root")).toEqual({ old: { x: { n: 1 } }, items: { a: {}, b: {}, c: {} } })
})

test("a batch that is refused founds nothing", () => {
  const r = replica(replica().perform([create("old", "x")], 0).entry.body), before = r.heads
  expect(() => r.perform([create("items", "a"), create("old", "x")], 1000)).toThrow(/operation 2 .*exists already/)
  expect(r.heads).toEqual(before)
})

test("a collection that was taken out is made anew", () => {
  const r = replica(replica().perform([create("old", "x")], 0).entry.body)
  r.perform([create("items", "a")], 1000)
  r.handle.delete("_root", "items")
  r.handle.commit()
  expect(r.perform([create("items", "b")], 2000).founded).toEqual([])
  expect(r.handle.materialize("_root")).toMatchObject({ items: { b: {} } })
})
