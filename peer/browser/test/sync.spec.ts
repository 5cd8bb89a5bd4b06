import { test, expect } from "./fixtures.ts"
import type { Page } from "@playwright/test"
import { rendererOf } from "./browser.ts"
import { add, heads, start, titles } from "./sync.ts"

test("two tabs, two profiles and a native peer converge", async ({ profile, other, pages, relay, native }) => {
  const context = await profile.launch()
  const one = await pages.open(context), two = await pages.open(context), far = await pages.open(await other.launch())
  const remotes = [{ url: relay.url }]
  const doc = await start(one, { remotes })
  await add(one, "first", true)
  await start(two, { remotes }, doc)
  await start(far, { remotes }, doc)
  // One socket for both tabs of a browser.
  const statuses = await Promise.all([one, two].map(p => p.evaluate(() => globalThis.peer.status())))
  expect(statuses[0]!.owner).toBe(statuses[1]!.owner)
  expect(statuses[1]!.tabs).toBe(2)
  await expect.poll(() => { try { native.sync(relay.url, doc); return true } catch { return false } }).toBe(true)
  native.follow(relay.url)
  await Promise.all([add(one, "a", true), add(two, "b", true), add(far, "c", true)])
  await expect.poll(() => native.show(doc), { timeout: 60_000 }).toMatchObject({ items: { first: {}, a: {}, b: {}, c: {} } })
  native.op(doc, "create", "items", "native", '{"title": "from Go", "count": {"$counter": 5}}')
  native.op(doc, "increment", "items", "first", "count", "3")
  for (const p of [one, two, far]) await expect.poll(() => titles(p)).toEqual(["a", "b", "c", "first", "native"])
  for (const p of [one, two, far]) await expect.poll(() => p.evaluate(() => globalThis.doc.get("items", "first", "count"))).toBe(3)
  await Promise.all([one, two, far].map(p => p.evaluate(() => globalThis.doc.apply(globalThis.syncline.increment("items", "first", "count", 2)))))
  for (const p of [one, two, far]) await expect.poll(() => p.evaluate(() => globalThis.doc.get("items", "first", "count"))).toBe(9)
  await expect.poll(async () => [await heads(one), await heads(two), await heads(far), native.heads(doc)].map(String).every((h, _, all) => h === all[0])).toBe(true)
  // Who did what is in the changes, for all.
  const log = await far.evaluate(() => globalThis.doc.log({ limit: 1000 }))
  expect(log.map(e => e.intent)).toEqual(expect.arrayContaining(["create items/native", "increment items/first", "create items/a"]))
  expect(log.length).toBe(new Set(log.map(e => e.hash)).size)
  expect(log.at(-1)!.intent, "the first of all is the last").toBe("create items/first")
  expect(await far.evaluate(() => globalThis.doc.log({ limit: 4 }))).toEqual(log.slice(0, 4))
})

test("offline edits survive a reload and reach others later", async ({ profile, other, pages, relay }) => {
  const remotes = [{ url: relay.url }]
  const page = await pages.open(await profile.launch())
  const doc = await start(page, { remotes })
  await add(page, "before", true)
  const far = await pages.open(await other.launch())
  await start(far, { remotes }, doc)
  await page.evaluate(() => globalThis.peer.network("offline"))
  await add(page, "offline")
  await add(far, "meanwhile", true)
  const status = await page.evaluate(() => globalThis.peer.status())
  expect(status.unacknowledged).toBe(1)
  expect(status.oldest).not.toBeNull()
  expect(status.remotes[0]!.state).toBe("offline")
  await page.reload()
  await page.locator("body[data-ready]").waitFor({ state: "attached" })
  await start(page, {}, doc) // no remotes: still away
  expect(await titles(page)).toEqual(["before", "offline"])
  await page.evaluate(url => globalThis.peer.connect({ url }), relay.url)
  await expect.poll(() => titles(page)).toEqual(["before", "meanwhile", "offline"])
  await expect.poll(() => titles(far)).toEqual(["before", "meanwhile", "offline"])
  await page.evaluate(() => globalThis.peer.flush({ timeout: 60_000 }))
  expect((await page.evaluate(() => globalThis.peer.status())).unacknowledged).toBe(0)
})

