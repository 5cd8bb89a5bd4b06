// A page of an app that knows nothing of Syncline: a stock Repo with the stock adapter.
import { initializeWasm, Repo, type DocHandle, type DocumentId } from "@automerge/automerge-repo/slim"
import { BrowserWebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"

await initializeWasm(new Uint8Array(await (await fetch("/lib/automerge.wasm")).arrayBuffer()))

type Items = { items?: Record<string, Record<string, unknown>> }
let handle: DocHandle<Items>
const stock = {
  async find(url: string, doc: string): Promise<void> {
    const repo = new Repo({ network: [new BrowserWebSocketClientAdapter(url)] })
    handle = await repo.find<Items>(doc as DocumentId)
  },
  add(id: string): void { handle.change(d => { (d.items ??= {})[id] = { title: id } }) },
  titles: (): string[] => Object.keys(handle.doc().items ?? {}).sort(),
  heads: (): string => String(handle.heads()),
}
export type Stock = typeof stock
Object.assign(globalThis, { stock })
document.body.dataset.ready = "1"
