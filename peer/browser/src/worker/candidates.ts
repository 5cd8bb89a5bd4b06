import type { Candidate } from "../merge/merge.js"
import type { Node } from "../merge/node.js"
import type { Step } from "../shared/operations.js"
import type { Handle } from "./core.js"

/** All values that concurrent changes have given a place, with their exact types, operations and times. */
export function candidatesAt(h: Handle, path: readonly Step[]): Candidate[] {
  let obj = "_root"
  for (const step of path.slice(0, -1)) {
    const v = h.getWithType(obj, step as never) as [string, unknown] | null
    if (!v || !["map", "table", "list"].includes(v[0])) return []
    obj = v[1] as string
  }
  const found = h.getAll(obj, path.at(-1) as never) as unknown as [string, unknown, string?][]
  if (found.length === 0) return []
  const metas = h.getChangesMeta([])
  return found.map(([type, value, op]) => {
    // A map, list or text is named by the operation that has made it.
    const id = op ?? String(value)
    const [counter, actor] = id.split("@") as [string, string]
    const n = Number(counter)
    const change = metas.find(m => m.actor === actor && m.startOp <= n && n <= m.maxOp)
    return { id, time: BigInt(Math.trunc(Number(change?.time ?? 0))), value: nodeOf(h, type, value) }
  })
}

function nodeOf(h: Handle, type: string, value: unknown): Node {
  switch (type) {
    case "map": case "table": return { type: "map", value: new Map(h.keys(value as string).map(k => [k, at(h, value as string, k)])) }
    case "list": return { type: "list", value: Array.from({ length: h.length(value as string) }, (_, i) => at(h, value as string, i)) }
    case "text": return { type: "text", value: h.text(value as string) }
    case "str": return { type: "str", value: value as string }
    case "int": case "uint": case "counter": return { type, value: BigInt(value as number) }
    case "timestamp": return { type, value: BigInt((value as Date).getTime()) }
    case "f64": return { type, value: value as number }
    case "boolean": return { type, value: value as boolean }
    case "bytes": return { type, value: value as Uint8Array }
    case "null": return { type }
  }
  return { type: "unknown", code: 0, value: new Uint8Array() }
}

function at(h: Handle, obj: string, step: Step): Node {
  const [type, value] = h.getWithType(obj, step as never) as [string, unknown]
  return nodeOf(h, type, value)
}
