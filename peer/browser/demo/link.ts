import type { NetworkCondition, Status } from "../src/index.ts"
import { at, mark, say } from "./dom.ts"
import { memory, type Workspace } from "./workspace.ts"

const said: { [state: string]: string } = { idle: "No relay", connecting: "Connecting", connected: "In sync", waiting: "Waiting for the relay", offline: "Offline", stopped: "The relay lets nobody in" }

/** What is wrong with who we are to the relay, if that is what keeps us out. */
export function refusal(s: Status): string | undefined {
  const remote = s.remotes[0]
  if (remote?.class !== "unauthorised" || remote.state === "connected") return undefined
  return memory.token() ? "The relay does not take this token" : "The relay asks for a token"
}

/** The line that says how the peer is connected, and the switch that makes the network bad. */
export class Link {
  readonly #buttons = [...document.querySelectorAll<HTMLButtonElement>("#network [data-network]")]

  constructor(readonly w: Workspace) {
    for (const [i, b] of this.#buttons.entries()) {
      b.addEventListener("click", () => void this.set(b.dataset.network as NetworkCondition))
      b.addEventListener("keydown", e => {
        const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[e.key]
        if (!by) return
        e.preventDefault()
        const next = this.#buttons[(i + by + this.#buttons.length) % this.#buttons.length]!
        next.focus()
        next.click()
      })
    }
  }

  async set(condition: NetworkCondition): Promise<void> {
    this.#show(condition)
    await this.w.peer.network(condition)
  }

  /** Between online and offline. */
  toggle(): void {
    void this.set(at("#network [data-network=offline]").getAttribute("aria-checked") === "true" ? "normal" : "offline")
  }

  #show(condition: NetworkCondition): void {
    for (const b of this.#buttons) {
      const on = b.dataset.network === condition
      mark(b, "aria-checked", String(on))
      b.tabIndex = on ? 0 : -1
    }
  }

  update(s: Status): void {
    this.#show(s.network)
    const state = s.network === "offline" ? "offline" : s.remotes[0]?.state ?? "idle"
    const waits = s.unacknowledged
    const line = at("#link")
    mark(line, "title", refusal(s) ? "Open this page by a link that ends in #token= and a token, or &token= behind the workspace" : false)
    line.dataset.state = state === "connected" && waits > 0 ? "sending" : state
    const text = state === "connected" ? waits > 0 ? "Sending" : "In sync" : refusal(s) ?? said[state] ?? state
    say(at("#link-text"), waits > 0 ? `${text} · ${waits} ${waits === 1 ? "edit" : "edits"} kept here` : text)
  }
}
