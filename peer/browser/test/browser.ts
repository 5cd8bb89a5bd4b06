import { chromium, type Browser as Connection, type BrowserContext, type Page } from "@playwright/test"
import { spawn, type ChildProcess } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { chromiumPath } from "./paths.ts"

const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--disable-dev-shm-usage", "about:blank",
]

/** A browser with a profile of its own, which outlives the processes of the browser. */
export class Profile {
  readonly dir = mkdtempSync(join(tmpdir(), "syncline-browser-"))
  #process: ChildProcess | undefined
  #connection: Connection | undefined

  /** Starts the browser. */
  async launch(): Promise<BrowserContext> {
    rmSync(join(this.dir, "DevToolsActivePort"), { force: true })
    const child = spawn(chromiumPath, [`--user-data-dir=${this.dir}`, ...flags], { detached: true, stdio: ["ignore", "ignore", "pipe"] })
    this.#process = child
    const address = await new Promise<string>((resolve, reject) => {
      let said = ""
      child.stderr!.on("data", (d: Buffer) => {
        said += d
        const at = /DevTools listening on (ws:\S+)/.exec(said)
        if (at) resolve(at[1]!)
      })
      child.on("error", e => reject(new Error(`${chromiumPath} does not start: ${e.message}`)))
      child.on("exit", code => reject(new Error(`${chromiumPath} has ended with ${code}: ${said.slice(-500)}`)))
    })
    this.#connection = await chromium.connectOverCDP(address)
    return this.#connection.contexts()[0]!
  }

  /** Ends all of the browser's processes at once, as the power would. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (!child) return
    const ended = new Promise(resolve => child.once("exit", resolve))
    process.kill(-child.pid!, "SIGKILL")
    await ended
    await this.#connection?.close().catch(() => {})
  }

  /** Reports in which files of the profile a text stands. */
  find(marker: string): string[] {
    const needle = Buffer.from(marker), found: string[] = []
    const look = (dir: string): void => {
      for (const name of readdirSync(dir)) {
        const path = join(dir, name)
        try {
          if (statSync(path).isDirectory()) look(path)
          else if (readFileSync(path).includes(needle)) found.push(path.slice(this.dir.length))
        } catch { /* sockets and what goes away meanwhile */ }
      }
    }
    look(this.dir)
    return found
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

/** Opens a page and waits for the library in it. */
export async function openPage(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage()
  page.on("console", m => { if (process.env.SYNCLINE_DEBUG) console.log(`[page] ${m.text()}`) })
  page.on("pageerror", e => console.log(`[page] ${e.message}`))
  await page.goto(url)
  await page.locator("body[data-ready]").waitFor({ state: "attached" })
  return page
}

/** The process that runs a page: of the browser's renderers, the one that works while the page does. */
export async function rendererOf(page: Page, context: BrowserContext): Promise<number> {
  const cdp = await context.browser()!.newBrowserCDPSession()
  const spent = async (): Promise<Map<number, number>> => new Map((await cdp.send("SystemInfo.getProcessInfo")).processInfo
    .filter(p => p.type === "renderer").map(p => [p.id, p.cpuTime]))
  const before = await spent()
  await page.evaluate(() => { for (const end = performance.now() + 1500; performance.now() < end;); })
  const gains = [...await spent()].map(([id, time]) => ({ id, gain: time - (before.get(id) ?? 0) }))
  await cdp.detach()
  return gains.reduce((a, b) => b.gain > a.gain ? b : a).id
}
