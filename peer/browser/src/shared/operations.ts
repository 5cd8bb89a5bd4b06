import { SynclineError } from "./errors.js"
import { entriesJSON, maxDepth, parseNumbers, toTypedJSON, portable, portableEntries, typed, untag, untagEntries, type Value } from "./values.js"

/** A step of a path: a map's key or a list's position. */
export type Step = string | number
/** Where in an entity an operation works: the name of a field, or a path that starts with one. */
export type Place = string | readonly Step[]

/** What an operation does. */
export type Verb =
  | "create" | "update" | "delete" | "set" | "unset" | "increment" | "splice"
  | "list-insert" | "list-set" | "list-delete"

/**
 * One step of a batch, as data: what it is as JSON is what the native peer reads and writes. Use the
 * functions of this module to make one.
 */
export interface Operation {
  verb: Verb
  collection: string
  /** Of the entity. */
  id: string
  /** From the entity on; of all verbs but create, update and delete. */
  path?: Step[]
  /** create, update */
  fields?: { [key: string]: Value }
  /** set, list-set */
  value?: Value
  /** list-insert */
  values?: Value[]
  /** increment */
  by?: number
  /** splice: code points; list verbs: elements */
  pos?: number
  /** splice, list-delete: how many */
  del?: number
  /** splice */
  text?: string
}

const steps = (place: Place): Step[] => typeof place === "string" ? [place] : [...place]

/** Makes an entity that is not there yet, and its collection if that is not there either. */
export const create = (collection: string, id: string, fields: { [key: string]: Value } = {}): Operation => ({ verb: "create", collection, id, fields })
/** Replaces the given fields of an entity and leaves the others. */
export const update = (collection: string, id: string, fields: { [key: string]: Value }): Operation => ({ verb: "update", collection, id, fields })
/** Removes an entity. */
export const remove = (collection: string, id: string): Operation => ({ verb: "delete", collection, id })
/** Replaces a field, a key of a nested map or an element of a list. */
export const set = (collection: string, id: string, place: Place, value: Value): Operation => ({ verb: "set", collection, id, path: steps(place), value })
/** Removes a field, or a key of a nested map. */
export const unset = (collection: string, id: string, place: Place): Operation => ({ verb: "unset", collection, id, path: steps(place) })
/** Adds to a counter. */
export const increment = (collection: string, id: string, place: Place, by: number): Operation => ({ verb: "increment", collection, id, path: steps(place), by })
/** Deletes `del` code points of a text at `pos` and puts `text` there. */
export const splice = (collection: string, id: string, place: Place, pos: number, del: number, text: string): Operation => ({ verb: "splice", collection, id, path: steps(place), pos, del, text })
/** Puts values into a list, before the element at `pos`. */
export const listInsert = (collection: string, id: string, place: Place, pos: number, ...values: Value[]): Operation => ({ verb: "list-insert", collection, id, path: steps(place), pos, values })
/** Replaces the element at `pos` of a list. */
export const listSet = (collection: string, id: string, place: Place, pos: number, value: Value): Operation => ({ verb: "list-set", collection, id, path: steps(place), pos, value })
/** Removes `n` elements of a list from `pos` on. */
export const listDelete = (collection: string, id: string, place: Place, pos: number, n: number): Operation => ({ verb: "list-delete", collection, id, path: steps(place), pos, del: n })

/** Names are repeated in paths, errors and intents; in bytes of UTF-8. */
const maxName = 4096
/** How many bytes of values and names a batch may have, and how many characters and values. */
const maxBatch = 16 << 20

const invalid = (why: string): never => { throw new SynclineError("invalid", why) }
const utf8 = new TextEncoder()

function checkName(what: string, s: unknown): void {
  if (typeof s !== "string" || s === "") invalid(`${what} is missing`)
  else if (!s.isWellFormed()) invalid(`${what} ${JSON.stringify(s)} has half a surrogate pair`)
  else if (s.length > maxName || utf8.encode(s).length > maxName) invalid(`${what} is longer than ${maxName} bytes`)
}

const whole = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0

