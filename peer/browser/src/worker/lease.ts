/**
 * The owner's proof that it still is the owner. The Web Lock can be taken from a tab that does not answer (it
 * is frozen, or stopped in a debugger), and that tab is not asked. So the owner looks at the lock every
 * {@link lookEvery}; when its last look is older than {@link term}, it may have slept, and says nothing to
 * anybody, neither to a page nor to a relay, before it has looked again. Whoever takes the lock waits for longer
 * than the term. What was committed before the sleep is in the files that the new owner copies; what is
 * committed after it is never acknowledged.
 */
export const term = 3000
const lookEvery = 1000

export class Lease {
  #seen: number
  #timer: ReturnType<typeof setInterval>
  #look: Promise<boolean> | undefined
  #lost = false

  /** held asks the browser whether the lock is still ours; lost is called once when it is not. */
  constructor(private readonly held: () => Promise<boolean>, private readonly lost: () => void, private readonly now: () => number = Date.now) {
    this.#seen = now()
    this.#timer = setInterval(() => void this.check(), lookEvery)
  }

  /** Reports whether no look is needed. A clock that was set back asks for one, too. */
  get fresh(): boolean {
    const age = this.now() - this.#seen
    return !this.#lost && age >= 0 && age < term
  }

  /** Looks, and reports whether the store is still ours. */
  check(): Promise<boolean> {
    return this.#look ??= this.held().then(ours => {
      this.#look = undefined
      if (ours) this.#seen = this.now()
      else this.end()
      return ours
    })
  }

  /** Runs f now if the lease is fresh, or after a look; never if the lease is lost. */
  guard(f: () => void): void {
    if (this.fresh) f()
    else if (!this.#lost) void this.check().then(ours => { if (ours) f() })
  }

  /** The lock was taken from us. */
  end(): void {
    if (this.#lost) return
    this.#lost = true
    clearInterval(this.#timer)
    this.lost()
  }

  stop(): void {
    this.#lost = true
    clearInterval(this.#timer)
  }
}
