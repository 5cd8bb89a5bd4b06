// The service worker that keeps an app's files, so that its page opens without a network. What it keeps stands in
// its own address: see offline.ts. Only files of its own origin, only GET; sockets and data are no concern of it.
import type { Shell } from "./offline.js"

interface ExtendableEvent extends Event { waitUntil(p: Promise<unknown>): void }
interface FetchEvent extends ExtendableEvent { request: Request, respondWith(r: Promise<Response>): void }
interface Scope extends EventTarget { skipWaiting(): Promise<void>, clients: { claim(): Promise<void> } }

const scope = globalThis as unknown as Scope
const shell = JSON.parse(new URL(location.href).searchParams.get("shell") ?? "{}") as Required<Shell>
const prefix = "syncline-shell-"
const name = prefix + shell.version
/** How long a page may take to come from the network when it is here already, in ms. */
const patience = 3000

async function install(): Promise<void> {
  const cache = await caches.open(name)
  await cache.addAll([shell.page, ...shell.assets].map(a => new Request(a, { cache: "reload" })))
  await scope.skipWaiting()
}

async function activate(): Promise<void> {
  for (const old of await caches.keys()) if (old.startsWith(prefix) && old !== name) await caches.delete(old)
  await scope.clients.claim()
}

/** A page comes from the network, if that answers in time, so that a release is seen at once. */
async function page(request: Request): Promise<Response> {
  const kept = await caches.match(shell.page, { cacheName: name })
  if (!kept) return fetch(request)
  const late = new Promise<Response>(resolve => setTimeout(() => resolve(kept), patience))
  return Promise.race([late, fetch(request).then(r => r.ok ? r : kept, () => kept)])
}

async function asset(request: Request): Promise<Response> {
  // Not by the whole address: the core is loaded again under one with a number.
  return await caches.match(request, { cacheName: name, ignoreSearch: true }) ?? fetch(request)
}

scope.addEventListener("install", e => (e as ExtendableEvent).waitUntil(install()))
scope.addEventListener("activate", e => (e as ExtendableEvent).waitUntil(activate()))
scope.addEventListener("fetch", event => {
  const e = event as FetchEvent
  if (e.request.method !== "GET" || new URL(e.request.url).origin !== location.origin) return
  e.respondWith(e.request.mode === "navigate" ? page(e.request) : asset(e.request))
})
