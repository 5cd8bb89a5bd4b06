import { errorData } from "../shared/errors.js"
import { allChannel, ownerChannel, tabChannel, type Between, type FromWorker, type ToWorker } from "../shared/protocol.js"
import type { WorkerOptions } from "../shared/api.js"
import type { Core } from "./core.js"
import { loadCore } from "./core-loader.js"
import { elect, holder, tabLock, watch } from "./election.js"
import { loadSQLite } from "./pool.js"
import { Owner } from "./owner.js"

/**
 * A tab's worker. All tabs' workers wait for one Web Lock; the one that has it owns the store, the documents
 * and the sockets (owner.ts), the others hand their pages' calls on to it, and wait with everything loaded.
 */
class TabWorker {
  readonly #options: WorkerOptions
  readonly #toOwner: BroadcastChannel
  readonly #all: BroadcastChannel
  readonly #mine: BroadcastChannel
  readonly #pages = new Map<string, BroadcastChannel>()
  #owner: Owner | undefined
  /** We have the lock, and may not have opened the store yet. */
  #elected = false
  #stopped = false
  #clientId: string | undefined
  #pongs = new Map<number, () => void>()
  #pings = 0
  #waiting = new AbortController()
  /** Loaded while we wait; the owner's, when our turn has come. */
  #core: Promise<Core> | undefined

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#toOwner = new BroadcastChannel(ownerChannel(options.name))
    this.#all = new BroadcastChannel(allChannel(options.name))
    this.#mine = new BroadcastChannel(tabChannel(options.name, options.tab))
    this.#toOwner.onmessage = e => this.#asOwner(e.data as Between)
    this.#all.onmessage = e => this.#hear(e.data as Between)
    this.#mine.onmessage = e => this.#hear(e.data as Between)
  }

  async run(): Promise<void> {
    const { name, tab } = this.#options
    // As long as this lock is held, the tab is there. It tells our client id, too.
    await new Promise<void>(ready => void navigator.locks.request(tabLock(name, tab), () => { ready(); return new Promise(() => {}) }))
    this.#clientId = (await navigator.locks.query()).held?.find(l => l.name === tabLock(name, tab))?.clientId
    this.#toOwner.postMessage({ kind: "hello", tab } satisfies Between)
    this.#prepare()
    void this.#candidate(false)
    void watch(timeout => this.#ping(timeout), () => void this.#steal(), () => this.#stopped || this.#elected, this.#options.patience)
  }

  #prepare(): void {
    void loadSQLite()
    this.#core ??= loadCore(this.#options.base)
    this.#core.catch(() => { this.#core = undefined }) // tried again when it is needed
  }

  async #candidate(steal: boolean): Promise<void> {
    try {
      await elect(this.#options.name, stolen => this.#won(stolen), steal, steal ? undefined : this.#waiting.signal)
    } catch (error) {
      // Taken from us, or we have stopped waiting in order to take it.
      if ((error as Error).name !== "AbortError") return this.#page({ kind: "failed", error: errorData(error) })
      if (this.#owner) this.#lost()
    }
  }

  async #steal(): Promise<void> {
    // Several may wait: the first one answers the others' calls.
    await new Promise(resolve => setTimeout(resolve, Math.random() * 500))
    if (this.#stopped || this.#elected || await this.#ping(1000)) return
    this.#waiting.abort()
    this.#waiting = new AbortController()
    void this.#candidate(true)
  }

  async #won(stolen: boolean): Promise<void> {
    if (this.#stopped) return
    this.#elected = true
    try {
      this.#prepare()
      const core = this.#core!
      this.#core = undefined
      const owner = await Owner.open(this.#options, stolen, core, {
        held: async () => await holder(this.#options.name) === this.#clientId,
        lost: () => this.#lost(),
        send: (tab, m) => this.#send(tab, m),
        wiped: () => this.#wiped(),
      })
      this.#owner = owner
      this.#attach(this.#options.tab)
      this.#all.postMessage({ kind: "owner" } satisfies Between)
      await owner.ended
    } catch (error) {
      this.#page({ kind: "failed", error: errorData(error) })
    } finally {
      this.#elected = false
    }
  }

  /** The lock is somebody else's: wait for it again. */
  #lost(): void {
    const owner = this.#owner
    this.#owner = undefined
    if (!owner) return
    owner.close()
    this.#elected = false
    if (this.#stopped) return
    this.#toOwner.postMessage({ kind: "hello", tab: this.#options.tab } satisfies Between)
    void this.#candidate(false)
    void watch(timeout => this.#ping(timeout), () => void this.#steal(), () => this.#stopped || this.#elected, this.#options.patience)
  }

  #wiped(): void {
    this.#all.postMessage({ kind: "wiped" } satisfies Between)
    this.#stopped = true
    this.#owner = undefined
    this.#page({ kind: "event", event: "wiped", data: null })
  }

  #ping(timeout: number): Promise<boolean> {
    const n = ++this.#pings
    return new Promise(resolve => {
      const end = (answered: boolean): void => {
        clearTimeout(timer)
        this.#pongs.delete(n)
        resolve(answered)
      }
      const timer = setTimeout(() => end(false), timeout)
      this.#pongs.set(n, () => end(true))
      this.#toOwner.postMessage({ kind: "ping", tab: this.#options.tab, n } satisfies Between)
    })
  }

  /** What others ask of the owner. */
  #asOwner(m: Between): void {
    if (!this.#elected) return
    if (m.kind === "ping") return this.#channel(m.tab).postMessage({ kind: "pong", n: m.n } satisfies Between)
    const owner = this.#owner
    if (!owner) return // it announces itself when it is ready
    if (m.kind === "hello") this.#attach(m.tab)
    else if (m.kind === "goodbye") this.#detach(m.tab)
    else if (m.kind === "call") void owner.service.handle(m.tab, m.call)
  }

  #attach(tab: string): void {
    const owner = this.#owner
    owner?.service.attach(tab)
    if (tab === this.#options.tab) return
    // We get a tab's lock when it is gone.
    void navigator.locks.request(tabLock(this.#options.name, tab), () => { if (this.#owner === owner) this.#detach(tab) })
  }

  #detach(tab: string): void {
    this.#owner?.service.detach(tab)
    this.#pages.get(tab)?.close()
    this.#pages.delete(tab)
  }

  #hear(m: Between): void {
    switch (m.kind) {
      case "owner": return this.#toOwner.postMessage({ kind: "hello", tab: this.#options.tab } satisfies Between)
      case "pong": return this.#pongs.get(m.n)?.()
      case "to-page": return this.#page(m.message)
      case "wiped":
        this.#stopped = true
        this.#waiting.abort()
        return this.#page({ kind: "event", event: "wiped", data: null })
    }
  }

  #channel(tab: string): BroadcastChannel {
    let c = this.#pages.get(tab)
    if (!c) this.#pages.set(tab, c = new BroadcastChannel(tabChannel(this.#options.name, tab)))
    return c
  }

  #send(tab: string, message: FromWorker): void {
    if (tab === this.#options.tab) this.#page(message)
    else this.#channel(tab).postMessage({ kind: "to-page", message } satisfies Between)
  }

  #page(message: FromWorker): void { postMessage(message) }

  /** What our page says. */
  receive(m: ToWorker): void {
    if (m.kind === "call") {
      if (this.#owner) void this.#owner.service.handle(this.#options.tab, m)
      else this.#toOwner.postMessage({ kind: "call", tab: this.#options.tab, call: m } satisfies Between)
    } else if (m.kind === "stop") {
      this.#stopped = true
      this.#waiting.abort()
      this.#toOwner.postMessage({ kind: "goodbye", tab: this.#options.tab } satisfies Between)
      this.#owner?.close()
      close()
    }
  }
}

let worker: TabWorker | undefined
onmessage = e => {
  const m = e.data as ToWorker
  if (m.kind === "start") {
    worker = new TabWorker(m.options)
    void worker.run()
  } else {
    worker?.receive(m)
  }
}
