import type { WorkerOptions } from "./shared/api.js"
import { errorFrom, SynclineError } from "./shared/errors.js"
import type { FromWorker, ToWorker } from "./shared/protocol.js"

interface Pending { method: string, params: unknown, resolve(v: unknown): void, reject(e: unknown): void }

/**
 * The page's side of the worker. A call is answered by whichever tab owns the store; when the owner goes before
 * it has answered, the next one is asked again. So what must not be done twice has a number of its own.
 */
export class RPC {
  readonly #worker: Worker
  readonly #pending = new Map<string, Pending>()
  readonly #ready: Promise<void>
  readonly #prefix = crypto.randomUUID().slice(0, 8)
  #n = 0
  #epoch: string | undefined
  #closed: SynclineError | undefined
  onEvent: (event: string, data: unknown) => void = () => {}
  /** Another tab owns the store now: what was asked to go on has to be asked for again. */
  onOwner: () => void = () => {}

  constructor(url: URL | string, options: WorkerOptions) {
    this.#worker = new Worker(url, { type: "module", name: `syncline ${options.name}` })
    let opened: () => void, failed: (e: Error) => void
    this.#ready = new Promise((resolve, reject) => { opened = resolve; failed = reject })
    this.#ready.catch(() => {})
    this.#worker.onerror = e => failed(new SynclineError("internal", `the worker did not start: ${e.message || "is its address right?"}`))
    this.#worker.onmessage = e => {
      const m = e.data as FromWorker
      switch (m.kind) {
        case "owner": {
          if (m.epoch === this.#epoch) return
          const first = this.#epoch === undefined
          this.#epoch = m.epoch
          opened()
          for (const [id, p] of this.#pending) this.#post({ kind: "call", id, method: p.method, params: p.params })
          if (!first) this.onOwner()
          return
        }
        case "reply": {
          const p = this.#pending.get(m.id)
          this.#pending.delete(m.id)
          if (m.error) p?.reject(errorFrom(m.error))
          else p?.resolve(m.result)
          return
        }
        case "event": return this.onEvent(m.event, m.data)
        case "failed": return failed(errorFrom(m.error))
      }
    }
    this.#post({ kind: "start", options })
  }

  /** Resolves when there is an owner. */
  ready(): Promise<void> { return this.#ready }

  #post(m: ToWorker): void { this.#worker.postMessage(m) }

  call<T>(method: string, params: unknown = {}): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closed)
    const id = `${this.#prefix}-${++this.#n}`
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { method, params, resolve: resolve as (v: unknown) => void, reject })
      if (this.#epoch !== undefined) this.#post({ kind: "call", id, method, params })
    })
  }

  close(why: SynclineError): void {
    if (this.#closed) return
    this.#closed = why
    for (const p of this.#pending.values()) p.reject(why)
    this.#pending.clear()
    this.#post({ kind: "stop" })
  }
}
