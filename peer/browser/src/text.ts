/**
 * Binds a text of a document to a text field.
 *
 * @packageDocumentation
 */
import type { Document, TextAt } from "./document.js"
import { splice, type Step } from "./shared/operations.js"
import { SynclineError } from "./shared/errors.js"

/** One change of a text: `del` UTF-16 units at `at` are replaced by `text`. */
export interface Edit { at: number, del: number, text: string }

/** The smallest single edit that makes one text of another. It never cuts a character in two. */
export function difference(from: string, to: string): Edit {
  const most = Math.min(from.length, to.length)
  let head = 0
  while (head < most && from[head] === to[head]) head++
  if (head > 0 && isHigh(from.charCodeAt(head - 1))) head--
  let tail = 0
  while (tail < most - head && from[from.length - 1 - tail] === to[to.length - 1 - tail]) tail++
  if (tail > 0 && isLow(from.charCodeAt(from.length - tail))) tail--
  return { at: head, del: from.length - head - tail, text: to.slice(head, to.length - tail) }
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000

/** Where a position is after an edit; one at the place of an insertion stays before it. */
export function follow(pos: number, e: Edit): number {
  if (pos <= e.at) return pos
  if (pos >= e.at + e.del) return pos + e.text.length - e.del
  return e.at + Math.min(pos - e.at, e.text.length)
}

/** Joins what was made of a text here and elsewhere. Where both have changed the same place, both texts stay, the other's first. */
export function merge(base: string, ours: string, theirs: string): string {
  if (ours === base) return theirs
  if (theirs === base) return ours
  const o = difference(base, ours), t = difference(base, theirs)
  const from = follow(o.at, t) + (o.at === t.at && t.del === 0 ? t.text.length : 0)
  const to = Math.max(from, follow(o.at + o.del, t))
  return theirs.slice(0, from) + o.text + theirs.slice(to)
}

/** A field with a text that the user edits: a textarea or an input. */
export type TextField = HTMLTextAreaElement | HTMLInputElement

/**
 * Keeps a text field and a text of a document the same: what is typed becomes splices, what others do appears,
 * and the selection stays with its characters. Returns what ends it, after the last edit was made.
 *
 * onError is called when an edit was refused, as when the disk is full; the field keeps what was typed, and it is tried again with the next input.
 */
export function bindText(doc: Document, place: readonly [collection: string, id: string, field: string, ...deeper: Step[]], field: TextField, onError: (e: SynclineError) => void = e => console.error(e.message)): () => Promise<void> {
  const [collection, id, ...rest] = place
  let base: TextAt | undefined
  let running: Promise<void> | undefined
  let again = false, composing = false, ended = false

  const turn = async (): Promise<void> => {
    if (!base) {
      base = await doc.text(...place)
      field.value = base.text
      return
    }
    const sent = field.value
    if (sent !== base.text) {
      const d = difference(base.text, sent)
      const points = (s: string): number => [...s].length
      const op = splice(collection, id, rest, points(base.text.slice(0, d.at)), points(base.text.slice(d.at, d.at + d.del)), d.text)
      try {
        await doc.apply(op, { path: place, heads: base.heads })
      } catch (error) {
        if ((error as SynclineError).code !== "no-change") throw error
      }
    }
    const now = await doc.text(...place)
    const typed = field.value
    base = now
    show(sent, typed, now.text)
    if (field.value !== now.text) again = true
  }

  const show = (sent: string, typed: string, text: string): void => {
    const value = merge(sent, typed, text)
    if (value === typed) return
    const moved = difference(typed, value)
    const { selectionStart, selectionEnd, selectionDirection, scrollTop } = field
    field.value = value
    if (selectionStart !== null && document.activeElement === field) {
      field.setSelectionRange(follow(selectionStart, moved), follow(selectionEnd ?? selectionStart, moved), selectionDirection ?? undefined)
    }
    field.scrollTop = scrollTop
  }

  const run = (): void => {
    again = true
    if (running || composing) return
    running = (async () => {
      try {
        while (again && !composing) {
          again = false
          await turn()
        }
      } catch (error) {
        onError(error as SynclineError)
      } finally {
        running = undefined
      }
    })()
  }

  const begin = (): void => { composing = true }
  const end = (): void => { composing = false; run() }
  field.addEventListener("input", run)
  field.addEventListener("compositionstart", begin)
  field.addEventListener("compositionend", end)
  const stop = doc.onChange(c => {
    const ids = c.entities[collection]
    if (ids === "all" || ids?.includes(id)) run()
  })
  run()
  return async () => {
    if (ended) return
    ended = true
    stop()
    field.removeEventListener("input", run)
    field.removeEventListener("compositionstart", begin)
    field.removeEventListener("compositionend", end)
    while (running) await running
  }
}
