// The page's start: opens the workspace and joins its parts.
import { create, type NetworkCondition, type Status, type Warning } from "../src/index.ts"
import { keepShell } from "../src/offline.ts"
import { Board } from "./board.ts"
import { at, h, mark, say } from "./dom.ts"
import { example } from "./example.ts"
import { Presence } from "./here.ts"
import { Inventory } from "./inventory.ts"
import { Link, refusal } from "./link.ts"
import { Notes } from "./notes.ts"
import { Panel } from "./panel.ts"
import { Query } from "./query.ts"
import { listen } from "./shortcuts.ts"
import { Workspace } from "./workspace.ts"

/** What the page consists of, as the build has it. */
declare const SHELL: { version: string, assets: string[] }
/** How long a message stays, in ms. */
const toastTime = 6000

function toast(text: string): void {
  const t = h("p", {}, text)
  at("#toasts").append(t)
  setTimeout(() => t.remove(), toastTime)
}

/** On a phone one section is shown at a time. */
function go(section: string): void {
  document.body.dataset.section = section
  for (const b of document.querySelectorAll<HTMLElement>(".tabs [data-to]")) mark(b, "aria-current", b.dataset.to === section ? "true" : false)
  at(`#${section}`).scrollIntoView({ block: "nearest" })
}

function focus(section: string, field: string): void {
  go(section)
  at(field).focus()
}

function frame(): void {
  for (const b of document.querySelectorAll<HTMLElement>(".tabs [data-to]")) b.addEventListener("click", () => { go(b.dataset.to!); scrollTo(0, 0) })
  at("#theme").addEventListener("click", theme)
  at("#side").addEventListener("click", side)
  at("#share").addEventListener("click", () => void share())
}

const theme = (): void => void dispatchEvent(new Event("syncline-theme"))

function side(): void {
  const hidden = document.body.toggleAttribute("data-wide")
  mark(at("#side"), "aria-expanded", String(!hidden))
}

async function share(): Promise<void> {
  try {
    await navigator.clipboard.writeText(location.href)
    toast("The link to this workspace is on the clipboard. Open it in another browser.")
  } catch {
    toast(`Share this address: ${location.href}`)
  }
}

function warn(w: Warning): void {
  // A browser that may evict is no news to people who try a page.
  if (w.kind !== "evictable") toast(w.message)
}

async function start(): Promise<void> {
  frame()
  const waiting = (s: Status): void => {
    at("#link").dataset.state = refusal(s) ? "stopped" : "waiting"
    say(at("#link-text"), refusal(s) ?? "Nobody who has this workspace is here yet")
  }
  const w = await Workspace.open(waiting, warn)
  w.onRefused = toast
  const link = new Link(w), panel = new Panel(w, link)
  const board = new Board(w)
  board.onFill = () => void w.do(...example(w.me))
  new Query(w, board)
  new Inventory(w)
  new Notes(w, new Presence(w))
  if (!await w.doc.entity("notes", "shared")) await w.do(create("notes", "shared", { body: "" }))
  listen([
    { keys: "n", about: "New task", run: () => focus("board", "#new-task") },
    { keys: "/", about: "Edit the query", run: () => focus("board", "#sql") },
    { keys: "w", about: "Write in the notes", run: () => focus("notes", "#note") },
    { keys: "i", about: "New item in the inventory", run: () => focus("inventory", "#new-item") },
    { keys: "o", about: "Offline, and online again", run: () => link.toggle() },
    { keys: "t", about: "Light or dark", run: theme },
    { keys: "s", about: "Side panel", run: side },
    { keys: "c", about: "Copy the link", run: () => void share() },
    { keys: "?", about: "This list", run: () => at<HTMLDialogElement>("#keys").showModal() },
  ])
  addEventListener("hashchange", () => location.reload())
  w.peer.on("wiped", () => location.reload())
  mark(at("#main"), "aria-busy", false)
  document.body.dataset.ready = "1"
  // For people who look at it with the browser's own tools.
  Object.assign(globalThis, { syncline: { peer: w.peer, doc: w.doc, network: (c: NetworkCondition) => link.set(c), panel } })
  await keepShell("/service-worker.js", SHELL).catch(() => toast("This page cannot be kept for use without a network."))
  document.body.dataset.kept = "1"
}

start().catch((error: unknown) => {
  at("#link").dataset.state = "stopped"
  say(at("#link-text"), "Not opened")
  toast(`The workspace cannot be opened: ${(error as Error).message}`)
})
