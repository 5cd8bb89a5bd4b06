// Random histories by the real implementation: whatever its public API can
// write, from a seed, so that a failing one can be made again.

import * as A from "@automerge/automerge"

/** A small seeded generator (mulberry32), the same on every machine. */
export class Random {
  constructor(seed) { this.state = Number(BigInt.asUintN(32, BigInt(seed))) }
  next() {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  below(n) { return Math.floor(this.next() * n) }
  between(low, high) { return low + this.below(high - low + 1) }
  chance(p) { return this.next() < p }
  pick(list) { return list[this.below(list.length)] }
  hex(bytes) { return Array.from({ length: bytes }, () => this.below(256).toString(16).padStart(2, "0")).join("") }
}

const letters = ["a", "b", "é", "漢", " ", "z", "😀", "\n"]
const keys = ["k0", "k1", "k2", "schlüssel", "🔑"]
const marks = ["bold", "italic", "link", "comment:1"]
const expands = ["both", "none", "before", "after"]

const word = (r, longest = 6) => Array.from({ length: r.between(1, longest) }, () => r.pick(letters)).join("")

// The wrappers that choose a number's type are understood only where a value is
// set by itself: not by splice, nor inside an object or list that is set whole.
function number(r, depth) {
  switch (r.below(depth === 0 ? 7 : 4)) {
    case 0: return r.below(100)
    case 1: return -r.below(1_000_000)
    case 2: return r.next() * 1000 - 500
    case 3: return Number.MAX_SAFE_INTEGER - r.below(3)
    case 4: return new A.Uint(r.below(2 ** 31))
    case 5: return new A.Float64(r.below(10))
    default: return new A.Int(-r.below(300))
  }
}

function scalar(r, depth) {
  switch (r.below(8)) {
    case 0: return null
    case 1: return r.chance(0.5)
    case 2: return new A.ImmutableString(word(r, 20))
    case 3: return new Date(r.between(-1e9, 1e12))
    case 4: return Uint8Array.from({ length: r.below(12) }, () => r.below(256))
    case 5: return new A.Counter(r.between(-5, 5))
    default: return number(r, depth)
  }
}

function value(r, depth = 0) {
  if (depth > 2 || r.chance(0.6)) return r.chance(0.8) ? scalar(r, depth) : word(r)
  const size = r.below(4)
  if (r.chance(0.5)) return Array.from({ length: size }, () => value(r, depth + 1))
  return Object.fromEntries(Array.from({ length: size }, (_, i) => [`${r.pick(keys)}${i}`, value(r, depth + 1)]))
}

// Text positions are UTF-16 units; cut only between code points.
function position(r, text) {
  let at = r.below(text.length + 1)
  if (at < text.length && (text.charCodeAt(at) & 0xfc00) === 0xdc00) at--
  return at
}

function range(r, text) {
  const ends = [position(r, text), position(r, text)].sort((a, b) => a - b)
  return { start: ends[0], end: ends[1] }
}

const isList = Array.isArray
const isText = v => typeof v === "string"
const isMap = v => v !== null && typeof v === "object" && !isList(v) && !(v instanceof A.Counter) &&
  !(v instanceof Date) && !(v instanceof Uint8Array) && !A.isImmutableString(v)

// Walks down from the root to some holder of the wanted kind; undefined when the
// walk found none. The walk is over the document as it was before the change,
// which is plain objects; only the path found is read through the proxy, and
// earlier edits of the same change may have taken it away.
function find(r, doc, kind) {
  const path = []
  let here = doc.before
  for (;;) {
    const below = isText(here) ? [] : Object.keys(here).filter(k => isList(here[k]) || isText(here[k]) || isMap(here[k]))
    if (kind(here) && (path.length === 0 || below.length === 0 || r.chance(0.5))) break
    if (below.length === 0) return undefined
    const key = r.pick(below)
    path.push(isList(here) ? Number(key) : key)
    here = here[key]
  }
  let now = doc.now
  for (const prop of path) {
    if (!isList(now) && !isMap(now)) return undefined
    now = now[prop]
  }
  return kind(now) ? { path, here: now } : undefined
}

const block = r => ({
  type: new A.ImmutableString(r.pick(["paragraph", "heading", "list-item"])),
  parents: r.chance(0.3) ? [new A.ImmutableString("blockquote")] : [],
  attrs: r.chance(0.3) ? { level: r.between(1, 6) } : {},
})

function editText(r, doc) {
  const found = find(r, doc, isText)
  if (!found) return false
  const { path, here: text } = found
  switch (r.below(10)) {
    case 0: case 1: case 2: case 3: {
      A.splice(doc.now, path, position(r, text), 0, word(r))
      return true
    }
    case 4: {
      const { start, end } = range(r, text)
      A.splice(doc.now, path, start, safe(text, start, end), r.chance(0.5) ? word(r) : "")
      return true
    }
    case 5: {
      A.updateText(doc.now, path, r.chance(0.5) ? text + word(r) : word(r, 10))
      return true
    }
    case 6: {
      const { start, end } = range(r, text)
      if (start === end) return false
      A.mark(doc.now, path, { start, end, expand: r.pick(expands) }, r.pick(marks), r.pick([true, false, word(r), r.below(9), -1.5]))
      return true
    }
    case 7: {
      const { start, end } = range(r, text)
      if (start === end) return false
      A.unmark(doc.now, path, { start, end, expand: r.pick(expands) }, r.pick(marks))
      return true
    }
    case 8: {
      A.splitBlock(doc.now, path, position(r, text), block(r))
      return true
    }
    default: {
      const at = text.indexOf("\ufffc")
      if (at < 0) return false
      if (r.chance(0.5)) A.updateBlock(doc.now, path, at, block(r))
      else A.joinBlock(doc.now, path, at)
      return true
    }
  }
}

// How much to delete from start so that no surrogate pair is cut.
function safe(text, start, end) {
  let stop = Math.min(end, start + 8)
  if (stop < text.length && (text.charCodeAt(stop) & 0xfc00) === 0xdc00) stop--
  return Math.max(0, stop - start)
}

function editList(r, doc) {
  const found = find(r, doc, isList)
  if (!found) return false
  const list = found.here
  if (list.length === 0 || r.chance(0.5)) {
    const count = r.between(1, 3)
    list.splice(r.below(list.length + 1), 0, ...Array.from({ length: count }, () => value(r, 1)))
  } else if (r.chance(0.5)) {
    list[r.below(list.length)] = value(r)
  } else {
    const at = r.below(list.length)
    list.splice(at, r.between(1, Math.min(3, list.length - at)))
  }
  return true
}

function editMap(r, doc) {
  const found = find(r, doc, isMap)
  if (!found) return false
  const map = found.here
  const existing = Object.keys(map)
  if (existing.length > 0 && found.path.length > 0 && r.chance(0.25)) delete map[r.pick(existing)]
  else map[r.pick(keys)] = value(r)
  return true
}

function count(r, doc) {
  const found = find(r, doc, here => isMap(here) || isList(here))
  if (!found) return false
  const counters = Object.keys(found.here).map(key => found.here[key]).filter(v => v instanceof A.Counter)
  if (counters.length === 0) return false
  const counter = r.pick(counters)
  if (r.chance(0.5)) counter.increment(r.between(1, 5))
  else counter.decrement(r.between(1, 5))
  return true
}

const edits = [editMap, editMap, editList, editList, editText, editText, editText, count]

/** Makes one random change; time and message are part of what is random. */
export function step(r, doc) {
  const options = { time: r.between(0, 2_000_000_000) }
  if (r.chance(0.3)) options.message = r.chance(0.5) ? `update todos/${r.below(9)}` : word(r, 30)
  if (r.chance(0.05)) return A.emptyChange(doc, options)
  const size = r.chance(0.7) ? 1 : r.between(2, 6)
  return A.change(doc, options, d => {
    for (let done = 0, tries = 0; done < size && tries < 20; tries++) if (r.pick(edits)(r, { before: doc, now: d })) done++
  })
}

function begin(r, doc) {
  return A.change(doc, { time: r.below(2_000_000_000) }, d => {
    d.todos = { t0: { title: word(r), done: false, votes: new A.Counter(0) } }
    d.list = [1, word(r), null]
    d.text = word(r, 12)
    d.n = new A.Counter(r.below(5))
    d.deep = { a: { b: [{ c: [1, { e: "x" }] }] } }
  })
}

/**
 * A document written by 1-4 actors that fork, edit and merge. The actors may
 * begin apart, so that root keys conflict. The caller frees the result.
 */
export function history(seed, { least = 10, most = 80 } = {}) {
  const r = new Random(seed)
  const target = r.between(least, most)
  const apart = r.chance(0.3)
  const actors = new Set(Array.from({ length: r.between(1, 4) }, () => r.hex(r.chance(0.9) ? 16 : r.between(1, 32))))
  const docs = []
  for (const actor of actors) {
    if (docs.length === 0 || apart) docs.push(begin(r, A.init(actor)))
    else docs.push(A.clone(docs[0], actor))
  }
  for (let made = 0; made < target; ) {
    const i = r.below(docs.length)
    const from = r.below(docs.length)
    if (i !== from && r.chance(0.3)) docs[i] = A.merge(docs[i], docs[from])
    else {
      docs[i] = step(r, docs[i])
      made++
    }
  }
  for (const other of docs.splice(1)) {
    docs[0] = A.merge(docs[0], other)
    A.free(other)
  }
  return docs[0]
}
