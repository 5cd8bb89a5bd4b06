// Scripted edits: what a test asks for by name, done through the public API
// inside one change, as an application would.

import * as A from "@automerge/automerge"
import { fromJSON } from "./values.mjs"

const parent = (doc, path) => path.slice(0, -1).reduce((at, prop) => at[prop], doc)
const last = path => path[path.length - 1]
const at = (doc, path) => path.reduce((here, prop) => here[prop], doc)

const edits = {
  set: (d, op) => { parent(d, op.path)[last(op.path)] = fromJSON(op.value) },
  delete: (d, op) => {
    const holder = parent(d, op.path)
    if (Array.isArray(holder)) holder.splice(last(op.path), 1)
    else delete holder[last(op.path)]
  },
  insert: (d, op) => { at(d, op.path).splice(op.index, 0, ...op.values.map(fromJSON)) },
  push: (d, op) => { at(d, op.path).push(...op.values.map(fromJSON)) },
  remove: (d, op) => { at(d, op.path).splice(op.index, op.del ?? 1) },
  increment: (d, op) => { at(d, op.path).increment(op.by ?? 1) },
  splice: (d, op) => A.splice(d, op.path, op.index, op.del ?? 0, op.text ?? ""),
  append: (d, op) => A.splice(d, op.path, at(d, op.path).length, 0, op.text),
  updateText: (d, op) => A.updateText(d, op.path, op.text),
  mark: (d, op) => A.mark(d, op.path, { start: op.start, end: op.end, expand: op.expand ?? "after" }, op.name, fromJSON(op.value)),
  unmark: (d, op) => A.unmark(d, op.path, { start: op.start, end: op.end, expand: op.expand ?? "after" }, op.name),
  splitBlock: (d, op) => A.splitBlock(d, op.path, op.index, block(op)),
  joinBlock: (d, op) => A.joinBlock(d, op.path, op.index),
  updateBlock: (d, op) => A.updateBlock(d, op.path, op.index, block(op)),
}

const block = op => fromJSON(op.value ?? { type: "paragraph", parents: [], attrs: {} })

/** Applies ops, [{op, path, …}], to a document that is being changed. */
export function perform(doc, ops) {
  for (const op of ops) {
    const edit = edits[op.op]
    if (!edit) throw new Error(`no such edit: ${op.op}`)
    edit(doc, op)
  }
}
