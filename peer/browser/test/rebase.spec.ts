import { test, expect } from "@playwright/test"
import assert from "node:assert/strict"
import * as Automerge from "@automerge/automerge"
import { splice, type Operation } from "../src/shared/operations.ts"
import type { Handle } from "../src/worker/core.ts"
import { perform } from "../src/worker/perform.ts"
import { rebase } from "../src/worker/rebase.ts"
import { random } from "./random.ts"

const path = ["notes", "n", "text"]

/** A document with one text, as a replica has it open. */
class Doc {
  readonly handle: Handle
  constructor(text: string) {
    this.handle = Automerge.getBackend(Automerge.from({ notes: { n: { text, parts: [""] } } }))
  }
  get heads(): string[] { return this.handle.getHeads() }
  get text(): string { return (this.handle.materialize("_root") as unknown as { notes: { n: { text: string } } }).notes.n.text }
  known(heads: readonly string[]): string[] { return heads.filter(h => this.handle.getChangeMetaByHash(h) !== null) }

  /** Carries operations out that were meant for earlier heads, as the engine does. */
  apply(ops: Operation[], heads = this.heads, p: (string | number)[] = path): void {
    for (const o of rebase(this, ops, { path: p, heads })) perform(this.handle, o)
    this.handle.commit()
  }
}

const edit = (pos: number, del: number, text: string): Operation => splice("notes", "n", "text", pos, del, text)

test("a splice that was meant for an earlier text lands where its place is now", () => {
  for (const [base, theirs, ours, want] of [
    ["hello world", [edit(0, 0, "oh, ")], [edit(5, 0, " brave")], "oh, hello brave world"],
    ["hello world", [edit(0, 6, "")], [edit(11, 0, "!")], "world!"],
    ["hello world", [edit(6, 5, "")], [edit(8, 2, "")], "hello "],
    ["abcdef", [edit(3, 0, "XY")], [edit(2, 2, "")], "abXYef"],
    ["a😀b😀c", [edit(1, 1, "😁😁")], [edit(3, 1, "é")], "a😁😁béc"],
    // Several of one batch: each is meant for what those before it have made of the earlier text.
    ["abc", [edit(0, 0, "__")], [edit(3, 0, "123"), edit(0, 1, ""), edit(2, 2, "x")], "__bcx3"],
  ] as const) {
    const d = new Doc(base), heads = d.heads
    d.apply([...theirs])
    d.apply([...ours], heads)
    expect(d.text).toBe(want)
  }
})

test("a text that was replaced meanwhile keeps what is written into the one before", () => {
  const d = new Doc("the old one"), heads = d.heads
  d.apply([{ verb: "set", collection: "notes", id: "n", path: ["text"], value: "the new one" }])
  d.apply([edit(4, 3, "older"), edit(0, 0, "> ")], heads)
  expect(d.text.replace("older", "").replace("> ", "")).toBe("the new one")
  // As far as the earlier text went, and no further.
  expect(() => d.apply([edit(12, 0, "x")], heads)).toThrow(/out of range: there were 11 elements/)
})

/** The letters of a text that each stand for themselves: what is written here is never written twice. */
const letter = (n: number): string => String.fromCodePoint((n % 3 === 0 ? 0x1f300 : 0x4e00) + n)

test("random splices of several pages against earlier texts: nothing is lost, and each stays with its neighbours", () => {
  for (let seed = 1; seed <= 150; seed++) {
    const r = random(seed), upTo = (n: number): number => Math.floor(r() * (n + 1))
    let written = 0
    const write = (n: number): string => Array.from({ length: n }, () => letter(written++)).join("")
    const d = new Doc(write(upTo(12)))
    // Each page knows the text as it was at some time, and what it has made of it by then.
    const pages = Array.from({ length: 3 }, () => ({ heads: d.heads, text: [...d.text] }))
    for (let turn = 0; turn < 12; turn++) {
      const p = pages[upTo(2)]!
      const before = [...d.text], known = [...p.text], gone = new Set<string>(), ours: string[] = []
      const ops = Array.from({ length: 1 + upTo(2) }, () => {
        const pos = upTo(known.length), del = upTo(Math.min(4, known.length - pos)), text = write(del > 0 ? upTo(3) : 1 + upTo(3))
        for (const c of known.splice(pos, del, ...text)) gone.add(c)
        ours.push(...text)
        return edit(pos, del, text)
      })
      try {
        d.apply(ops, p.heads)
        const now = [...d.text]
        const where = `seed ${seed}, turn ${turn}`
        // What others have is there, in its order, but for what was deleted; and so is what was written.
        assert.deepEqual(now.filter(c => !ours.includes(c)), before.filter(c => !gone.has(c)), where)
        assert.deepEqual(now.filter(c => ours.includes(c)), known.filter(c => ours.includes(c)), where)
        // Of what the page knew, all stands in the order in which the page has it.
        const both = now.filter(c => known.includes(c))
        assert.deepEqual(both, known.filter(c => both.includes(c)), where)
      } catch (error) {
        assert.fail(`seed ${seed}: ${(error as Error).stack}`)
      }
      if (r() < 0.6) Object.assign(p, { heads: d.heads, text: [...d.text] })
    }
  }
})
