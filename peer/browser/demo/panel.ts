import type { LogEntry, Status } from "../src/index.ts"
import { at, h, list, mark, say, settled } from "./dom.ts"
import type { Link } from "./link.ts"
import type { Workspace } from "./workspace.ts"

/** How many changes are looked at for shares and ticks, and how many are listed. */
const looked = 400, listed = 60
/** How many of our last edits the chart has. */
const charted = 40

/** The side panel: how the peer stands, who wrote what, and the history. */
export class Panel {
  #latencies: number[] = []
  #titles = new Map<string, string>()
  readonly #refresh = settled(60, () => void this.#status())
  readonly #history = settled(120, () => void this.#log())

  constructor(readonly w: Workspace, readonly link: Link) {
    w.peer.on("status", this.#refresh)
    w.peer.on("progress", () => { this.#refresh(); this.#history() })
    w.peer.on("owner", this.#refresh)
    w.doc.onChange(() => { this.#refresh(); this.#history() })
    w.onPeople.add(this.#history)
    w.onAcknowledged = ms => this.#measured(ms)
    w.peer.live<{ c: string, id: string, t: string | null }>("SELECT _collection AS c, _id AS id, coalesce(_json->>'title', _json->>'name') AS t FROM _entities", [], rows => {
      this.#titles = new Map(rows.filter(r => r.t).map(r => [`${r.c}/${r.id}`, r.t!]))
      this.#history()
    })
    // The time until the next attempt, and how long ago things were, pass by themselves.
    setInterval(() => { if (document.visibilityState === "visible") { this.#refresh(); this.#ages() } }, 1000)
    void this.#status()
    void this.#log()
  }

  #measured(ms: number): void {
    this.#latencies = [...this.#latencies, ms].slice(-charted)
    const most = Math.max(...this.#latencies, 20)
    const bars = at("#latency")
    bars.replaceChildren(...this.#latencies.map(l => {
      const bar = h("i", { title: time(l) })
      // On a scale of logarithms: an edit that waited for a network is among others that took ms.
      bar.style.height = `${Math.max(6, 100 * Math.log1p(l) / Math.log1p(most))}%`
      return bar
    }))
    say(at("#latency-now"), `last edit ${time(ms)}`)
  }

  async #status(): Promise<void> {
    const s = await this.w.peer.status().catch(() => undefined)
    if (!s) return
    this.link.update(s)
    const figures = this.#figures(s)
    list(at("#figures"), figures, f => f.name, f => h("div", { title: f.about }, h("dt", {}, f.name), h("dd")), (e, f) => {
      say(e.lastElementChild!, f.value)
      mark(e, "data-alert", f.alert ?? false)
    })
  }

  #figures(s: Status): { name: string, value: string, about: string, alert?: boolean }[] {
    const remote = s.remotes[0]
    const retries = Object.values(s.counters.retries).reduce((a, b) => a + b, 0)
    const { p50, p99 } = s.reconciliation
    return [
      { name: "Journal", value: `${s.journal} changes`, about: "Rows of the append-only journal in this browser" },
      { name: "Not elsewhere yet", value: String(s.unacknowledged), about: "Changes made here that no other disk is known to have", alert: s.unacknowledged > 0 },
      { name: "Retries", value: remote?.state === "waiting" && remote.next ? `${retries}, next in ${Math.max(0, Math.ceil((remote.next - Date.now()) / 1000))} s` : String(retries), about: remote?.reason ?? "Attempts to connect again since the store was opened" },
      { name: "Reconciled in", value: p50 === null ? "–" : `≤ ${time(p50)} · ≤ ${time(p99 ?? p50)}`, about: "From an edit here until it is durable at another end: half of them, and 99 of 100" },
      { name: "In · out", value: remote ? `${bytes(remote.bytesIn)} · ${bytes(remote.bytesOut)}` : "–", about: "What has gone through the socket" },
      { name: "Kept in", value: s.store.kind === "opfs" ? `SQLite, ${bytes(s.store.usage)}` : "memory only", about: s.store.warning ?? "SQLite on this origin's private file system", alert: s.store.kind === "memory" },
      { name: "Tabs", value: String(s.tabs), about: "Tabs of this browser that share the store and the socket" },
    ]
  }

  async #log(): Promise<void> {
    const log = await this.w.log(looked).catch(() => undefined)
    if (!log) return
    this.#shares(log)
    list(at("#history"), grouped(log).slice(0, listed), e => e.first, e => this.#entry(e), (row, e) => {
      const p = this.w.author(e.device)
      row.querySelector(".dot")!.className = `dot ${this.w.colour(p?.id)}`
      say(row.querySelector("b")!, e.own ? "You" : this.w.called(p))
      say(row.querySelector("span")!, `${this.#told(e.intent)}${e.times > 1 ? `, ${e.times} times` : ""}`)
      mark(row.querySelector("time")!, "datetime", new Date(e.time).toISOString())
      mark(row, "data-state", e.state ?? false)
      mark(row, "title", `${e.intent || "a change"}\nchange ${e.hash.slice(0, 12)}, actor ${e.actor.slice(0, 12)}${e.state ? `\n${e.state}` : ""}`)
    })
    const ticks = log.slice(0, 120).reverse()
    list(at("#ticks"), ticks, e => e.hash, () => h("i"), (tick, e) => { tick.className = this.w.colour(this.w.author(e.device)?.id) })
    this.#ages()
  }

  #entry(e: LogEntry): HTMLElement {
    return h("li", {}, h("i", { class: "dot" }), h("p", {}, h("b"), " ", h("span")), h("time", { datetime: new Date(e.time).toISOString() }))
  }

  /** How long ago the listed changes were made. */
  #ages(): void {
    for (const t of document.querySelectorAll<HTMLTimeElement>("#history time")) say(t, age(Date.now() - Date.parse(t.dateTime)))
  }

  #shares(log: LogEntry[]): void {
    const all = new Map<string, { key: string, name: string, colour: string, changes: number, size: number, native: boolean }>()
    for (const e of log) {
      const p = this.w.author(e.device)
      const key = e.own ? this.w.me : p?.id ?? e.device
      const share = all.get(key) ?? { key, name: e.own ? "You" : p?.name ?? "Somebody", colour: this.w.colour(e.own ? this.w.me : p?.id), changes: 0, size: 0, native: p?.kind === "native" }
      share.changes++
      share.size += e.size
      all.set(key, share)
    }
    const shares = [...all.values()].sort((a, b) => b.changes - a.changes)
    const most = Math.max(1, ...shares.map(s => s.changes))
    list(at("#shares"), shares, s => s.key, () => h("li", {}, h("span", { class: "label" }), h("span", { class: "bar" }, h("i")), h("span", { class: "n" })), (e, s) => {
      say(e.querySelector(".label")!, s.native ? `${s.name} (Go)` : s.name)
      const bar = e.querySelector<HTMLElement>(".bar i")!
      bar.className = s.colour
      bar.style.width = `${100 * s.changes / most}%`
      say(e.querySelector(".n")!, String(s.changes))
      mark(e, "title", `${s.changes} changes with ${s.size} operations, of the last ${looked}`)
    })
  }

  /** What a change says of itself, in words: "update todos/ab12; …". */
  #told(intent: string): string {
    const steps = intent.split("; ").map(step => /^(\w+) (\w+)\/(.*)$/.exec(step)).filter(m => m !== null)
    if (steps.length === 0) return intent || "changed something"
    const [, verb, collection, id] = steps[0]! as unknown as [string, string, string, string]
    const more = steps.length > 1 ? ` and ${steps.length - 1} more` : ""
    if (collection === "notes") return verb === "create" ? "began the notes" : "wrote in the notes"
    if (collection === "people") return verb === "create" ? "joined" : "gave a name"
    const title = this.#titles.get(`${collection}/${id}`)
    const thing = title ? `“${title.length > 32 ? `${title.slice(0, 31)}…` : title}”` : collection === "todos" ? "a task" : "an item"
    return `${{ create: "added", delete: "removed", increment: "counted", edit: "retitled" }[verb] ?? "changed"} ${thing}${more}`
  }
}

