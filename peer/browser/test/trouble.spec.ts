import { test, expect } from "./fixtures.ts"
import { rendererOf } from "./browser.ts"
import { add, heads, start, titles } from "./sync.ts"

test("wiping leaves nothing in the profile's files", async ({ profile, pages }) => {
  const context = await profile.launch()
  const page = await pages.open(context), second = await pages.open(context)
  const doc = await start(page, {})
  await start(second, {}, doc)
  const marker = `marker-${crypto.randomUUID()}`
  await page.evaluate(m => globalThis.doc.apply(globalThis.syncline.create("items", "secret", { title: m })), marker)
  expect(profile.find(marker).length, "it is there before").toBeGreaterThan(0)
  // From the tab that does not own the store.
  await second.evaluate(() => globalThis.peer.wipe())
  await expect.poll(() => page.evaluate(() => globalThis.peer.status().then(() => "open", e => (e as { code: string }).code))).toBe("closed")
  expect(await page.evaluate(async () => {
    const names: string[] = []
    for await (const n of (await navigator.storage.getDirectory() as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(n)
    return names
  })).toEqual([])
  expect(profile.find(marker)).toEqual([])
  // It begins anew.
  await page.reload()
  await page.locator("body[data-ready]").waitFor({ state: "attached" })
  await start(page, {})
  expect(await page.evaluate(async () => (await globalThis.peer.documents()).length)).toBe(1)
})

test("without a file system it works in memory, and says so", async ({ profile, pages, relay }) => {
  pages.server.withoutFiles = true
  const page = await pages.open(await profile.launch())
  const told = await page.evaluate(async url => {
    const warnings: string[] = []
    const peer = globalThis.peer = await globalThis.syncline.open({ name: "test", remotes: [{ url }], onWarning: w => warnings.push(`${w.kind}: ${w.message}`) })
    globalThis.doc = await peer.create()
    const r = await globalThis.doc.apply(globalThis.syncline.create("items", "x", { n: 1 }))
    await r.wait("acknowledged")
    return { warnings, store: (await peer.status()).store, rows: await peer.query("SELECT _id FROM items") }
  }, relay.url)
  expect(told.warnings).toEqual([expect.stringContaining("memory: Nothing here outlives this page")])
  expect(told.store).toMatchObject({ kind: "memory", warning: expect.any(String) })
  expect(told.rows).toEqual([{ _id: "x" }])
})

test("a full disk refuses the edit, says so, and loses nothing", async ({ profile, pages }) => {
  const context = await profile.launch()
  const page = await pages.open(context)
  const doc = await start(page, {})
  await add(page, "before")
  const cdp = await context.newCDPSession(page)
  const usage = (await page.evaluate(() => globalThis.peer.status())).store.usage
  await cdp.send("Storage.overrideQuotaForOrigin", { origin: pages.server.url, quotaSize: usage + 300_000 })
  const result = await page.evaluate(async () => {
    const s = globalThis.syncline, done: string[] = []
    const noise = (): string => Array.from(crypto.getRandomValues(new Uint8Array(50_000)), b => String.fromCharCode(33 + b % 90)).join("")
    for (let i = 0; i < 200; i++) {
      try {
        await globalThis.doc.apply(s.create("items", `big${i}`, { noise: new s.Scalar(noise()) }))
        done.push(`big${i}`)
      } catch (e) {
        const error = e as { code: string, message: string }
        // Reading goes on, and what was refused is not there.
        return { done, code: error.code, message: error.message, here: Object.keys(await globalThis.doc.collection("items")), heads: await globalThis.doc.heads() }
      }
    }
    return { done, code: "none", message: "", here: [], heads: [] }
  })
  expect(result.code).toBe("storage-full")
  expect(result.message).toMatch(/full/)
  expect(result.here.sort()).toEqual(["before", ...result.done].sort())
  await cdp.send("Storage.overrideQuotaForOrigin", { origin: pages.server.url })
  await add(page, "after")
  expect(await titles(page)).toEqual(["after", "before", ...result.done].sort())
  await profile.kill()
  const again = await pages.open(await profile.launch())
  await start(again, {}, doc)
  expect(await titles(again)).toEqual(["after", "before", ...result.done].sort())
})

test("a tab that is stopped while it owns the store is taken over from, and says nothing more", async ({ profile, pages }) => {
  const context = await profile.launch()
  const one = await pages.open(context)
  const doc = await start(one, { patience: 3500 })
  await add(one, "by-one")
  const two = await pages.open(context)
  await start(two, { patience: 3500 }, doc)
  const before = await two.evaluate(() => globalThis.peer.status())
  expect(before.tabs).toBe(2)
  // SIGSTOP, as the system does to what it has no room for: no event tells the tab, and its files stay locked.
  const owner = await rendererOf(one, context)
  process.kill(owner, "SIGSTOP")
  try {
    await add(two, "by-two") // waits for the takeover
    const after = await two.evaluate(() => globalThis.peer.status())
    expect(after.owner).not.toBe(before.owner)
    expect(await titles(two)).toEqual(["by-one", "by-two"])
  } finally {
    process.kill(owner, "SIGCONT")
  }
  // Awake, it works through the new owner; what it did before is there, and both agree.
  await add(one, "one-again")
  await expect.poll(() => titles(two)).toEqual(["by-one", "by-two", "one-again"])
  expect(await titles(one)).toEqual(["by-one", "by-two", "one-again"])
  expect(await heads(one)).toEqual(await heads(two))
  expect((await one.evaluate(() => globalThis.peer.status())).owner).toBe((await two.evaluate(() => globalThis.peer.status())).owner)
})
