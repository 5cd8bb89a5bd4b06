import type { Operation, Step } from "../shared/operations.js"
import type { Base } from "./engine.js"
import { sequence } from "./perform.js"
import type { Replica } from "./replica.js"

// A page that edits a text knows it as it was at some heads, and others may have edited it since. Its splices
// are moved to where their place is now, as they would land had they been made concurrently: text that others
// put into a range that is deleted here stays.

/** A range of UTF-16 units of the text as it was, in the text as it is; gaps are what others have put in. */
type Edit = { at: number, del: number, ins: number }

/** Moves the splices of a batch that were meant for an earlier text. Other operations are left as they are. */
export function rebase(r: Replica, ops: readonly Operation[], base: Base): Operation[] {
  const known = r.known(base.heads)
  const heads = r.heads
  if (known.length !== base.heads.length || known.length === heads.length && known.every((h, i) => h === heads[i])) return [...ops]
  const first = ops.find(o => o.verb === "splice" && samePath([o.collection, o.id, ...o.path!], base.path))
  if (!first) return [...ops]
  const obj = sequence(r.handle, base.path, "text")
  const before = r.handle.text(obj, known), after = r.handle.text(obj)
  const edits = r.handle.diffPath(base.path, known, heads).flatMap((p): Edit[] => {
    const at = p.path.at(-1)
    if (typeof at !== "number") return []
    if (p.action === "splice") return [{ at, del: 0, ins: p.value.length }]
    if (p.action === "del") return [{ at, del: p.length ?? 1, ins: 0 }]
    return []
  })
  return ops.flatMap(o => o === first ? move(o, before, after, edits) : [o])
}

const samePath = (a: readonly Step[], b: readonly Step[]): boolean => a.length === b.length && a.every((s, i) => s === b[i])

function move(o: Operation, before: string, after: string, edits: readonly Edit[]): Operation[] {
  const from = offset(before, o.pos ?? 0), to = offset(before, (o.pos ?? 0) + (o.del ?? 0))
  // What is to be deleted, as ranges of the text as it is; and where the new text goes.
  let ranges = from < to ? [{ from, to }] : []
  let at = from
  for (const e of edits) {
    if (e.ins > 0) {
      ranges = ranges.flatMap(g =>
        e.at <= g.from ? [{ from: g.from + e.ins, to: g.to + e.ins }]
          : e.at >= g.to ? [g]
            : [{ from: g.from, to: e.at }, { from: e.at + e.ins, to: g.to + e.ins }])
      if (e.at < at) at += e.ins
    }
    if (e.del > 0) {
      const pull = (x: number): number => x <= e.at ? x : Math.max(e.at, x - e.del)
      ranges = ranges.map(g => ({ from: pull(g.from), to: pull(g.to) })).filter(g => g.from < g.to)
      at = pull(at)
    }
  }
  const moved: Operation[] = []
  if (o.text) moved.push({ ...o, pos: points(after, at), del: 0 })
  // From the end on, so that one does not move another; the new text has moved what lies behind it.
  const shift = [...(o.text ?? "")].length
  for (const g of ranges.reverse()) {
    const start = points(after, g.from)
    moved.push({ ...o, pos: start + (g.from >= at ? shift : 0), del: points(after, g.to) - start, text: "" })
  }
  return moved
}

/** Code points to UTF-16 units. */
function offset(text: string, n: number): number {
  let i = 0
  for (; n > 0 && i < text.length; n--) i += text.codePointAt(i)! > 0xffff ? 2 : 1
  return i
}

/** UTF-16 units to code points. */
function points(text: string, units: number): number {
  return [...text.slice(0, units)].length
}
