import { bindText, type TextField } from "../src/text.ts"
import type { Workspace } from "./workspace.ts"

type Place = readonly [collection: string, id: string, field: string]

/** Binds a field to a text, so that each letter is an edit of its own and others' letters appear. Returns what ends it. */
export function bind(w: Workspace, place: Place, field: TextField): () => Promise<void> {
  return bindText(w.doc, place, field, e => w.onRefused(e.message))
}

/** As bind, while the field has the focus; after is called when it has lost it and all is written. */
export function bindWhileFocused(w: Workspace, place: Place, field: TextField, after: () => void): void {
  let unbind: (() => Promise<void>) | undefined
  field.addEventListener("focus", () => { unbind ??= bind(w, place, field) })
  field.addEventListener("blur", () => void unbind?.().then(() => { unbind = undefined; after() }))
}