test("a relay that has lost its data is filled again from the browser", async ({ profile, other, pages, relay }) => {
  const remotes = [{ url: relay.url }]
  const page = await pages.open(await profile.launch())
  const doc = await start(page, { remotes })
  for (let i = 0; i < 30; i++) await add(page, `i${String(i).padStart(2, "0")}`)
  await page.evaluate(() => globalThis.peer.flush({ timeout: 60_000 }))
  await relay.lose()
  await relay.start()
  await add(page, "later", true)
  const far = await pages.open(await other.launch())
  await start(far, { remotes }, doc)
  await expect.poll(async () => (await titles(far)).length).toBe(31)
  expect(await heads(far)).toEqual(await heads(page))
})

test("two tabs, the owner killed: nothing lost, and the other goes on", async ({ profile, pages }) => {
  const context = await profile.launch()
  const one = await pages.open(context), two = await pages.open(context)
  const doc = await start(one, {})
  await add(one, "by-one")
  await start(two, {}, doc)
  const seen = two.evaluate(() => new Promise<string[]>(resolve => {
    globalThis.peer.live("SELECT _id FROM items ORDER BY _id", [], rows => { if (rows.length >= 4) resolve(rows.map(r => String(r["_id"]))) })
  }))
  await add(two, "by-two") // through the first tab
  // Asked while there is nobody to answer, it is answered by the next owner, and carried out once.
  const waiting = two.evaluate(async () => {
    const s = globalThis.syncline
    const edits: Promise<unknown>[] = []
    for (let i = 0; i < 20; i++) {
      edits.push(globalThis.doc.apply(s.create("items", `k${i}`, { n: i })))
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    return Promise.all(edits).then(() => Date.now())
  })
  const before = await two.evaluate(async () => (await globalThis.peer.status()).owner)
  // Not closed: killed, so that it says goodbye to nobody.
  process.kill(await rendererOf(one, context), "SIGKILL")
  await waiting
  await expect.poll(() => two.evaluate(async () => (await globalThis.peer.status()).owner)).not.toBe(before)
  expect(await titles(two)).toEqual(["by-one", "by-two", ...Array.from({ length: 20 }, (_, i) => `k${i}`)].sort())
  expect((await seen).length).toBeGreaterThanOrEqual(4)
})

test("a native peer that is connected to has seen what it has on its disk", async ({ profile, pages, native }) => {
  const url = await native.listen()
  const page = await pages.open(await profile.launch())
  const doc = await start(page, {})
  const before = await page.evaluate(async () => {
    const r = await globalThis.doc.apply(globalThis.syncline.create("items", "x", { n: 1 }))
    return { sequence: r.sequence, state: (await r.progress()).state }
  })
  expect(before.state).toBe("local")
  await page.evaluate(url => globalThis.peer.connect({ url, peer: true }), url)
  const after = await page.evaluate(async sequence => {
    const r = await globalThis.peer.receipt(sequence)
    await r.wait("seen", { timeout: 60_000 })
    return r.progress()
  }, before.sequence)
  expect(after).toMatchObject({ state: "seen", acknowledged: [expect.any(String)] })
  await native.kill()
  expect(native.show(doc)).toEqual({ items: { x: { n: 1 } } })
})

test("presence and live queries reach other tabs and other browsers", async ({ profile, other, pages, relay }) => {
  const remotes = [{ url: relay.url }]
  const context = await profile.launch()
  const one = await pages.open(context), two = await pages.open(context), far = await pages.open(await other.launch())
  const doc = await start(one, { remotes })
  await add(one, "x", true)
  await start(two, { remotes }, doc)
  await start(far, { remotes }, doc)
  for (const [page, name] of [[one, "Ada"], [two, "Ben"], [far, "Cleo"]] as const) {
    await page.evaluate(name => {
      const presence = globalThis.doc.presence<{ name: string }>({ heartbeat: 1000 })
      presence.set({ name })
      Object.assign(globalThis, { presence })
    }, name)
  }
  const others = (p: Page): Promise<string> => p.evaluate(() =>
    (globalThis as unknown as { presence: { others: { state: { name: string } }[] } }).presence.others.map(o => o.state.name).sort().join())
  await expect.poll(() => others(one)).toBe("Ben,Cleo")
  await expect.poll(() => others(two)).toBe("Ada,Cleo")
  await expect.poll(() => others(far)).toBe("Ada,Ben")
  await two.close()
  await expect.poll(() => others(far)).toBe("Ada")
})
