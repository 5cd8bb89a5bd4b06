// Worker: stock automerge-repo clients. One process may hold several, each with
// its own repo and connection, under an integer handle. Methods that wait do so
// on events and without a limit of their own; the caller's context is the limit.

import * as A from "@automerge/automerge"
import { generateAutomergeUrl, parseAutomergeUrl } from "@automerge/automerge-repo"
import { Client } from "./client.mjs"
import { perform } from "./ops.mjs"
import { bytes, serve, strays } from "./protocol.mjs"
import { Random, step } from "./random.mjs"
import { dump, toJSON } from "./values.mjs"

const clients = new Map()
let next = 1

function client(id) {
  if (!clients.has(id)) throw new Error(`no client has handle ${id}`)
  return clients.get(id)
}

const state = (c, handle) => ({ doc: handle.documentId, heads: c.heads(handle.documentId) })

serve({
  open: ({ url, peerId, storage, retryMs }) => {
    const opened = new Client({ url, peerId: peerId || undefined, storage: storage || undefined, retryMs: retryMs || undefined })
    clients.set(next, opened)
    return { client: next++, peerId: opened.repo.peerId }
  },
  connected: async ({ client: id }) => {
    const c = client(id)
    await c.connected()
    const peerId = c.repo.peers[0]
    return { peerId, metadata: c.repo.peerMetadataByPeerId[peerId] ?? null }
  },
  disconnected: ({ client: id }) => client(id).disconnected(),
  disconnect: ({ client: id }) => client(id).disconnect(),
  connect: ({ client: id }) => client(id).connect(),
  drop: ({ client: id }) => client(id).drop(),
  close: async ({ client: id }) => {
    await client(id).close()
    clients.delete(id)
  },

  newDocumentId: () => ({ doc: parseAutomergeUrl(generateAutomergeUrl()).documentId }),
  create: ({ client: id, ops }) => {
    const c = client(id)
    const handle = c.listen(c.repo.create())
    if (ops?.length > 0) handle.change(d => perform(d, ops))
    return state(c, handle)
  },
  /** Takes a saved document in, under a given id or a new one. */
  import: ({ client: id, data, doc }) => {
    const c = client(id)
    const handle = c.listen(c.repo.import(bytes(data), doc ? { docId: doc } : undefined))
    if (!handle.isReady()) handle.doneLoading()
    return state(c, handle)
  },
  find: async ({ client: id, doc }) => {
    const c = client(id)
    try {
      const handle = c.listen(await c.repo.find(doc))
      return { found: true, ...state(c, handle) }
    } catch (error) {
      if (!/is unavailable/.test(error.message)) throw error
      return { found: false, doc, heads: [] }
    }
  },

  change: ({ client: id, doc, ops }) => {
    const c = client(id)
    c.handle(doc).change(d => perform(d, ops))
    return state(c, c.handle(doc))
  },
  /** Makes count random changes, chosen by seed. */
  random: ({ client: id, doc, seed, count }) => {
    const c = client(id)
    const r = new Random(BigInt(seed))
    for (let i = 0; i < count; i++) c.handle(doc).update(before => step(r, before))
    return state(c, c.handle(doc))
  },
  dump: ({ client: id, doc }) => dump(client(id).handle(doc).doc()),
  heads: ({ client: id, doc }) => ({ heads: client(id).heads(doc) }),
  text: ({ client: id, doc, path }) => ({ text: path.reduce((at, prop) => at[prop], client(id).handle(doc).doc()) }),
  spans: ({ client: id, doc, path }) => ({ spans: toJSON(A.spans(client(id).handle(doc).doc(), path)) }),
  save: ({ client: id, doc }) => ({ data: A.save(client(id).handle(doc).doc()) }),

  waitHeads: async ({ client: id, doc, heads }) => {
    const c = client(id)
    const wanted = [...heads].sort().join()
    await c.until(doc, () => c.heads(doc).join() === wanted)
  },
  waitHas: async ({ client: id, doc, heads }) => {
    const c = client(id)
    await c.until(doc, () => A.hasHeads(c.handle(doc).doc(), heads))
    return { heads: c.heads(doc) }
  },
  acknowledged: ({ client: id, doc }) => ({ heads: client(id).acknowledged(doc) }),
  waitAcknowledged: async ({ client: id, doc, heads }) => {
    const c = client(id)
    const wanted = heads ?? c.heads(doc)
    await c.until(doc, () => c.hasAcknowledged(doc, wanted))
    return { heads: c.acknowledged(doc) }
  },
  waitSaved: ({ client: id, doc }) => client(id).untilSaved(doc),

  broadcast: ({ client: id, doc, message }) => client(id).handle(doc).broadcast(message),
  ephemeral: ({ client: id, doc }) => client(id).ephemeral(doc),
  waitEphemeral: async ({ client: id, doc, count }) => {
    const c = client(id)
    await c.until(doc, () => c.ephemeral(doc).received.length >= count)
    return c.ephemeral(doc)
  },

  traffic: ({ client: id }) => client(id).adapter.traffic,
  strays: () => ({ strays }),
})
