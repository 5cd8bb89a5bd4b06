import { test, expect } from "./fixtures.ts"
import type { App } from "./pages/repo.ts"
import type { Stock } from "./pages/stock.ts"
import { start } from "./sync.ts"

declare global {
  var stock: Stock
  var app: App
}

test("a stock automerge-repo page beside ours on the same document", async ({ profile, other, pages, relay }) => {
  const ours = await pages.open(await profile.launch()), stock = await pages.open(await other.launch(), "/stock")
  const doc = await start(ours, { remotes: [{ url: relay.url }] })
  await ours.evaluate(async () => (await globalThis.doc.apply(globalThis.syncline.create("items", "ours", { title: "ours" }))).wait("acknowledged"))
  await stock.evaluate(({ url, doc }) => globalThis.stock.find(url, doc), { url: relay.url, doc })
  expect(await stock.evaluate(() => globalThis.stock.titles())).toEqual(["ours"])
  await Promise.all([
    stock.evaluate(() => globalThis.stock.add("theirs")),
    ours.evaluate(() => globalThis.doc.apply(globalThis.syncline.create("items", "second", { title: "second" }))),
  ])
  await expect.poll(() => stock.evaluate(() => globalThis.stock.titles())).toEqual(["ours", "second", "theirs"])
  await expect.poll(() => ours.evaluate(async () => Object.keys(await globalThis.doc.collection("items")))).toEqual(["ours", "second", "theirs"])
})

test("a Repo with our adapters: durable, in SQL, and in sync over the one socket", async ({ profile, other, pages, relay }) => {
  const context = await profile.launch()
  const one = await pages.open(context, "/repo"), two = await pages.open(context, "/repo"), far = await pages.open(await other.launch(), "/stock")
  const doc = await one.evaluate(url => globalThis.app.open(url), relay.url)
  await one.evaluate(() => globalThis.app.add("one"))
  await expect.poll(() => one.evaluate(() => globalThis.app.rows())).toEqual(["one"])
  await two.evaluate(({ url, doc }) => globalThis.app.open(url, doc), { url: relay.url, doc })
  await two.evaluate(() => globalThis.app.add("two"))
  await far.evaluate(({ url, doc }) => globalThis.stock.find(url, doc), { url: relay.url, doc })
  await far.evaluate(() => globalThis.stock.add("far"))
  for (const p of [one, two]) await expect.poll(() => p.evaluate(() => globalThis.app.titles())).toEqual(["far", "one", "two"])
  // The owner's tab goes; the other Repo finds the next owner.
  await one.close()
  await two.evaluate(() => globalThis.app.add("after"))
  await expect.poll(() => two.evaluate(() => globalThis.app.rows())).toEqual(["after", "far", "one", "two"])
  await expect.poll(() => far.evaluate(() => globalThis.stock.titles())).toEqual(["after", "far", "one", "two"])
})

test("a Repo's own storage in our store survives the browser", async ({ profile, pages }) => {
  const before = await pages.open(await profile.launch(), "/repo")
  const { doc } = await before.evaluate(() => globalThis.app.storage())
  await profile.kill()
  const after = await pages.open(await profile.launch(), "/repo")
  expect(await after.evaluate(d => globalThis.app.storage(d), doc)).toEqual({ doc, titles: ["kept"] })
})
