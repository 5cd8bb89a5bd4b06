import { SynclineError } from "../shared/errors.js"
import type { Operation, Step } from "../shared/operations.js"
import type { Base } from "./engine.js"
import { sequence, skip } from "./perform.js"
import { readAt } from "./read.js"
import type { Replica } from "./replica.js"

// A page that edits a text knows it as it was at some heads, and others may have edited it since. Its splices
// are moved to where their place is now, as they would land had they been made concurrently: text that others
// put into a range that is deleted here stays.

/** A stretch of the text, and who has it: the page, in the text that it knows; and the document, as it is now. */
interface Piece { text: string, page: boolean, now: boolean }

/** Moves the splices of a batch that were meant for an earlier text. Other operations are left as they are. */
export function rebase(r: Pick<Replica, "handle" | "heads" | "known">, ops: readonly Operation[], base: Base): Operation[] {
  const known = r.known(base.heads)
  const heads = r.heads
  if (known.length !== base.heads.length || known.length === heads.length && known.every((h, i) => h === heads[i])) return [...ops]
  const meant = (o: Operation): boolean => o.verb === "splice" && samePath([o.collection, o.id, ...o.path!], base.path)
  if (!ops.some(meant)) return [...ops]
  const text = piecesOf(r, base.path, known, heads)
  return ops.flatMap(o => meant(o) ? move(o, text) : [o])
}

const samePath = (a: readonly Step[], b: readonly Step[]): boolean => a.length === b.length && a.every((s, i) => s === b[i])

/** What the page knows and what is there now, in one row. */
function piecesOf(r: Pick<Replica, "handle">, path: readonly Step[], known: string[], heads: string[]): Piece[] {
  const obj = sequence(r.handle, path, "text")
  const was = readAt(r.handle, path, known)
  const before = typeof was === "string" ? was : "", after = r.handle.text(obj)
  // Another text may have come into its place: then all of it is others'.
  const replaced = r.handle.text(obj, known) !== before
  const text: Piece[] = [{ text: before, page: true, now: !replaced }]
  if (replaced) return [...text, { text: after, page: false, now: true }]
  for (const p of r.handle.diffPath(obj, known, heads)) {
    const at = p.path.at(-1)
    if (typeof at !== "number" || p.path.length !== path.length + 1) continue // of what lies in the text, as blocks do
    if (p.action === "splice") text.splice(cut(text, "now", at), 0, { text: p.value, page: false, now: true })
    if (p.action === "insert") text.splice(cut(text, "now", at), 0, { text: "\ufffc".repeat(p.values.length), page: false, now: true })
    if (p.action === "del") for (const gone of between(text, "now", at, p.length ?? 1)) gone.now = false
  }
  return text
}

/** Carries a splice of the page's text out on the row, and says what it is in the text as it is now. */
function move(o: Operation, text: Piece[]): Operation[] {
  const page = text.filter(p => p.page).map(p => p.text).join("")
  const from = skip(page, 0, o.pos ?? 0), to = from === undefined ? undefined : skip(page, from, o.del ?? 0)
  if (from === undefined || to === undefined) {
    throw new SynclineError("range", `${[o.collection, o.id, ...o.path!].join("/")}: out of range: there were ${[...page].length} elements`)
  }
  const moved: Operation[] = []
  if (o.text) {
    const i = cut(text, "page", from)
    moved.push({ ...o, pos: pointsBefore(text, i), del: 0 })
    text.splice(i, 0, { text: o.text, page: true, now: true })
  }
  for (const gone of between(text, "page", from + (o.text?.length ?? 0), to - from)) {
    gone.page = false
    if (!gone.now) continue
    const pos = pointsBefore(text, text.indexOf(gone)), del = [...gone.text].length
    gone.now = false
    const last = moved.at(-1)
    if (last?.del && last.pos === pos) last.del += del
    else moved.push({ ...o, pos, del, text: "" })
  }
  return moved
}

/** The index before which a place lies, in units of what one of the two has. A piece that it lies within is cut. */
function cut(text: Piece[], whose: "page" | "now", at: number): number {
  let left = at
  for (let i = 0; i < text.length; i++) {
    const p = text[i]!
    if (left === 0) return i
    if (!p[whose]) continue
    if (left < p.text.length) {
      text.splice(i, 1, { ...p, text: p.text.slice(0, left) }, { ...p, text: p.text.slice(left) })
      return i + 1
    }
    left -= p.text.length
  }
  return text.length
}

/** The pieces that make a range of what one of the two has. */
function between(text: Piece[], whose: "page" | "now", at: number, length: number): Piece[] {
  if (length === 0) return []
  const from = cut(text, whose, at), to = cut(text, whose, at + length)
  return text.slice(from, to).filter(p => p[whose])
}

function pointsBefore(text: readonly Piece[], index: number): number {
  let n = 0
  for (const p of text.slice(0, index)) if (p.now) n += [...p.text].length
  return n
}
