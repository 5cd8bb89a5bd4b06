// Worker: plain @automerge/automerge. Makes random histories, loads and applies
// chunks, and plays one end of the sync protocol. Documents and sync states live
// here under integer handles that Go holds.

import * as A from "@automerge/automerge"
import { bytes, serve } from "./protocol.mjs"
import { history, Random, step } from "./random.mjs"
import { perform } from "./ops.mjs"
import { dump, toJSON } from "./values.mjs"

class Handles {
  #next = 1
  #held = new Map()
  constructor(kind) { this.kind = kind }
  add(value) {
    this.#held.set(this.#next, value)
    return this.#next++
  }
  get(id) {
    if (!this.#held.has(id)) throw new Error(`no ${this.kind} has handle ${id}`)
    return this.#held.get(id)
  }
  set(id, value) { this.#held.set(id, value) }
  delete(id) { this.#held.delete(id) }
}

const docs = new Handles("document")
const states = new Handles("sync state")
const heads = doc => [...A.getHeads(doc)].sort()

function put(id, doc) {
  docs.set(id, doc)
  return { heads: heads(doc) }
}

serve({
  /** count histories of seeds seed, seed+1, …, each of least to most changes. */
  histories: ({ seed, count, least, most }) => ({
    histories: Array.from({ length: count }, (_, i) => {
      const doc = history(BigInt(seed) + BigInt(i), { least, most })
      const made = { ...dump(doc), changes: A.getAllChanges(doc), saved: A.save(doc) }
      A.free(doc)
      return made
    }),
  }),

  /** Loads chunks from nothing, reports what they hold, and forgets them. */
  inspect: ({ chunks }) => {
    let doc = A.init()
    for (const chunk of chunks) doc = A.loadIncremental(doc, bytes(chunk))
    const seen = { ...dump(doc), changes: A.getAllChanges(doc), saved: A.save(doc) }
    A.free(doc)
    return seen
  },

  create: ({ actor }) => ({ doc: docs.add(actor ? A.init(actor) : A.init()) }),
  load: ({ data, actor }) => ({ doc: docs.add(A.load(bytes(data), actor ? { actor } : undefined)) }),
  fork: ({ doc, actor }) => ({ doc: docs.add(A.clone(docs.get(doc), actor ? { actor } : undefined)) }),
  free: ({ doc }) => {
    A.free(docs.get(doc))
    docs.delete(doc)
  },

  apply: ({ doc, changes }) => put(doc, A.applyChanges(docs.get(doc), changes.map(bytes))[0]),
  loadIncremental: ({ doc, data }) => put(doc, A.loadIncremental(docs.get(doc), bytes(data))),
  merge: ({ doc, from }) => put(doc, A.merge(docs.get(doc), docs.get(from))),
  change: ({ doc, ops, message, time }) => put(doc, A.change(docs.get(doc), { message, time }, d => perform(d, ops))),
  random: ({ doc, seed, count }) => {
    const r = new Random(BigInt(seed))
    let edited = docs.get(doc)
    for (let i = 0; i < count; i++) edited = step(r, edited)
    return put(doc, edited)
  },

  dump: ({ doc }) => dump(docs.get(doc)),
  heads: ({ doc }) => ({ heads: heads(docs.get(doc)) }),
  save: ({ doc }) => ({ data: A.save(docs.get(doc)) }),
  bundle: ({ doc, hashes }) => ({ data: A.saveBundle(docs.get(doc), hashes) }),
  changes: ({ doc, since }) => ({ changes: A.getChangesSince(docs.get(doc), since ?? []) }),
  spans: ({ doc, path }) => ({ spans: toJSON(A.spans(docs.get(doc), path)) }),

  syncNew: () => ({ state: states.add(A.initSyncState()) }),
  syncDecode: ({ data }) => ({ state: states.add(A.decodeSyncState(bytes(data))) }),
  syncEncode: ({ state }) => ({ data: A.encodeSyncState(states.get(state)) }),
  syncFree: ({ state }) => states.delete(state),
  syncGenerate: ({ doc, state }) => {
    const [next, message] = A.generateSyncMessage(docs.get(doc), states.get(state))
    states.set(state, next)
    return { message }
  },
  syncReceive: ({ doc, state, message }) => {
    const [received, next] = A.receiveSyncMessage(docs.get(doc), states.get(state), bytes(message))
    states.set(state, next)
    return put(doc, received)
  },
  syncDescribe: ({ message }) => {
    const { heads, need, have, changes } = A.decodeSyncMessage(bytes(message))
    return { heads, need, have: have.map(h => ({ lastSync: h.lastSync, bloom: h.bloom })), changes }
  },
})
