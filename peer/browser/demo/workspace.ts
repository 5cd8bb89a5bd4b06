import { create, open, set, update, type Document, type LogEntry, type Operation, type Peer, type Receipt, type Status, type Warning } from "../src/index.ts"

/** Who takes part: one for each browser and each native peer. */
export interface Person { id: string, name: string, kind: string, device: string }

/** The fields that SQL sees as columns. */
const schema = {
  todos: ["title", "state", "priority", "owner"],
  inventory: ["name", "count", "price", "stage", "tags"],
  people: ["name", "kind", "device"],
}
const names = ["Ida", "Milo", "Nora", "Emil", "Lena", "Noah", "Juna", "Theo", "Mara", "Levi", "Elsa", "Hugo"]
/** How many colours people have. */
const colours = 8

/** What a browser remembers: which store has a document, the last document, one's name, the token for the relay. */
export const memory = {
  store: (doc: string): string => localStorage.getItem(`syncline-store-${doc}`) ?? `doc-${doc}`,
  me(doc: string): string {
    const key = `syncline-me-${doc}`
    let me = localStorage.getItem(key)
    if (!me) localStorage.setItem(key, me = freshId())
    return me
  },
  token: (): string | undefined => localStorage.getItem("syncline-token") ?? undefined,
  name(): string {
    let name = localStorage.getItem("syncline-name")
    if (!name) localStorage.setItem("syncline-name", name = names[Math.floor(Math.random() * names.length)]!)
    return name
  },
}

/** A short name for an entity. */
export const freshId = (): string => crypto.randomUUID().slice(0, 8)

/** How an edit went, for the panel: the time until another end had it on its disk, in ms. */
export type OnAcknowledged = (ms: number) => void

/** A document with the people in it, which the parts of the page share. */
export class Workspace {
  people: Person[] = []
  onPeople = new Set<() => void>()
  onAcknowledged: OnAcknowledged = () => {}
  onRefused: (message: string) => void = () => {}
  #colours = new Map<string, number>()

  private constructor(readonly peer: Peer, readonly doc: Document, readonly me: string) {}

  /**
   * Opens the document that the address names, or the one of the last time, or makes one. waiting is called when
   * the document is not here and nobody has brought it yet. A token in the address is kept, and taken out of it:
   * people copy addresses.
   */
  static async open(waiting: (s: Status) => void, onWarning: (w: Warning) => void): Promise<Workspace> {
    const { doc: named, token } = fragment(location.hash)
    if (token) localStorage.setItem("syncline-token", token)
    const wanted = named ?? localStorage.getItem("syncline-last") ?? undefined
    const store = wanted ? memory.store(wanted) : `made-${freshId()}`
    const url = new URL("/", location.href.replace(/^http/, "ws")).href
    const peer = await open({ name: store, remotes: [{ url }], token: memory.token, schema, assets: new URL("/", location.href), onWarning })
    const doc = wanted ? await find(peer, wanted, waiting) : await peer.create()
    localStorage.setItem(`syncline-store-${doc.id}`, store)
    localStorage.setItem("syncline-last", doc.id)
    history.replaceState(null, "", `#${doc.id}`)
    const w = new Workspace(peer, doc, memory.me(doc.id))
    peer.live<Row>("SELECT _id AS id, name, kind, device FROM people ORDER BY _id", [], rows => w.#meet(rows))
    await w.#join()
    return w
  }

  /** Carries edits out, and tells when another end has them. An edit that is refused is said, and undefined. */
  async do(...ops: Operation[]): Promise<Receipt | undefined> {
    const start = performance.now()
    try {
      const receipt = await this.doc.apply(ops)
      receipt.wait("acknowledged", { timeout: 60_000 }).then(() => this.onAcknowledged(performance.now() - start), () => {})
      return receipt
    } catch (error) {
      const { code, message } = error as { code?: string, message: string }
      // Both mean that somebody else was first.
      if (code !== "no-change" && code !== "not-found") this.onRefused(message)
      return undefined
    }
  }

  async #join(): Promise<void> {
    if (await this.doc.entity("people", this.me)) return
    const receipt = await this.do(create("people", this.me, { name: memory.name(), kind: "browser" }))
    // The name that a change's author has is known once there is a change.
    if (receipt) await this.do(set("people", this.me, "device", receipt.data.device))
  }

  async rename(name: string): Promise<void> {
    localStorage.setItem("syncline-name", name)
    await this.do(update("people", this.me, { name }))
  }

  #meet(rows: Row[]): void {
    this.people = rows.map(r => ({ id: r.id, name: r.name || "Somebody", kind: r.kind ?? "", device: r.device ?? "" }))
    const taken = new Set<number>()
    this.#colours.clear()
    for (const p of this.people) {
      let c = [...p.id].reduce((n, x) => n * 31 + x.codePointAt(0)! >>> 0, 7) % colours
      for (let i = 0; i < colours && taken.has(c); i++) c = (c + 1) % colours
      taken.add(c)
      this.#colours.set(p.id, c)
    }
    for (const f of this.onPeople) f()
  }

  person(id: string): Person | undefined { return this.people.find(p => p.id === id) }
  /** Who has made a change. */
  author(device: string): Person | undefined { return this.people.find(p => p.device === device) }
  /** A class for what belongs to somebody. */
  colour(id: string | undefined): string { return id !== undefined && this.#colours.has(id) ? `who-${this.#colours.get(id)}` : "who-none" }
  /** "You", or the name. */
  called(p: Person | undefined): string { return p === undefined ? "Somebody" : p.id === this.me ? "You" : p.name }
  /** The changes, the newest first. */
  log(limit: number): Promise<LogEntry[]> { return this.doc.log({ limit }) }
}

type Row = { id: string, name: string, kind: string | null, device: string | null }

/** What the address asks for: #DOC, #DOC&token=TOKEN or #token=TOKEN. */
function fragment(hash: string): { doc: string | undefined, token: string | undefined } {
  const m = /^#(?:automerge:)?(\w{20,})?&?(?:token=([\w.-]+))?/.exec(hash)
  return { doc: m?.[1], token: m?.[2] }
}

async function find(peer: Peer, id: string, waiting: (s: Status) => void): Promise<Document> {
  for (let timeout = 1500; ; timeout = 20_000) {
    try {
      return await peer.find(id, { timeout })
    } catch (error) {
      if ((error as { code?: string }).code !== "unavailable") throw error
      waiting(await peer.status())
    }
  }
}
