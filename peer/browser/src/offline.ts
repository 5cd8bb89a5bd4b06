/**
 * Has the app open without a network: registers the service worker of this package, which keeps the app's own files.
 *
 * @packageDocumentation
 */

/** What the app consists of. */
export interface Shell {
  /** Changes with each release: the files are then fetched anew, and the old ones dropped. */
  version: string
  /** The addresses of all files that the app needs, from the page on: scripts, styles, worker.js, core.js, both .wasm files. */
  assets: string[]
  /** The page that answers every navigation when there is no network. "/" */
  page?: string
}

/**
 * Registers the service worker at an address of the app's origin, which serves this package's service-worker.js there.
 * Resolves when the files are kept: from then on the app opens offline. Undefined where there are no service workers.
 */
export async function keepShell(script: string, shell: Shell): Promise<ServiceWorkerRegistration | undefined> {
  if (!("serviceWorker" in navigator)) return undefined
  const url = new URL(script, location.href)
  url.searchParams.set("shell", JSON.stringify({ page: "/", ...shell }))
  const registration = await navigator.serviceWorker.register(url, { scope: new URL(".", url).pathname })
  await navigator.serviceWorker.ready
  return registration
}
