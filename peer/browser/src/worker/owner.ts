import type { WorkerOptions } from "../shared/api.js"
import type { Core } from "./core.js"
import { Engine } from "./engine.js"
import { Hub } from "./hub.js"
import { Lease } from "./lease.js"
import { openStore, removeStore } from "./pool.js"
import { Service, type Send } from "./service.js"

/** What the owner needs of the worker that it runs in. */
export interface Surroundings {
  /** Reports whether the Web Lock is still ours. */
  held(): Promise<boolean>
  lost(): void
  send: Send
  /** All is removed: tell the other tabs. */
  wiped(): void
}

/** The open store with all that works on it. There is at most one in a browser, for each name. */
export class Owner {
  /** Resolves when the store is closed: the Web Lock may go. */
  readonly ended: Promise<void>
  readonly service: Service
  readonly #hub: Hub
  readonly #engine: Engine
  readonly #lease: Lease
  #end: () => void = () => {}

  private constructor(engine: Engine, options: WorkerOptions, around: Surroundings) {
    this.ended = new Promise(resolve => { this.#end = resolve })
    this.#engine = engine
    this.#lease = new Lease(around.held, around.lost)
    this.#hub = new Hub(engine, options.hasToken, f => this.#lease.guard(f))
    this.service = new Service(engine, this.#hub, this.#lease, options, crypto.randomUUID(), around.send, () => this.#wipe(options.name, around))
    for (const r of options.remotes) this.#hub.connect(r)
  }

  static async open(options: WorkerOptions, stolen: boolean, loading: Promise<Core>, around: Surroundings): Promise<Owner> {
    const [store, core] = await Promise.all([openStore(options.name, stolen, options.noOPFS), loading])
    return new Owner(new Engine(store, core, options.base), options, around)
  }

  /** Removes all, in this order: sockets, the database, the other tabs' hold on it, the files. */
  async #wipe(name: string, around: Surroundings): Promise<void> {
    this.#hub.close()
    this.#engine.close()
    if (this.#engine.store.kind === "opfs") await removeStore(name)
    around.wiped()
    // After the answer has gone.
    setTimeout(() => this.close(), 100)
  }

  close(): void {
    this.#lease.stop()
    this.#hub.close()
    this.#engine.close()
    this.#end()
  }
}