/** Changes in a row that say the same of themselves, as the letters of a text do, are one line: that of the last, named by the first. */
function grouped(log: LogEntry[]): (LogEntry & { times: number, first: string })[] {
  const groups: (LogEntry & { times: number, first: string })[] = []
  for (const e of log) {
    const last = groups.at(-1)
    if (last && last.actor === e.actor && last.intent === e.intent) {
      last.times++
      last.first = e.hash
      if (e.state === "local") last.state = "local"
    } else groups.push({ ...e, times: 1, first: e.hash })
  }
  return groups
}

const time = (ms: number): string => ms < 1 ? "1 ms" : ms < 1000 ? `${Math.round(ms)} ms` : ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : Number.isFinite(ms) ? `${Math.round(ms / 60_000)} min` : "days"
const bytes = (n: number): string => n < 1000 ? `${n} B` : n < 999_500 ? `${Math.round(n / 1000)} KB` : `${(n / 1e6).toFixed(1)} MB`
/** The clocks of others may be ahead. */
const age = (ms: number): string => ms < 5000 ? "now" : ms < 60_000 ? `${Math.floor(ms / 1000)} s` : ms < 3_600_000 ? `${Math.floor(ms / 60_000)} min` : ms < 86_400_000 ? `${Math.floor(ms / 3_600_000)} h` : `${Math.floor(ms / 86_400_000)} d`
