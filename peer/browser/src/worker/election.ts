import { term } from "./lease.js"

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

export const ownerLock = (name: string): string => `syncline:${name}`
export const tabLock = (name: string, tab: string): string => `syncline:${name}:tab:${tab}`

/** How many calls in a row a tab leaves unanswered before the lock is taken from it. */
const missed = 4

/**
 * Waits for the Web Lock of the store. won is called with stolen when it is ours; the lock is kept until the
 * promise that it returns is settled, and rejected by somebody who takes it from us (then the promise of elect
 * rejects with AbortError).
 */
export function elect(name: string, won: (stolen: boolean) => Promise<void>, steal: boolean, signal?: AbortSignal): Promise<void> {
  return navigator.locks.request(ownerLock(name), steal ? { steal: true } : { ...signal && { signal } }, () => won(steal)) as Promise<unknown> as Promise<void>
}

/** Reports whether the lock's holder is this worker, by the client id that it had when it won. */
export async function holder(name: string): Promise<string | undefined> {
  const { held } = await navigator.locks.query()
  return held?.find(l => l.name === ownerLock(name))?.clientId
}

/**
 * Watches the owner from a tab that waits. call sends it a call and gives whether it has answered in time.
 * When it has left {@link missed} calls in a row unanswered, each sent while we were awake, take is called.
 */
export async function watch(call: (timeout: number) => Promise<boolean>, take: () => void, stopped: () => boolean, patience: number = 2 * term): Promise<void> {
  const each = patience / missed
  let silent = 0
  while (!stopped()) {
    const at = Date.now()
    const answered = await call(each)
    const took = Date.now() - at
    // Of a call that took far longer than it may, it was us who slept.
    if (answered || took > 3 * each) silent = 0
    else silent++
    if (silent >= missed && !stopped()) {
      take()
      silent = 0
    }
    await pause(answered ? each : 0)
  }
}
