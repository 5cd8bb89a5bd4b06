import type { Other } from "../src/index.ts"
import { at, h, list, mark, say } from "./dom.ts"
import type { Workspace } from "./workspace.ts"

/** What each tab says of itself to the others. */
export interface Here {
  me: string
  /** A cursor in the notes: a name for a place, which moves with the text. */
  caret?: string
  /** The entity that is being edited, as `collection/id`. */
  editing?: string
}

/** Who has the workspace open, and where they are in it. */
export class Presence {
  readonly #presence
  #state: Here
  readonly onChange = new Set<(others: Other<Here>[]) => void>()

  constructor(readonly w: Workspace) {
    this.#state = { me: w.me }
    this.#presence = w.doc.presence<Here>()
    this.#presence.set(this.#state)
    this.#presence.onChange(() => this.#show())
    w.onPeople.add(() => this.#show())
    document.addEventListener("focusin", () => this.#focus())
    document.addEventListener("focusout", () => this.#focus())
    at("#name-form").addEventListener("submit", e => {
      const name = at<HTMLInputElement>("#name-field").value.trim()
      if ((e as SubmitEvent).submitter?.getAttribute("value") === "save" && name) void w.rename(name)
    })
    this.#show()
  }

  get others(): Other<Here>[] { return this.#presence.others }

  /** Tells the others where the caret in the notes is, or that it is not there. */
  caret(cursor: string | undefined): void {
    if (cursor === this.#state.caret) return
    this.#state = { ...this.#state, ...cursor !== undefined && { caret: cursor } }
    if (cursor === undefined) delete this.#state.caret
    this.#presence.set(this.#state)
  }

  #focus(): void {
    const editing = document.activeElement?.closest<HTMLElement>("[data-entity]")?.dataset.entity
    if (editing === this.#state.editing) return
    const { editing: _, ...rest } = this.#state
    this.#state = editing === undefined ? rest : { ...rest, editing }
    this.#presence.set(this.#state)
  }

  #show(): void {
    const { w } = this
    const here = new Set([w.me, ...this.others.map(o => o.state.me)])
    // A native peer says nothing of this kind: it takes part as long as it edits.
    const shown = w.people.filter(p => here.has(p.id) || p.kind === "native").sort((a, b) => Number(b.id === w.me) - Number(a.id === w.me))
    list(at("#people"), shown, p => p.id, p => this.#face(p.id), (e, p) => {
      e.firstElementChild!.className = `face ${w.colour(p.id)}`
      say(e.firstElementChild!, p.name.slice(0, 1))
      const title = p.id === w.me ? `${p.name} (you): change your name` : p.kind === "native" ? `${p.name}, a native peer in Go` : p.name
      mark(e.firstElementChild!, "title", title)
      mark(e.firstElementChild!, "aria-label", title)
    })
    for (const e of document.querySelectorAll("[data-by]")) {
      e.removeAttribute("data-by")
      e.classList.remove(...[...e.classList].filter(c => c.startsWith("who-")))
    }
    for (const o of this.others) {
      const e = o.state.editing ? document.querySelector<HTMLElement>(`[data-entity="${CSS.escape(o.state.editing)}"]`) : null
      if (!e) continue
      e.dataset.by = w.called(w.person(o.state.me))
      e.classList.add(w.colour(o.state.me))
    }
    for (const f of this.onChange) f(this.others)
  }

  #face(id: string): HTMLElement {
    const own = id === this.w.me
    return h("div", { role: "listitem" }, own ? h("button", { class: "face", onclick: () => askName(this.w) }) : h("span", { class: "face", role: "img" }))
  }
}

function askName(w: Workspace): void {
  const field = at<HTMLInputElement>("#name-field")
  field.value = w.person(w.me)?.name ?? ""
  at<HTMLDialogElement>("#name").showModal()
  field.select()
}