/** Throws if no document could carry the operation out. Whether this one can is found out by applying it. */
export function validate(o: Operation): void {
  checkName("collection", o.collection)
  checkName("entity id", o.id)
  const entity = o.verb === "create" || o.verb === "update" || o.verb === "delete"
  const path = o.path ?? []
  if (entity ? path.length > 0 : path.length === 0) invalid(entity ? `${o.verb} takes no path` : "no field")
  if (!entity && typeof path[0] !== "string") invalid("a path starts with the name of a field")
  if (path.length + 2 > maxDepth) throw new SynclineError("too-deep", `a path of ${path.length} steps`)
  for (const s of path) typeof s === "string" ? checkName("key", s) : whole(s) || invalid(`${s} is no position in a list`)
  if (o.pos !== undefined && !whole(o.pos) || o.del !== undefined && !whole(o.del)) invalid("a position or a count that is negative or no whole number")
  const budget = { left: maxBatch }
  const fields = (f: { [key: string]: Value } | undefined) => checkValue(f ?? {}, 2, budget)
  switch (o.verb) {
    case "create": return fields(o.fields)
    case "update": return Object.keys(o.fields ?? {}).length > 0 ? fields(o.fields) : invalid("update without fields")
    case "delete": return
    case "set": case "list-set":
      return o.value === undefined ? invalid(`${o.verb} without a value`) : checkValue(o.value, path.length + 2, budget)
    case "unset": return typeof path.at(-1) === "string" ? undefined : invalid("unset of a list element: use list-delete")
    case "increment": return Number.isSafeInteger(o.by ?? 0) ? undefined : invalid("increment by what is no whole number")
    case "splice":
      if (!o.del && !o.text) invalid("splice without anything to delete or insert")
      return checkValue(o.text ?? "", 0, budget)
    case "list-insert":
      if (!o.values?.length) invalid("list-insert without values")
      return checkValue(o.values!, path.length + 2, budget)
    case "list-delete": return o.del ? undefined : invalid("list-delete of no elements")
    default: invalid(`unknown verb ${JSON.stringify(o.verb)}`)
  }
}

function checkValue(v: Value, depth: number, budget: { left: number }): void {
  if (depth > maxDepth) throw new SynclineError("too-deep", `more than ${maxDepth} levels`)
  const t = typed(v)
  budget.left -= 8
  if (t.type === "text") budget.left -= t.text.length
  else if (t.type === "str") budget.left -= (t.value as string).length
  else if (t.type === "bytes") budget.left -= (t.value as Uint8Array).length
  if (budget.left < 0) throw new SynclineError("too-large", `more than ${maxBatch} bytes in one operation: split it`)
  if (t.type === "list") for (const e of t.items) checkValue(e, depth + 1, budget)
  if (t.type === "map") for (const [k, e] of t.entries) { checkName("key", k); checkValue(e, depth + 1, budget) }
}

/** Writes operations as the JSON array that the native peer reads. */
export function operationsToJSON(ops: readonly Operation[]): string {
  return `[${ops.map(o => {
    const { verb, collection, id, path, fields, value, values, by, pos, del, text } = o
    const parts = [`"verb":${JSON.stringify(verb)}`, `"collection":${JSON.stringify(collection)}`, `"id":${JSON.stringify(id)}`]
    if (path) parts.push(`"path":${JSON.stringify(path)}`)
    if (fields) parts.push(`"fields":${entriesJSON(Object.entries(fields))}`)
    if (value !== undefined) parts.push(`"value":${toTypedJSON(value)}`)
    if (values) parts.push(`"values":${toTypedJSON(values)}`)
    if (by) parts.push(`"by":${by}`)
    if (pos) parts.push(`"pos":${pos}`)
    if (del) parts.push(`"del":${del}`)
    if (text) parts.push(`"text":${JSON.stringify(text)}`)
    return `{${parts.join()}}`
  }).join()}]`
}

/** An operation as it goes from a page to a worker. */
export const pack = (o: Operation): Operation => mapValues(o, portable, portableEntries)
/** What pack has packed, or the JSON of an operation. */
export const unpack = (o: Operation): Operation => mapValues(o, untag, untagEntries)

function mapValues(o: Operation, one: (v: Value) => Value, entries: (v: { [key: string]: Value }) => { [key: string]: Value }): Operation {
  return {
    ...o,
    ...o.fields && { fields: entries(o.fields) },
    ...o.value !== undefined && { value: one(o.value) },
    ...o.values && { values: one(o.values) as Value[] },
  }
}

/** Reads what operationsToJSON or the native peer wrote, or people did. It validates. */
export function operationsFromJSON(text: string): Operation[] {
  const list = parseNumbers(text) as unknown as Operation[]
  if (!Array.isArray(list)) throw new SynclineError("invalid", "operations are a JSON array")
  const ops = list.map(unpack)
  ops.forEach(validate)
  return ops
}

/** The longest message of a change, in bytes. */
const maxIntent = 200

/** What a batch's change says of itself: `verb collection/id`, each once in a row, cut where a character ends. */
export function intentOf(ops: readonly Operation[]): string {
  let s = "", last = ""
  for (const o of ops) {
    const verb = ["create", "update", "delete", "increment"].includes(o.verb) ? o.verb : o.verb === "set" || o.verb === "unset" ? "update" : "edit"
    const one = `${verb} ${o.collection}/${o.id}`
    if (one === last) continue
    s += last === "" ? one : `; ${one}`
    last = one
    if (s.length > maxIntent) break
  }
  const bytes = utf8.encode(s)
  if (bytes.length <= maxIntent) return s
  let n = maxIntent
  while (n > 0 && (bytes[n]! & 0xc0) === 0x80) n--
  return new TextDecoder().decode(bytes.subarray(0, n))
}
