import { at, h } from "./dom.ts"

/** What a key does when no field has the focus. */
export interface Shortcut { keys: string, about: string, run: () => void }

/** Those of a card that has the focus: board.ts. */
const cards: [string, string][] = [
  ["← →", "Move the card to the column beside"], ["↑ ↓", "Card above, below"], ["Enter", "Edit its title"], ["p", "Its priority"], ["m", "Take it, or leave it"], ["Delete", "Delete it"],
]

/** Listens for keys, and lists them in the dialog. */
export function listen(shortcuts: Shortcut[]): void {
  const dialog = at<HTMLDialogElement>("#keys")
  const row = (keys: string, about: string) => h("div", {}, h("dt", {}, ...keys.split(" ").map(k => h("kbd", {}, k))), h("dd", {}, about))
  at("#keys-list").replaceChildren(...shortcuts.map(s => row(s.keys, s.about)), h("div", { class: "of" }, "On a card"), ...cards.map(c => row(...c)))
  addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || document.querySelector("dialog[open]")) return
    const field = (e.target as Element).closest?.("input, textarea, select")
    if (e.key === "Escape" && field) return (field as HTMLElement).blur()
    if (field) return
    const s = shortcuts.find(s => s.keys === e.key)
    if (!s) return
    e.preventDefault()
    s.run()
  })
  at("#help").addEventListener("click", () => dialog.showModal())
  dialog.addEventListener("click", e => { if (e.target === dialog) dialog.close() })
}
