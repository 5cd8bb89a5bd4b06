// A page of an app written with React, with our hooks.
import * as React from "react"
import { createRoot } from "react-dom/client"
import { create, increment, open, remove, Counter, type Document, type Peer } from "../../src/index.ts"
import { hooks } from "../../src/react.ts"

const { useLive, useEntity, useStatus } = hooks(React)
const e = React.createElement

const peer: Peer = await open({ name: "react", assets: "/lib/", onWarning: () => {} })
const doc: Document = await peer.create()

function Items({ atLeast }: { atLeast: number }): React.ReactNode {
  const rows = useLive<{ id: string }>(peer, "SELECT _id AS id FROM items WHERE _json->>'n' >= ? ORDER BY _id", [atLeast])
  return e("p", { id: "rows" }, rows ? rows.map(r => r.id).join() : "not yet")
}

function Item({ id }: { id: string }): React.ReactNode {
  const fields = useEntity(doc, "items", id)
  return e("p", { id: "fields" }, fields ? `${id} ${String(fields["n"])}` : "none")
}

function Page(): React.ReactNode {
  const [atLeast, setAtLeast] = React.useState(0), [id, setId] = React.useState("a")
  const status = useStatus(peer)
  Object.assign(globalThis, { app: {
    atLeast: setAtLeast, show: setId,
    add: (id: string, n: number) => doc.apply(create("items", id, { n: new Counter(n) })).then(() => {}),
    count: (id: string) => doc.apply(increment("items", id, "n", 1)).then(() => {}),
    remove: (id: string) => doc.apply(remove("items", id)).then(() => {}),
    unmount: () => root.unmount(), liveQueries: async () => (await peer.status()).liveQueries,
  } satisfies ReactApp })
  return e(React.StrictMode, null, e(Items, { atLeast }), e(Item, { id }), e("p", { id: "journal" }, status ? String(status.journal) : "not yet"))
}

export interface ReactApp {
  atLeast(n: number): void
  show(id: string): void
  add(id: string, n: number): Promise<void>
  count(id: string): Promise<void>
  remove(id: string): Promise<void>
  unmount(): void
  liveQueries(): Promise<number>
}
const root = createRoot(document.body.appendChild(document.createElement("main")))
root.render(e(Page))
document.body.dataset.ready = "1"
