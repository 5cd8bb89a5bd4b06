import { test as base, type BrowserContext, type Page } from "@playwright/test"
import { spawn, type ChildProcess } from "node:child_process"
import { createServer, request, type IncomingMessage, type Server } from "node:http"
import { connect, type AddressInfo } from "node:net"
import { Profile } from "../../test/browser.ts"
import { programPath } from "./paths.ts"

/** A running `syncline demo --serve`, whose native peer answers and does nothing unasked that a test did not expect. */
export class Demo {
  url = ""
  /** All that it has printed. */
  said = ""
  #child: ChildProcess | undefined

  async start(): Promise<this> {
    const child = this.#child = spawn(programPath, ["demo", "--serve", "127.0.0.1:0", "--pace", "1h"], { stdio: ["ignore", "pipe", "pipe"] })
    this.url = await new Promise((resolve, reject) => {
      const hear = (d: Buffer): void => {
        this.said += d
        const at = /http:\/\/\S+#\w+(?=\s)/.exec(this.said)
        if (at) resolve(at[0])
      }
      child.stdout!.on("data", hear)
      child.stderr!.on("data", hear)
      child.on("exit", code => reject(new Error(`the demo has ended with ${code}: ${this.said}`)))
    })
    return this
  }

  /** Ends it, as by Ctrl-C; returns its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null) return child?.exitCode ?? 0
    const ended = new Promise<number | null>(resolve => child.once("exit", code => resolve(code)))
    child.kill("SIGINT")
    return ended
  }
}

/** The same server behind another one, which changes the headers of its answers. */
export class Front {
  #server: Server | undefined
  #sockets = new Set<{ destroy(): void }>()

  async start(target: string, change: (headers: IncomingMessage["headers"]) => void): Promise<string> {
    const { hostname, port, hash } = new URL(target)
    const server = this.#server = createServer((req, res) => {
      req.pipe(request({ hostname, port, path: req.url, method: req.method, headers: req.headers }, answer => {
        change(answer.headers)
        res.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(res)
      }))
    })
    server.on("upgrade", (req, socket, head) => {
      const far = connect(Number(port), hostname, () => {
        far.write(`${req.method} ${req.url} HTTP/1.1\r\n${Object.entries(req.headers).map(([k, v]) => `${k}: ${v}\r\n`).join("")}\r\n`)
        far.write(head)
        far.pipe(socket)
        socket.pipe(far)
      })
      for (const s of [far, socket]) { this.#sockets.add(s); s.on("error", () => {}) }
    })
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/${hash}`
  }

  async stop(): Promise<void> {
    for (const s of this.#sockets) s.destroy()
    this.#server?.closeAllConnections()
    await new Promise(resolve => this.#server ? this.#server.close(resolve) : resolve(undefined))
  }
}

interface Fixtures {
  demo: Demo
  front: Front
  profile: Profile
  /** A second one. */
  other: Profile
  /** Opens the workspace. What the console says, and what is asked of other hosts, is in said. */
  open: (context: BrowserContext, url: string) => Promise<Page>
  said: string[]
}

async function profileOf(use: (p: Profile) => Promise<void>): Promise<void> {
  const p = new Profile()
  await use(p)
  await p.close()
}

export const test = base.extend<Fixtures>({
  demo: async ({}, use) => {
    const demo = await new Demo().start()
    await use(demo)
    await demo.stop()
  },
  front: async ({}, use) => {
    const front = new Front()
    await use(front)
    await front.stop()
  },
  profile: async ({}, use) => profileOf(use),
  other: async ({}, use) => profileOf(use),
  said: async ({}, use) => use([]),
  open: async ({ said }, use) => use(async (context, url) => {
    const page = await context.newPage()
    page.on("console", m => said.push(`${m.type()}: ${m.text()}`))
    page.on("pageerror", e => said.push(`error: ${e.message}`))
    page.on("request", r => { if (/^(https?|wss?):/.test(r.url()) && new URL(r.url()).host !== new URL(url).host) said.push(`asked ${r.url()}`) })
    await page.goto(url)
    await ready(page)
    return page
  }),
})
export { expect } from "@playwright/test"

/** Waits until the workspace is open. */
export const ready = (page: Page): Promise<void> => page.locator("body[data-ready]").waitFor({ state: "attached", timeout: 60_000 })

/** The card with a title. */
export const card = (page: Page, title: string) => page.locator(`.card[aria-label^=${JSON.stringify(title)}]`)

export async function addTask(page: Page, title: string): Promise<void> {
  await page.locator("#new-task").fill(title)
  await page.locator("#new-task").press("Enter")
  await card(page, title).waitFor()
}
