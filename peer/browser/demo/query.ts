import { at, h, list, mark, say, settled } from "./dom.ts"
import type { Board } from "./board.ts"
import type { Workspace } from "./workspace.ts"

const columns = "_id, title, state, priority, owner"

/** The filters of the board: each is SQL that anybody may read, and change. */
export class Query {
  readonly #field = at<HTMLTextAreaElement>("#sql")
  readonly #filters: { name: string, sql: string }[]
  #stop: (() => void) | undefined

  constructor(readonly w: Workspace, readonly board: Board) {
    const of = (where: string): string => `SELECT ${columns} FROM todos${where} ORDER BY priority, title`
    this.#filters = [
      { name: "All", sql: of("") },
      { name: "Mine", sql: of(` WHERE owner = '${w.me}'`) },
      { name: "Urgent", sql: of(" WHERE priority = 1") },
      { name: "Open", sql: of(" WHERE state <> 'done'") },
      { name: "By person", sql: "SELECT coalesce(p.name, 'nobody') AS person, count(*) AS tasks, sum(t.state = 'done') AS done FROM todos t LEFT JOIN people p ON p._id = t.owner GROUP BY 1 ORDER BY 2 DESC" },
    ]
    list(at("#filters"), this.#filters, f => f.name, f => h("button", { class: "chip", "aria-pressed": "false", onclick: () => this.#choose(f.sql) }, f.name))
    this.#field.addEventListener("input", settled(250, () => this.#run()))
    this.#field.addEventListener("input", () => this.#fit())
    addEventListener("resize", settled(100, () => this.#fit()))
    this.#choose(this.#filters[0]!.sql)
  }

  #choose(sql: string): void {
    this.#field.value = sql
    this.#fit()
    this.#run()
  }

  /** The field is as high as its text. */
  #fit(): void {
    this.#field.style.height = "auto"
    this.#field.style.height = `${this.#field.scrollHeight}px`
  }

  #run(): void {
    const sql = this.#field.value.trim()
    for (const [i, f] of this.#filters.entries()) mark(at("#filters").children[i]!, "aria-pressed", String(f.sql === sql))
    this.#stop?.()
    this.#stop = undefined
    if (!sql) return this.#fail("Write a query, or choose a filter.")
    this.#stop = this.w.peer.live(sql, [], rows => this.#rows(rows), e => this.#fail(e.message.replace(/^SQLITE_\w+: sqlite3 result code \d+: /, "")))
  }

  #fail(message: string): void {
    at("#sql-said").dataset.kind = "error"
    say(at("#sql-said"), message)
  }

  #rows(rows: { [column: string]: unknown }[]): void {
    at("#sql-said").dataset.kind = "rows"
    say(at("#sql-said"), `${rows.length} ${rows.length === 1 ? "row" : "rows"}, live`)
    const cards = rows.length === 0 || rows.every(r => typeof r["_id"] === "string")
    at("#columns").hidden = !cards
    at("#result").hidden = cards
    if (cards) return this.board.show(rows.map(r => String(r["_id"])))
    const names = Object.keys(rows[0]!)
    const table = h("table", {}, h("thead", {}, h("tr", {}, ...names.map(n => h("th", { scope: "col" }, n)))),
      h("tbody", {}, ...rows.slice(0, 200).map(r => h("tr", {}, ...names.map(n => h("td", {}, r[n] === null ? "–" : String(r[n])))))))
    at("#result").replaceChildren(table)
  }
}
