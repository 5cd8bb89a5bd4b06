import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test, expect } from "./fixtures.ts"
import { FakeRelay } from "./fake-relay.ts"
import { root } from "./paths.ts"
import { add, start, titles } from "./sync.ts"

// A change that a relay would never pass on: its actor is an index out of range, on which @automerge/automerge
// 3.5.0 panics when it is applied.
const hostile = Buffer.from("4201a2110e8dcf70940aa2fde592f7ee0363042ae26317c8f4ae6aea1d136290a326000100000150856f4a836c12ac90014600020107ab0101f5adc49ca03405666972737400061509340142025606571170027c01610173016601620404017c14568501370068656c6c6f00000000000404010102030400", "hex")

test("a change that ends the core is put aside, and the document goes on", async ({ profile, pages }) => {
  const relay = await FakeRelay.start()
  const page = await pages.open(await profile.launch())
  const doc = await start(page, {})
  await add(page, "before")
  let sent = false
  relay.onMessage = (m, reply) => {
    if (m.type !== "sync" && m.type !== "request" || sent) return
    sent = true
    reply({ type: "sync", documentId: m.documentId, data: new Uint8Array(hostile) })
  }
  await page.evaluate(url => globalThis.peer.connect({ url }), relay.url)
  await expect.poll(() => page.evaluate(async () => (await globalThis.peer.status()).quarantined.length)).toBe(1)
  const status = await page.evaluate(() => globalThis.peer.status())
  expect(status.quarantined[0]).toMatchObject({ document: doc, reason: expect.stringMatching(/unwrap|panic/i) })
  expect(status.counters.changesRefused).toBe(1)
  expect(status.undelivered).toMatchObject([{ document: doc, class: "rejected" }])
  await add(page, "after")
  expect(await titles(page)).toEqual(["after", "before"])
  // It is not tried again by the next start.
  await page.reload()
  await page.locator("body[data-ready]").waitFor({ state: "attached" })
  await start(page, {}, doc)
  expect(await titles(page)).toEqual(["after", "before"])
  expect((await page.evaluate(() => globalThis.peer.status())).quarantined.length).toBe(1)
  relay.close()
})

test("bytes that have ended a core of any make: each document goes on, here and after the next start", async ({ profile, pages }) => {
  const folder = join(process.env.SYNCLINE_SHARED || join(root, "..", "..", "..", "shared"), "corpus", "crashers")
  test.skip(!existsSync(folder), `there is no ${folder}`)
  const messages = readdirSync(folder).sort().map(name => {
    const bytes = readFileSync(join(folder, name))
    // A chunk goes in a sync message: no heads, no needs, no filters, one change.
    const length: number[] = []
    for (let n = bytes.length; ; n >>= 7) { length.push(n < 128 ? n : n & 127 | 128); if (n < 128) break }
    return bytes[0] === 0x42 ? bytes : Buffer.from([0x42, 0, 0, 0, 1, ...length, ...bytes])
  })
  expect(messages.length).toBeGreaterThan(0)
  const relay = await FakeRelay.start()
  const page = await pages.open(await profile.launch())
  const uncaught: string[] = []
  page.on("pageerror", e => uncaught.push(e.message))
  await start(page, {})
  const ids = await page.evaluate(async n => {
    const ids: string[] = []
    for (let i = 0; i < n; i++) {
      const d = await globalThis.peer.create()
      ids.push(d.id)
      await d.apply(globalThis.syncline.create("items", "before", { n: i }))
    }
    return ids
  }, messages.length)
  const sent = new Set<string>()
  relay.onMessage = (m, reply) => {
    const i = ids.indexOf(m.documentId!)
    if (i < 0 || sent.has(m.documentId!)) return
    sent.add(m.documentId!)
    reply({ type: "sync", documentId: m.documentId, data: new Uint8Array(messages[i]!) })
  }
  await page.evaluate(url => globalThis.peer.connect({ url }), relay.url)
  // Edits go on while cores end.
  const texts = await page.evaluate(async ids => {
    for (let round = 0; round < 5; round++) {
      await Promise.all(ids.map(async id => (await globalThis.peer.find(id)).apply(globalThis.syncline.create("items", `after${round}`, { round }))))
    }
    return Promise.all(ids.map(async id => Object.keys(await (await globalThis.peer.find(id)).collection("items")).length))
  }, ids)
  expect(texts).toEqual(ids.map(() => 6))
  await expect.poll(() => sent.size).toBe(ids.length)
  await expect.poll(() => page.evaluate(async () => (await globalThis.peer.status()).counters.messagesIn)).toBeGreaterThan(ids.length)
  const status = await page.evaluate(() => globalThis.peer.status())
  expect(status.quarantined.length, "some of them end this core, too").toBeGreaterThan(0)
  await page.reload()
  await page.locator("body[data-ready]").waitFor({ state: "attached" })
  await start(page, {})
  const again = await page.evaluate(ids => Promise.all(ids.map(async id => {
    const d = await globalThis.peer.find(id)
    await d.apply(globalThis.syncline.create("items", "again", {}))
    return Object.keys(await d.collection("items"))
  })), ids)
  for (const items of again) expect(items).toEqual(expect.arrayContaining(["before", "after0", "after4", "again"]))
  expect((await page.evaluate(() => globalThis.peer.query("SELECT count(DISTINCT _doc) AS n FROM items WHERE _id = 'again'")))).toEqual([{ n: ids.length }])
  expect(uncaught, "each panic is answered by a fresh core").toEqual([])
  relay.close()
})

