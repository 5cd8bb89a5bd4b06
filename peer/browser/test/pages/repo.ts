// A page of an app that has a Repo already and keeps it, with our adapters.
import { initializeWasm, Repo, type DocHandle, type DocumentId } from "@automerge/automerge-repo/slim"
import { open, type Peer } from "../../src/index.ts"
import { SynclineNetworkAdapter, SynclineStorageAdapter } from "../../src/repo.ts"

await initializeWasm(new Uint8Array(await (await fetch("/lib/automerge.wasm")).arrayBuffer()))

type Items = { items?: Record<string, Record<string, unknown>> }
let handle: DocHandle<Items>, peer: Peer
const app = {
  async open(url: string | undefined, doc?: string): Promise<string> {
    peer = await open({ name: "test", assets: "/lib/", onWarning: () => {}, ...url && { remotes: [{ url }] } })
    const repo = new Repo({ network: [new SynclineNetworkAdapter(peer)] })
    handle = doc ? await repo.find<Items>(doc as DocumentId) : repo.create<Items>({ items: {} })
    return handle.documentId
  },
  add(id: string): void { handle.change(d => { (d.items ??= {})[id] = { title: id } }) },
  titles: (): string[] => Object.keys(handle.doc().items ?? {}).sort(),
  rows: async (): Promise<string[]> => (await peer.query("SELECT _id FROM items ORDER BY _id")).map(r => String(r["_id"])),
  /** A Repo that keeps its documents in our store by its own means: what it has, after it was made anew. */
  async storage(doc?: string): Promise<{ doc: string, titles: string[] }> {
    peer ??= await open({ name: "test", assets: "/lib/", onWarning: () => {} })
    const repo = new Repo({ storage: new SynclineStorageAdapter(peer), network: [] })
    const h = doc ? await repo.find<Items>(doc as DocumentId) : repo.create<Items>({ items: { kept: { title: "kept" } } })
    await repo.flush()
    return { doc: h.documentId, titles: Object.keys(h.doc().items ?? {}) }
  },
}
export type App = typeof app
Object.assign(globalThis, { app })
document.body.dataset.ready = "1"
