import { existsSync } from "node:fs"
import { join } from "node:path"
import { test, expect } from "./fixtures.ts"
import { root } from "./paths.ts"
import { heads, start } from "./sync.ts"

const full = process.env.SYNCLINE_FULL === "1"
/** More than are open in the core at once, so that they are closed and opened again on the way. */
const many = full ? 3000 : 200

test(`${many} documents reach the relay and another browser, and all is told to be there`, async ({ profile, other, pages, relay }) => {
  const page = await pages.open(await profile.launch())
  await start(page, {})
  const ids = await page.evaluate(async n => {
    const ids: string[] = []
    for (let i = 0; i < n; i += 50) await Promise.all(Array.from({ length: Math.min(50, n - i) }, async (_, k) => {
      const d = await globalThis.peer.create()
      ids.push(d.id)
      await d.apply(globalThis.syncline.create("todos", "t", { n: i + k }))
    }))
    return ids
  }, many)
  expect((await page.evaluate(() => globalThis.peer.status())).unacknowledged).toBe(many)
  await page.evaluate(url => globalThis.peer.connect({ url }), relay.url)
  await page.evaluate(() => globalThis.peer.flush({ timeout: 300_000 }))
  const status = await page.evaluate(() => globalThis.peer.status())
  expect(status).toMatchObject({ unacknowledged: 0, oldest: null, pending: [], undelivered: [] })
  expect(status.open).toBeLessThanOrEqual(64)
  // What is told of the others stays right while one changes.
  await page.evaluate(() => globalThis.peer.network("offline"))
  await page.evaluate(async id => {
    const d = await globalThis.peer.find(id)
    for (let i = 0; i < 3; i++) await d.apply(globalThis.syncline.set("todos", "t", "n", -i - 1))
  }, ids[3]!)
  expect((await page.evaluate(() => globalThis.peer.status())).pending).toEqual([{ document: ids[3], changes: 3 }])
  await page.evaluate(() => globalThis.peer.network("normal"))
  await page.evaluate(() => globalThis.peer.flush({ timeout: 300_000 }))
  // Opened anew, it knows what others have.
  await page.reload()
  await page.locator("body[data-ready]").waitFor({ state: "attached" })
  await start(page, {}, ids[0])
  expect((await page.evaluate(() => globalThis.peer.status())).unacknowledged).toBe(0)
  const far = await pages.open(await other.launch())
  await start(far, { remotes: [{ url: relay.url }] }, ids[0])
  await far.evaluate(ids => Promise.all(ids.map(id => globalThis.peer.find(id, { timeout: 300_000 }))), ids)
  for (const p of [page, far]) {
    await expect.poll(() => p.evaluate(() => globalThis.peer.query("SELECT count(*) AS n, sum(_json->>'n' < 0) AS changed FROM todos"))).toEqual([{ n: many, changed: 1 }])
  }
})

test("a long history comes from the relay, is edited, and opens again", async ({ profile, pages, relay, native }) => {
  // The public trace automerge-paper as a document: 259,778 edits of one text; in as many changes, or a hundred edits in each.
  const file = join(process.env.SYNCLINE_SHARED || join(root, "..", "..", "..", "shared"), "corpus", "documents", full ? "paper-js-1op.automerge" : "paper-js-100ops.automerge")
  test.skip(!existsSync(file), `there is no ${file}`)
  const doc = /automerge:(\w+)/.exec(native.verb("doc", "import", "--db", native.db, file))![1]!
  native.sync(relay.url, doc)
  const page = await pages.open(await profile.launch())
  await start(page, { remotes: [{ url: relay.url }] })
  const text = (native.show(doc) as { text: string }).text
  expect(text.length).toBeGreaterThan(100_000)
  await page.evaluate(async doc => { globalThis.doc = await globalThis.peer.find(doc, { timeout: 300_000 }) }, doc)
  await expect.poll(() => heads(page), { timeout: 300_000 }).toEqual(native.heads(doc))
  const value = (): Promise<unknown> => page.evaluate(async () => (await globalThis.doc.value())["text"])
  expect(await value()).toBe(text)
  await page.evaluate(async () => {
    const r = await globalThis.doc.apply(globalThis.syncline.create("notes", "mine", { body: "beside it" }))
    await r.wait("acknowledged", { timeout: 300_000 })
  })
  const log = await page.evaluate(() => globalThis.doc.log({ limit: 3 }))
  expect(log).toMatchObject([{ intent: "create notes/mine", own: true, state: "acknowledged" }, { own: false }, { own: false }])
  native.sync(relay.url, doc)
  expect(native.heads(doc)).toEqual(await heads(page))
  await profile.kill()
  const again = await pages.open(await profile.launch())
  await start(again, {}, doc)
  expect(await again.evaluate(() => globalThis.doc.value())).toEqual({ notes: { mine: { body: "beside it" } }, text })
})