test("nothing is sent before it is durable, and a full disk acknowledges nothing", async ({ profile, pages }) => {
  const relay = await FakeRelay.start()
  const context = await profile.launch()
  const page = await pages.open(context)
  await start(page, {})
  await add(page, "before")
  const heads: string[] = []
  relay.onMessage = m => { if (m.type === "sync") heads.push(Buffer.from(m.data!).subarray(1, 34).toString("hex")) }
  await page.evaluate(url => globalThis.peer.connect({ url }), relay.url)
  await expect.poll(() => heads.length).toBeGreaterThan(0)
  const cdp = await context.newCDPSession(page)
  const { store } = await page.evaluate(() => globalThis.peer.status())
  await cdp.send("Storage.overrideQuotaForOrigin", { origin: pages.server.url, quotaSize: store.usage })
  const before = heads.length
  const code = await page.evaluate(async () => {
    const s = globalThis.syncline
    const noise = Array.from({ length: 2_000_000 }, () => String.fromCharCode(33 + Math.random() * 90)).join("")
    return globalThis.doc.apply(s.create("items", "big", { noise: new s.Scalar(noise) })).then(() => "made", e => (e as { code: string }).code)
  })
  expect(code).toBe("storage-full")
  await cdp.send("Storage.overrideQuotaForOrigin", { origin: pages.server.url })
  await add(page, "after") // which is told, so all before it would have been
  await expect.poll(() => heads.length).toBeGreaterThan(before)
  expect(heads.length).toBe(before + 1)
  relay.close()
})

test("tokens: asked of the app for each connection, and refreshed; classes decide what follows", async ({ profile, pages }) => {
  const relay = await FakeRelay.start()
  let refuse = true
  const tokens: string[] = []
  relay.onJoin = (socket, reply) => {
    if (!refuse) return false
    refuse = false
    reply({ type: "error", message: "the token has ended" })
    socket.close(4002, "token expired")
    return true
  }
  relay.onMessage = m => { if (m.type === "syncline-token") tokens.push(String(m["token"])) }
  const page = await pages.open(await profile.launch())
  await page.evaluate(async url => {
    let n = 0
    globalThis.peer = await globalThis.syncline.open({ name: "test", remotes: [{ url }], token: () => `token-${++n}`, onWarning: () => {} })
  }, relay.url)
  await expect.poll(() => relay.protocols).toEqual(["syncline.v1, bearer.token-1", "syncline.v1, bearer.token-2"])
  await expect.poll(() => page.evaluate(async () => (await globalThis.peer.status()).remotes[0]!.state)).toBe("connected")
  expect((await page.evaluate(() => globalThis.peer.status())).counters.retries.unauthorised).toBe(1)
  await page.evaluate(url => globalThis.peer.setToken(url, "fresh"), relay.url)
  await expect.poll(() => tokens).toEqual(["fresh"])
  // A relay that goes down says when to come back; one that answers with nonsense is waited for longer.
  relay.onJoin = (socket, reply) => {
    reply({ type: "syncline-notice", code: "draining", message: "back soon", retryAfterMs: 1_000_000 })
    socket.close(4006, "draining")
    return true
  }
  await page.evaluate(() => globalThis.peer.retry())
  await expect.poll(() => page.evaluate(async () => (await globalThis.peer.status()).remotes[0]!.state)).toBe("waiting")
  const remote = (await page.evaluate(() => globalThis.peer.status())).remotes[0]!
  expect(remote).toMatchObject({ class: "draining", reason: "back soon", mendable: true })
  expect(remote.next! - Date.now()).toBeGreaterThan(900_000)
  // A page that is looked at again does not wait.
  relay.onJoin = () => false
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
  await expect.poll(() => page.evaluate(async () => (await globalThis.peer.status()).remotes[0]!.state)).toBe("connected")
  const names = await page.evaluate(async () => [...new Set((await globalThis.peer.telemetry()).map(m => m.name))])
  expect(names).toEqual(expect.arrayContaining(["syncline_pending_changes", "syncline_retries_total", "syncline_reconciliation_duration_seconds_bucket"]))
  relay.close()
})
