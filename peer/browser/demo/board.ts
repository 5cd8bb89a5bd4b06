import { create, remove, Scalar, set } from "../src/index.ts"
import { at, h, icon, list, mark, say } from "./dom.ts"
import { bindWhileFocused } from "./field.ts"
import { freshId, type Workspace } from "./workspace.ts"

/** A row of the todos. */
export interface Task { id: string, title: string, state: string, priority: number, owner: string, conflict: number }

const columns = [{ state: "todo", title: "To do" }, { state: "doing", title: "Doing" }, { state: "done", title: "Done" }] as const
const priorities = ["", "urgent", "normal", "low"]

/** The todo board: all tasks, of which the query says which are shown and in what order. */
export class Board {
  readonly #tasks = new Map<string, Task>()
  #shown: string[] | undefined
  /** Rows have come. */
  #ready = false
  onFill: () => void = () => {}

  constructor(readonly w: Workspace) {
    at("#columns").replaceChildren(...columns.map(c => this.#column(c.state, c.title)))
    w.peer.live<Task & { [k: string]: string | number }>("SELECT _id AS id, title, state, priority, owner, _conflict AS conflict FROM todos", [], rows => {
      this.#tasks.clear()
      for (const r of rows) this.#tasks.set(r.id, r)
      this.#ready = true
      this.#draw()
    })
    w.onPeople.add(() => this.#draw())
    at("#add-task").addEventListener("submit", e => {
      e.preventDefault()
      const field = at<HTMLInputElement>("#new-task")
      const title = field.value.trim()
      field.value = ""
      if (title) void w.do(create("todos", freshId(), { title, state: new Scalar("todo"), priority: 2, owner: new Scalar(w.me) }))
    })
  }

  /** Shows these tasks, in this order. */
  show(ids: string[]): void {
    this.#shown = ids
    this.#draw()
  }

  #column(state: string, title: string): HTMLElement {
    const cards = h("ul", { class: "cards", "data-state": state, "aria-label": title })
    const column = h("div", { class: "column" }, h("h3", {}, title, h("span", { class: "count" })), cards)
    column.append(h("p", { class: "empty" }))
    column.addEventListener("dragover", e => { e.preventDefault(); mark(column, "data-over", true) })
    column.addEventListener("dragleave", () => mark(column, "data-over", false))
    column.addEventListener("drop", e => {
      e.preventDefault()
      mark(column, "data-over", false)
      const id = e.dataTransfer?.getData("text/x-task")
      if (id) this.#move(id, state)
    })
    return column
  }

  #draw(): void {
    if (!this.#ready || !this.#shown) return
    const tasks = this.#shown.map(id => this.#tasks.get(id)).filter(t => t !== undefined)
    for (const [i, c] of columns.entries()) {
      const column = at("#columns").children[i] as HTMLElement
      const mine = tasks.filter(t => stateOf(t) === c.state)
      list(at(".cards", column), mine, t => t.id, t => this.#card(t.id), (e, t) => this.#update(e, t))
      say(at(".count", column), mine.length ? String(mine.length) : "")
      const none = at(".empty", column)
      none.hidden = mine.length > 0
      if (this.#tasks.size > 0) say(none, "Nothing here")
      else if (i > 0) say(none, "")
      else if (!none.querySelector("button")) none.replaceChildren("No task yet. Press ", h("kbd", {}, "n"), " to add the first one.", h("button", { class: "plain", onclick: () => this.onFill() }, "Or fill in an example"))
    }
  }

  #card(id: string): HTMLElement {
    const act = (f: (t: Task) => void) => () => { const t = this.#tasks.get(id); if (t) f(t) }
    const title = h("input", { class: "title", "aria-label": "Title", maxlength: 200 })
    const button = (name: string, label: string, f: (t: Task) => void) => h("button", { class: "mini", "data-do": name, "aria-label": label, title: label, onclick: act(f) }, icon(name))
    const card = h("li", { class: "card", tabindex: 0, draggable: "true", "data-entity": `todos/${id}` },
      title,
      h("div", { class: "row" },
        h("button", { class: "flag", title: "Priority (p)", onclick: act(t => this.#prioritise(t)) }, icon("flag"), h("span")),
        h("button", { class: "owner", title: "Take it, or leave it (m)", onclick: act(t => this.#take(t)) }, h("span", { class: "face small" }), h("span", { class: "name" })),
        h("span", { class: "spring" }),
        button("left", "Back", t => this.#step(t, -1)), button("right", "On", t => this.#step(t, 1)), button("x", "Delete", t => this.#remove(t))))
    // What others type appears while one types oneself.
    bindWhileFocused(this.w, ["todos", id, "title"], title, () => this.#draw())
    title.addEventListener("keydown", e => { if (e.key === "Enter" || e.key === "Escape") card.focus() })
    card.addEventListener("dragstart", e => {
      if (document.activeElement === title) return e.preventDefault()
      e.dataTransfer?.setData("text/x-task", id)
      mark(card, "data-dragged", true)
    })
    card.addEventListener("dragend", () => mark(card, "data-dragged", false))
    card.addEventListener("keydown", e => { if (e.target === card) this.#key(e, id, title) })
    return card
  }

  #update(card: HTMLElement, t: Task): void {
    const title = at<HTMLInputElement>(".title", card)
    if (document.activeElement !== title) title.value = t.title
    const owner = this.w.person(t.owner)
    mark(card, "data-done", stateOf(t) === "done")
    mark(card, "aria-label", `${t.title}, ${priorities[t.priority] ?? "normal"}${owner ? `, ${owner.name}` : ""}`)
    const flag = at(".flag", card)
    mark(flag, "data-priority", priorities[t.priority] ?? "normal")
    say(at("span", flag), priorities[t.priority] ?? "normal")
    const face = at(".owner .face", card)
    face.className = `face small ${this.w.colour(owner?.id)}`
    say(face, owner ? owner.name.slice(0, 1) : "")
    say(at(".owner .name", card), owner ? this.w.called(owner) : "Nobody")
    mark(at(".owner", card), "aria-label", owner ? `${this.w.called(owner)} has it` : "Nobody has it")
    const i = columns.findIndex(c => c.state === stateOf(t))
    at<HTMLButtonElement>("[data-do=left]", card).disabled = i === 0
    at<HTMLButtonElement>("[data-do=right]", card).disabled = i === columns.length - 1
  }

  #key(e: KeyboardEvent, id: string, title: HTMLInputElement): void {
    const t = this.#tasks.get(id)
    if (!t || e.ctrlKey || e.metaKey || e.altKey) return
    const done = {
      ArrowLeft: () => this.#step(t, -1), ArrowRight: () => this.#step(t, 1), Delete: () => this.#remove(t), p: () => this.#prioritise(t), m: () => this.#take(t),
      ArrowUp: () => neighbour(e, -1), ArrowDown: () => neighbour(e, 1), Enter: () => title.focus(), e: () => title.focus(),
    }[e.key]
    if (!done) return
    e.preventDefault()
    e.stopPropagation()
    done()
  }

  #step(t: Task, by: number): void {
    const to = columns[columns.findIndex(c => c.state === stateOf(t)) + by]
    if (to) this.#move(t.id, to.state)
  }

  #move(id: string, state: string): void {
    const focused = document.activeElement?.closest<HTMLElement>(".card")?.dataset.key === id
    void this.w.do(set("todos", id, "state", new Scalar(state))).then(() => {
      // The card is made anew in its other column.
      if (focused) requestAnimationFrame(() => document.querySelector<HTMLElement>(`.card[data-key="${CSS.escape(id)}"]`)?.focus())
    })
  }

  #prioritise(t: Task): void { void this.w.do(set("todos", t.id, "priority", t.priority % 3 + 1)) }
  #take(t: Task): void { void this.w.do(set("todos", t.id, "owner", new Scalar(t.owner === this.w.me ? "" : this.w.me))) }
  #remove(t: Task): void { void this.w.do(remove("todos", t.id)) }
}

const stateOf = (t: Task): string => columns.some(c => c.state === t.state) ? t.state : "todo"

function neighbour(e: KeyboardEvent, by: number): void {
  const card = e.currentTarget as HTMLElement
  ;((by < 0 ? card.previousElementSibling : card.nextElementSibling) as HTMLElement | null)?.focus()
}
