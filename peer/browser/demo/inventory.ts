import { Counter, create, Float, increment, mergeSet, remove, Scalar, set } from "../src/index.ts"
import { at, h, icon, list, mark, say } from "./dom.ts"
import { bindWhileFocused } from "./field.ts"
import { contested, money, rules, show, stages, type Contested } from "./rules.ts"
import { freshId, type Workspace } from "./workspace.ts"

/** A row of the inventory. tags is JSON. */
interface Item { id: string, name: string, count: number, price: number, stage: string, tags: string, conflict: number }
type Shown = Item & { contested: Contested[] }

/** Things with numbers, whose concurrent edits are merged by what the fields mean; sets of concurrent values are shown. */
export class Inventory {
  #rows: Item[] = []
  #items: Shown[] = []
  #turn = 0

  constructor(readonly w: Workspace) {
    w.peer.live<Item & { [k: string]: string | number }>("SELECT _id AS id, name, count, price, stage, tags, _conflict AS conflict FROM inventory ORDER BY name, _id", [], rows => { this.#rows = rows; void this.#read() })
    // A set may grow while the row stays as it is.
    w.doc.onChange(c => { if (c.entities["inventory"]) void this.#read() })
    w.onPeople.add(() => this.#draw())
    at("#add-item").addEventListener("submit", e => {
      e.preventDefault()
      const field = at<HTMLInputElement>("#new-item")
      const name = field.value.trim()
      field.value = ""
      if (name) void w.do(create("inventory", freshId(), { name, count: new Counter(1), price: new Float(1), stage: new Scalar("planned"), tags: [] }))
    })
  }

  /** Joins the sets of concurrent values to the rows. Only the last of several turns is shown. */
  async #read(): Promise<void> {
    const turn = ++this.#turn
    const read = await Promise.all(this.#rows.map(async r => ({ ...r, contested: r.conflict ? await this.#contested(r.id).catch(() => []) : [] })))
    if (turn !== this.#turn) return
    this.#items = read
    this.#draw()
  }

  async #contested(id: string): Promise<Contested[]> {
    const { doc } = this.w
    const all = await Promise.all(Object.entries(rules).map(async ([field, { rule }]) => {
      const set = await doc.candidates("inventory", id, field)
      return set.length > 1 ? contested(field, set, mergeSet(rule, set)) : undefined
    }))
    return all.filter(c => c !== undefined)
  }

  #draw(): void {
    const box = at("#items")
    list(box, this.#items, i => i.id, i => this.#make(i.id), (e, i) => this.#update(e, i))
    mark(box, "data-empty", this.#items.length === 0 ? "Nothing in stock. Add the first item above." : false)
  }

  #item(id: string): Shown | undefined { return this.#items.find(i => i.id === id) }

  #make(id: string): HTMLElement {
    const { w } = this
    const name = h("input", { class: "name", "aria-label": "Name", maxlength: 80 })
    bindWhileFocused(w, ["inventory", id, "name"], name, () => this.#draw())
    const price = h("input", { class: "price", inputmode: "decimal", "aria-label": "Price", onchange: () => this.#price(id, price), onkeydown: (e: KeyboardEvent) => { if (e.key === "Enter") price.blur() } })
    const stage = h("select", { class: "stage", "aria-label": "Stage", onchange: () => void w.do(set("inventory", id, "stage", new Scalar(stage.value))) },
      ...stages.map(s => h("option", { value: s }, s)))
    const tag = h("input", { class: "tag-field", placeholder: "tag", "aria-label": "Add a tag", maxlength: 24, onkeydown: (e: KeyboardEvent) => { if (e.key === "Enter") this.#tag(id, tag) }, onchange: () => this.#tag(id, tag) })
    const count = (by: number, sign: string, label: string) => h("button", { class: "mini", "aria-label": label, onclick: () => void w.do(increment("inventory", id, "count", by)) }, sign)
    return h("article", { class: "item", "data-entity": `inventory/${id}` },
      h("div", { class: "line" },
        name,
        h("div", { class: "stepper", role: "group", "aria-label": "Count", title: "A counter: what everybody adds is added up" }, count(-1, "−", "One less"), h("output"), count(1, "+", "One more")),
        h("label", { class: "money", title: "Of several at once, the largest" }, price),
        stage,
        h("div", { class: "tags" }, h("span", { class: "list" }), tag),
        h("button", { class: "mini", "aria-label": "Delete", title: "Delete", onclick: () => void w.do(remove("inventory", id)) }, icon("x"))),
      h("div", { class: "sets" }))
  }

  #update(e: HTMLElement, i: Shown): void {
    const value = (field: keyof Item): unknown => i.contested.find(c => c.field === field)?.value ?? i[field]
    const name = at<HTMLInputElement>(".name", e), price = at<HTMLInputElement>(".price", e)
    if (document.activeElement !== name) name.value = i.name
    if (document.activeElement !== price) price.value = money(Number(value("price")))
    at<HTMLSelectElement>(".stage", e).value = String(value("stage"))
    say(at("output", e), String(i.count))
    const tags = tagsOf(value("tags"))
    list(at(".tags .list", e), tags, t => t, t => h("button", { class: "tag", title: `Remove ${t}`, "aria-label": `Remove the tag ${t}`, onclick: () => this.#untag(i.id, t) }, t))
    list(at(".sets", e), i.contested, c => c.field, () => h("div", { class: "set" }), (box, c) => this.#set(box, i.id, c))
    mark(e, "aria-label", i.name)
    mark(e, "data-contested", i.contested.length > 0)
  }

  /** The set of concurrent values of one field: who wrote which, what the rule makes of it, and a way to settle it. */
  #set(box: HTMLElement, id: string, c: Contested): void {
    const people = c.set.map(v => this.w.author(v.author))
    const shown = JSON.stringify([c, people.map(p => [p?.name, this.w.colour(p?.id)])])
    if (box.dataset.shown === shown) return
    box.dataset.shown = shown
    const candidates = c.set.map((v, i) => h("span", { class: "candidate", "data-chosen": v.chosen, title: v.chosen ? "The rule chooses this one" : "Kept beside the others" },
      h("i", { class: `dot ${this.w.colour(people[i]?.id)}` }), `${v.shown} `, h("small", {}, this.w.called(people[i]))))
    const settle = h("button", { class: "plain", onclick: () => void this.w.do(set("inventory", id, c.field, writable(c))) }, "Settle")
    box.replaceChildren(h("span", { class: "what" }, `${c.field}: ${c.set.length} at once, ${c.meaning}`), ...candidates, h("span", { class: "chosen" }, "→ ", show(c.value)), settle)
  }

  #price(id: string, field: HTMLInputElement): void {
    const v = Number(field.value.replaceAll(/\s/g, "").replace(",", "."))
    if (field.value.trim() !== "" && Number.isFinite(v) && v >= 0) void this.w.do(set("inventory", id, "price", new Float(Math.round(v * 100) / 100)))
    this.#draw()
  }

  #tag(id: string, field: HTMLInputElement): void {
    const tag = field.value.trim().toLowerCase()
    field.value = ""
    const i = this.#item(id)
    if (!tag || !i) return
    const tags = tagsNow(i)
    // Replaced as a whole: the union rule joins lists that were replaced at once.
    if (!tags.includes(tag)) void this.w.do(set("inventory", id, "tags", [...tags, tag].map(t => new Scalar(t))))
  }

  #untag(id: string, tag: string): void {
    const i = this.#item(id)
    if (i) void this.w.do(set("inventory", id, "tags", tagsNow(i).filter(t => t !== tag).map(t => new Scalar(t))))
  }
}

/** The merged value as it is written, which settles the set. */
function writable(c: Contested): Float | Scalar | Scalar[] {
  if (typeof c.value === "number") return new Float(c.value)
  return Array.isArray(c.value) ? c.value.map(t => new Scalar(String(t))) : new Scalar(String(c.value))
}

const tagsNow = (i: Shown): string[] => tagsOf(i.contested.find(c => c.field === "tags")?.value ?? i.tags)

/** Tags as SQL gives them, which is JSON, or as a list. */
function tagsOf(v: unknown): string[] {
  if (Array.isArray(v)) return v.map(String)
  try {
    const list: unknown = JSON.parse(String(v))
    return Array.isArray(list) ? list.map(String) : []
  } catch {
    return []
  }
}
