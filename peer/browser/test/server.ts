import { createServer, type Server } from "node:http"
import { readFile } from "node:fs/promises"
import { extname, join, normalize } from "node:path"
import type { AddressInfo } from "node:net"
import { root } from "./paths.ts"

const types: { [ext: string]: string } = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm", ".css": "text/css" }

/** A page that loads the library and gives it to the tests as globalThis.syncline. */
const page = (script: string): string => `<!doctype html><meta charset=utf-8><title>test</title><script type=module src=${script}></script>`

/** Serves the built library and the tests' pages under a strict policy, as an app would. */
export class PageServer {
  readonly #server: Server
  /** Requests fail as if the server were gone. */
  down = false
  isolated = false
  /** The worker finds a browser that gives it no files, as old ones and some private windows do. */
  withoutFiles = false

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request.url ?? "/", response))
  }

  static async start(): Promise<PageServer> {
    const s = new PageServer()
    await new Promise<void>(resolve => s.#server.listen(0, "127.0.0.1", resolve))
    return s
  }

  get url(): string { return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` }

  async #answer(url: string, response: import("node:http").ServerResponse): Promise<void> {
    if (this.down) return void response.destroy()
    const path = normalize(new URL(url, "http://x").pathname)
    response.setHeader("content-security-policy", "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ws://127.0.0.1:*; worker-src 'self'")
    response.setHeader("cache-control", "no-store")
    if (this.isolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin")
      response.setHeader("cross-origin-embedder-policy", "require-corp")
    }
    const pages: { [path: string]: string } = { "/": page("/boot.js"), "/stock": page("/pages/stock.js"), "/repo": page("/pages/repo.js"), "/react": page("/pages/react.js") }
    if (pages[path]) return void response.setHeader("content-type", "text/html").end(pages[path])
    if (path === "/boot.js") {
      return void response.setHeader("content-type", "text/javascript").end(`import * as s from "/lib/index.js"; import * as t from "/lib/text.js"; import * as o from "/lib/offline.js"
        globalThis.syncline = { ...s, ...t, ...o }; document.body.dataset.ready = "1"`)
    }
    const file = path.startsWith("/pages/") ? join(root, "test-results", path) : path.startsWith("/lib/") ? join(root, path) : path === "/sw.js" ? join(root, "lib/service-worker.js") : undefined
    try {
      if (!file) throw new Error("no such file")
      const body = await readFile(file)
      response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream")
      if (this.withoutFiles && path === "/lib/worker.js") response.write("delete FileSystemFileHandle.prototype.createSyncAccessHandle;")
      response.end(body)
    } catch {
      response.writeHead(404).end("not found")
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}
