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

/** How often an edit is tried anew because others were faster: each time one of them got through. */
const tries = 50

/**
 * A document whose splices are moved here to where their place is now. With the heads that they were meant for,
 * Document.apply should do that, but its diff (worker/rebase.ts) takes no path of several steps, and refuses each splice that was meant
 * for older heads. So it is told the newest, and asked again when they have moved meanwhile.
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
      for (let left = tries; ; left--) {
        const now = await doc.text(...place)
        try {
          return await w.apply(moved(op, known, now.text), { path: place, heads: now.heads })
        } catch (error) {
          const { heads } = await doc.text(...place)
          if (left === 0 || String(heads) === String(now.heads)) throw error
        }
      }
    },
  } as unknown as Document
}

/** A splice of a text, as one of what others have made of it. */
function moved(op: Operation, base: string, now: string): Operation {
  if (now === base) return op
  const theirs = difference(base, now)
  const place = (n: number): number => [...now.slice(0, follow([...base].slice(0, n).join("").length, theirs))].length
  const from = place(op.pos ?? 0), to = place((op.pos ?? 0) + (op.del ?? 0))
  return { ...op, pos: from, del: Math.max(0, to - from) }
}
