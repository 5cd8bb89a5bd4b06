import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { programPath } from "./paths.ts"

/** A process of the syncline program that serves. */
class Program {
  protected child: ChildProcess | undefined
  url = ""

  protected async run(args: string[]): Promise<void> {
    const child = spawn(programPath, args, { stdio: ["ignore", "pipe", "pipe"] })
    this.child = child
    this.url = await new Promise<string>((resolve, reject) => {
      let said = ""
      const hear = (d: Buffer): void => {
        said += d
        const at = /(ws:\/\/127\.0\.0\.1:\d+)/.exec(said) ?? /127\.0\.0\.1:\d+/.exec(said)
        if (at) resolve(at[1] ?? `ws://${at[0]}`)
      }
      child.stdout!.on("data", hear)
      child.stderr!.on("data", hear)
      child.on("exit", code => reject(new Error(`syncline ${args[0]} has ended with ${code}: ${said}`)))
    })
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.child
    this.child = undefined
    if (!child) return
    const ended = new Promise(resolve => child.once("exit", resolve))
    child.kill(signal)
    await ended
  }
}

/** A relay of its own, which may be stopped and started again at the same address. */
export class Relay extends Program {
  dir = mkdtempSync(join(tmpdir(), "syncline-relay-"))
  #address = "127.0.0.1:0"

  async start(...more: string[]): Promise<this> {
    await this.run(["relay", "--listen", this.#address, "--data", this.dir, ...more])
    this.#address = this.url.replace(/^ws:\/\//, "")
    return this
  }

  /** Forgets all that the relay has kept. */
  async lose(): Promise<void> {
    await this.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** A native peer on a file of its own, driven by the verbs of the program. */
export class NativePeer extends Program {
  readonly dir = mkdtempSync(join(tmpdir(), "syncline-native-"))
  readonly db = join(this.dir, "peer.db")

  verb(...args: string[]): string {
    return execFileSync(programPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
  }

  /** Syncs once with a relay; fails if not all is acknowledged. */
  sync(url: string, ...docs: string[]): string {
    return this.verb("sync", "--db", this.db, "--to", url, ...docs.flatMap(d => ["--doc", d]), "--once")
  }

  op(doc: string, ...args: string[]): string { return this.verb("op", "--db", this.db, doc, ...args) }
  show(doc: string): unknown { return JSON.parse(this.verb("doc", "show", "--db", this.db, doc)) }
  heads(doc: string): string[] { return this.verb("doc", "heads", "--db", this.db, doc).trim().split(/\s+/).sort() }

  /** Stays connected in the background. */
  follow(url: string): void { this.child = spawn(programPath, ["peer", "--db", this.db, "--to", url], { stdio: "ignore" }) }

  /** Waits for others to connect, at the address that it returns. */
  async listen(): Promise<string> {
    await this.run(["peer", "--db", this.db, "--listen", "127.0.0.1:0"])
    return this.url
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
