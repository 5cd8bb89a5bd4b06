import { SynclineError, type ErrorCode } from "../shared/errors.js"
import type { Operation, Step } from "../shared/operations.js"
import { typed, type Typed, type Value } from "../shared/values.js"
import type { Handle } from "./core.js"

// Carries operations out on the core's document. What it refuses, and with which words, is what the native
// peer refuses. The caller rolls back when it throws.

type Found = { kind: string, value: unknown }

const rootId = "_root"

function at(path: readonly Step[]): string {
  return path.map((s, i) => typeof s === "number" ? `[${s}]` : i > 0 ? `/${s}` : s).join("")
}

const fail = (code: ErrorCode, path: readonly Step[], why: string): never => { throw new SynclineError(code, `${at(path)}: ${why}`) }

function look(h: Handle, obj: string, step: Step): Found | undefined {
  const v = h.getWithType(obj, step as never) as [string, unknown] | null
  return v ? { kind: v[0], value: v[1] } : undefined
}

/** Finds what the path's last step is a step in: its object id, and whether it is a map, a list or a text. */
function holder(h: Handle, path: readonly Step[]): { obj: string, kind: string } {
  let obj = rootId, kind = "map"
  for (let i = 0; i < path.length - 1; i++) {
    fits(path, i, kind)
    const found = look(h, obj, path[i]!)
    if (!found) return fail("not-found", path.slice(0, i + 1), "not found")
    if (!["map", "table", "list", "text"].includes(found.kind)) return fail("kind", path.slice(0, i + 1), `wrong kind: not a ${typeof path[i + 1] === "number" ? "list" : "map"}`)
    obj = found.value as string
    kind = found.kind
  }
  fits(path, path.length - 1, kind)
  return { obj, kind }
}

function fits(path: readonly Step[], i: number, kind: string): void {
  const list = typeof path[i] === "number"
  if (list ? kind !== "list" : kind !== "map" && kind !== "table") fail("kind", path.slice(0, i), `wrong kind: not a ${list ? "list" : "map"}`)
}

function inRange(h: Handle, obj: string, path: readonly Step[], pos: number, end: number): void {
  const n = h.length(obj)
  if (end > n || pos > n) fail("range", path, `out of range: there are ${n} elements`)
}

/** Writes a value into a map or, by insertion or replacement, into a list. Map keys go in order, so that equal batches make equal changes. */
function write(h: Handle, obj: string, step: Step, t: Typed, insert = false): void {
  if (t.type === "map" || t.type === "list" || t.type === "text") {
    const empty = t.type === "map" ? {} : t.type === "list" ? [] : ""
    const made = insert ? h.insertObject(obj, step as number, empty as never) : h.putObject(obj, step as never, empty as never)
    if (t.type === "text" && t.text !== "") h.splice(made, 0, 0, t.text)
    if (t.type === "list") t.items.forEach((e, i) => write(h, made, i, typed(e), true))
    if (t.type === "map") writeEntries(h, made, t.entries)
    return
  }
  const datatype = t.type as never
  if (insert) h.insert(obj, step as number, t.value as never, datatype)
  else h.put(obj, step as never, t.value as never, datatype)
}

function writeEntries(h: Handle, obj: string, entries: [string, Value][]): void {
  for (const [k, v] of entries.toSorted(([a], [b]) => a < b ? -1 : 1)) write(h, obj, k, typed(v))
}

/** Carries one operation out. */
export function perform(h: Handle, o: Operation): void {
  const place: Step[] = [o.collection, o.id, ...(o.path ?? [])]
  switch (o.verb) {
    case "create": {
      const collection = look(h, rootId, o.collection)
      const parent = collection ? collection.value as string : h.putObject(rootId, o.collection, {})
      if (collection && collection.kind !== "map") return fail("kind", [o.collection], "wrong kind: not a map")
      if (look(h, parent, o.id)) return fail("exists", place, "exists already")
      return writeEntries(h, h.putObject(parent, o.id, {}), Object.entries(o.fields ?? {}))
    }
    case "update": {
      const { obj } = holder(h, [...place, ""])
      return writeEntries(h, obj, Object.entries(o.fields!))
    }
    case "delete": case "unset": {
      const { obj } = holder(h, place)
      if (!look(h, obj, place.at(-1)!)) return fail("not-found", place, "not found")
      return h.delete(obj, place.at(-1) as never)
    }
    case "set": return put(h, place, o.value!)
    case "list-set": return put(h, [...place, o.pos ?? 0], o.value!)
    case "increment": {
      const { obj } = holder(h, place)
      const found = look(h, obj, place.at(-1)!)
      if (!found) return fail("not-found", place, "not found")
      if (found.kind !== "counter") return fail("kind", place, "wrong kind: not a counter")
      return h.increment(obj, place.at(-1) as never, o.by ?? 0)
    }
    case "splice": {
      const obj = sequence(h, place, "text")
      const { from, to } = units(h.text(obj), o.pos ?? 0, o.del ?? 0, place)
      return h.splice(obj, from, to - from, o.text ?? "")
    }
    case "list-insert": {
      const obj = sequence(h, place, "list")
      inRange(h, obj, place, o.pos ?? 0, 0)
      return o.values!.forEach((v, i) => write(h, obj, (o.pos ?? 0) + i, typed(v), true))
    }
    case "list-delete": {
      const obj = sequence(h, place, "list")
      inRange(h, obj, place, o.pos ?? 0, (o.pos ?? 0) + (o.del ?? 0))
      return h.splice(obj, o.pos ?? 0, o.del ?? 0)
    }
  }
}

function put(h: Handle, place: readonly Step[], value: Value): void {
  const { obj } = holder(h, place)
  const last = place.at(-1)!
  if (typeof last === "number") inRange(h, obj, place, last, last + 1)
  write(h, obj, last, typed(value))
}

/** The object id of a text or list. */
export function sequence(h: Handle, place: readonly Step[], kind: "text" | "list"): string {
  const { obj } = holder(h, place)
  const found = look(h, obj, place.at(-1)!)
  if (!found) return fail("not-found", place, "not found")
  if (found.kind !== kind) return fail("kind", place, `wrong kind: not a ${kind}`)
  return found.value as string
}

/** Positions of the core are UTF-16 units; those of operations are code points. */
function units(text: string, pos: number, del: number, place: readonly Step[]): { from: number, to: number } {
  const from = skip(text, 0, pos), to = from === undefined ? undefined : skip(text, from, del)
  if (from === undefined || to === undefined) return fail("range", place, `out of range: there are ${[...text].length} elements`)
  return { from, to }
}

/** The place in UTF-16 units that lies so many code points after another; undefined if that is behind the end. */
export function skip(text: string, from: number, points: number): number | undefined {
  let i = from
  for (; points > 0 && i < text.length; points--) i += text.codePointAt(i)! > 0xffff ? 2 : 1
  return points === 0 ? i : undefined
}
