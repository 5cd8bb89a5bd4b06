import type { Other } from "../src/index.ts"
import { at, h, list, mark, say, settled } from "./dom.ts"
import { bind } from "./field.ts"
import type { Here, Presence } from "./here.ts"
import type { Workspace } from "./workspace.ts"

/** How long a caret says whose it is after it has moved, in ms: then it would only hide what stands there. */
const named = 2500

/** How wide the name at a caret may be, in CSS pixels. */
const widest = 120

const place = ["notes", "shared", "body"] as const

/** The shared text, in a textarea, with the others' carets drawn over it. */
export class Notes {
  readonly #field = at<HTMLTextAreaElement>("#note")
  /** A copy of the field's text in the same box, invisible: where a character stands in it, it stands in the field. */
  readonly #mirror = h("div", { class: "mirror", "aria-hidden": "true" })
  /** Where each caret was last, and when it moved there. */
  readonly #moved = new Map<string, { to: string, at: number }>()
  #bound = false

  constructor(readonly w: Workspace, readonly presence: Presence) {
    at(".paper").append(this.#mirror)
    void this.#bind()
    w.doc.onChange(c => {
      void this.#bind()
      if (c.entities["notes"]) this.#draw()
    })
    const moved = settled(40, () => void this.#tell())
    for (const event of ["selectionchange", "focus", "blur", "input"]) this.#field.addEventListener(event, moved)
    document.addEventListener("selectionchange", () => { if (document.activeElement === this.#field) moved() })
    this.#field.addEventListener("input", () => this.#draw())
    this.#field.addEventListener("scroll", () => this.#scroll())
    new ResizeObserver(() => this.#draw()).observe(this.#field)
    presence.onChange.add(() => this.#draw())
  }

  /** Binds the field as soon as there is a text. */
  async #bind(): Promise<void> {
    if (this.#bound || !await this.w.doc.entity("notes", "shared") || this.#bound) return
    this.#bound = true
    this.#field.disabled = false
    bind(this.w, place, this.#field)
  }

  async #tell(): Promise<void> {
    const here = document.activeElement === this.#field
    this.presence.caret(here ? await this.w.doc.cursor(place, this.#field.selectionEnd) : undefined)
  }

  readonly #draw = settled(30, () => void this.#carets())

  async #carets(): Promise<void> {
    const there = this.presence.others.filter(o => o.state.caret !== undefined)
    const places = await Promise.all(there.map(o => this.w.doc.position(place, o.state.caret!).catch(() => 0)))
    const text = this.#field.value
    const words = text.trim() ? text.trim().split(/\s+/).length : 0
    say(at("#notes-said"), there.length ? `${there.map(o => this.w.called(this.w.person(o.state.me))).join(", ")} writing` : words ? `${words} words` : "")
    this.#mirror.style.width = `${this.#field.clientWidth}px`
    const placed = there.map((o, i) => ({ o, ...this.#place(text, Math.min(places[i]!, text.length)) }))
    list(at("#carets"), placed, p => p.o.session, p => this.#caret(p.o), (e, p) => {
      e.className = `caret ${this.w.colour(p.o.state.me)}`
      e.style.transform = `translate(${p.x}px, ${p.y}px)`
      e.style.height = `${p.height}px`
      say(e.firstElementChild!, this.w.person(p.o.state.me)?.name ?? "Somebody")
      // A name hides nothing where the line ends, and stands above or below elsewhere.
      mark(e, "data-end", p.end && p.x < this.#field.clientWidth - widest)
      mark(e, "data-top", p.y < 24)
      mark(e, "data-still", this.#still(p.o))
    })
    this.#scroll()
  }

  /** Reports whether a caret has not moved for a while; if it has, it is looked at again then. */
  #still(o: Other<Here>): boolean {
    const last = this.#moved.get(o.session)
    if (last && last.to === o.state.caret) return performance.now() - last.at >= named
    this.#moved.set(o.session, { to: o.state.caret!, at: performance.now() })
    setTimeout(() => this.#draw(), named + 50)
    return false
  }

  #caret(o: Other<Here>): HTMLElement { return h("div", { class: `caret ${this.w.colour(o.state.me)}` }, h("span")) }

  #place(text: string, pos: number): { x: number, y: number, height: number, end: boolean } {
    const point = h("span", {}, "\u200b")
    this.#mirror.replaceChildren(text.slice(0, pos), point, text.slice(pos) || "\u200b")
    return { x: point.offsetLeft, y: point.offsetTop, height: point.offsetHeight, end: pos === text.length || text[pos] === "\n" }
  }

  #scroll(): void { at("#carets").style.translate = `0 ${-this.#field.scrollTop}px` }
}
