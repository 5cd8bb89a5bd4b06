import type { Document, Operation, Receipt, Step } from "../src/index.ts"
import { bindText, difference, follow, type TextField } from "../src/text.ts"
import type { Workspace } from "./workspace.ts"

type Place = readonly [collection: string, id: string, field: string]

/** Binds a field to a text, so that each letter is an edit of its own and others' letters appear. Returns what ends it. */
export function bind(w: Workspace, place: Place, field: TextField): () => Promise<void> {
  return bindText(moving(w, place), place, field, e => w.onRefused(e.message))
}

/** As bind, while the field has the focus; after is called when it has lost it and all is written. */
export function bindWhileFocused(w: Workspace, place: Place, field: TextField, after: () => void): void {
  let unbind: (() => Promise<void>) | undefined
  field.addEventListener("focus", () => { unbind ??= bind(w, place, field) })
  field.addEventListener("blur", () => void unbind?.().then(() => { unbind = undefined; after() }))
}

/**
 * A document whose splices are moved here to where their place is now. With the heads that they were meant for,
 * Document.apply should do that, but its diff (worker/rebase.ts) takes no path with a list of steps and refuses each edit
 * once the document has newer heads.
 */
function moving(w: Workspace, place: Place): Document {
  const { doc } = w
  let known = ""
  return {
    onChange: (f: Parameters<Document["onChange"]>[0]) => doc.onChange(f),
    async text(...p: [string, string, string, ...Step[]]) {
      const t = await doc.text(...p)
      known = t.text
      return t
    },
    async apply(op: Operation): Promise<Receipt> {
      const base = known, now = (await doc.text(...place)).text
      if (now === base) return w.apply(op)
      const theirs = difference(base, now)
      const units = (n: number): number => [...base].slice(0, n).join("").length
      const points = (n: number): number => [...now.slice(0, n)].length
      const from = points(follow(units(op.pos ?? 0), theirs)), to = points(follow(units((op.pos ?? 0) + (op.del ?? 0)), theirs))
      return w.apply({ ...op, pos: from, del: Math.max(0, to - from) })
    },
  } as unknown as Document
}
