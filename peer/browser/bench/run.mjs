// Measures the peer in a real Chromium, with the real relay and a native peer, and prints a table.
// SYNCLINE_BENCH=tiny makes each as small as it goes, to see that it runs.
import { gzipSync } from "node:zlib"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { openPage, Profile } from "../test/browser.ts"
import { NativePeer, Relay } from "../test/program.ts"
import { PageServer } from "../test/server.ts"
import { root } from "../test/paths.ts"
import setup from "../test/setup.ts"

const tiny = process.env.SYNCLINE_BENCH === "tiny"
const times = n => tiny ? 3 : n
const ms = v => v < 10 ? v.toFixed(2) : v.toFixed(0)
const rows = []
const row = (what, value) => {
  rows.push([what, value])
  console.log(`| ${what} | ${value} |`)
}

await setup()
const server = await PageServer.start(), relay = await new Relay().start(), native = new NativePeer()
const near = new Profile(), far = new Profile()
const script = readFileSync(join(root, "bench/page.js"), "utf8")
const page = async (context) => {
  const p = await openPage(context, server.url)
  await p.evaluate(script)
  return p
}
try {
  console.log("| | |\n|---|---|")
  let context = await near.launch()
  let one = await page(context)
  const cold = await one.evaluate(() => bench.ready({ name: "bench" }))
  row("open to ready: cold, empty profile", `${ms(cold.ms)} ms`)
  const alone = await one.evaluate(n => bench.alone(n), times(2000))
  row("durable operations, one at a time", `${alone.perSecond.toFixed(0)}/s, p50 ${ms(alone.p50)} ms, p99 ${ms(alone.p99)} ms`)
  const together = await one.evaluate(n => bench.together(n, Math.min(n, 64)), times(4096))
  row("durable operations, 64 at a time", `${together.perSecond.toFixed(0)}/s`)
  const entities = await one.evaluate(n => bench.entities(n), times(1000))
  row(`${times(1000).toLocaleString("en")} entities in one change, with their rows: made / updated`, `${ms(entities.create)} / ${ms(entities.update)} ms`)
  const live = await one.evaluate(n => bench.live(n), times(500))
  row("edit to the callback of a live query over 1,000 rows", `p50 ${ms(live.p50)} ms, p99 ${ms(live.p99)} ms`)
  await one.reload()
  await one.locator("body[data-ready]").waitFor({ state: "attached" })
  await one.evaluate(script)
  const warm = await one.evaluate(d => bench.ready({ name: "bench" }, d), cold.doc)
  row("open to ready: warm, with that document", `${ms(warm.ms)} ms`)

  const takeovers = []
  for (let i = 0; i < times(10); i++) {
    const two = await page(context)
    await two.evaluate(d => bench.ready({ name: "bench" }, d), cold.doc)
    const before = await two.evaluate(async () => (await peer.status()).owner)
    const took = two.evaluate(owner => bench.takeover(owner), before)
    await one.close()
    takeovers.push(await took)
    one = two
  }
  takeovers.sort((a, b) => a - b)
  row("takeover: the owner's tab is closed, to the next durable edit", `p50 ${ms(takeovers[takeovers.length >> 1])} ms, worst ${ms(takeovers.at(-1))} ms`)
  await one.close()

  one = await page(context)
  const other = await page(await far.launch())
  const { doc } = await one.evaluate(url => bench.ready({ name: "sync", remotes: [{ url }] }), relay.url)
  await one.evaluate(() => bench.acknowledged(1))
  await other.evaluate(({ url, doc }) => bench.ready({ name: "sync", remotes: [{ url }] }, doc), { url: relay.url, doc })
  await other.evaluate(() => bench.answer("far"))
  const acked = await one.evaluate(n => bench.acknowledged(n), times(300))
  row("edit to acknowledged by the relay", `p50 ${ms(acked.p50)} ms, p99 ${ms(acked.p99)} ms`)
  const seen = await one.evaluate(n => bench.roundTrips(n), times(300))
  row("edit to seen, browser to browser", `p50 ${ms(seen.p50)} ms, p99 ${ms(seen.p99)} ms`)
  await far.kill()

  const listening = await native.listen()
  await one.evaluate(url => peer.connect({ url, peer: true }), listening)
  await one.evaluate(() => doc.apply(syncline.set("acks", "a", "n", -1)).then(r => r.wait("seen", { timeout: 60_000 })))
  const both = await one.evaluate(async n => {
    const each = []
    for (let i = 0; i < n; i++) {
      const at = performance.now()
      await (await doc.apply(syncline.set("acks", "a", "n", 1000 + i))).wait("seen", { timeout: 60_000 })
      each.push(performance.now() - at)
    }
    each.sort((a, b) => a - b)
    return { p50: each[n >> 1], p99: each[Math.min(n - 1, Math.floor(n * 0.99))] }
  }, times(300))
  row("edit to seen by a native peer and back as its acknowledgement", `p50 ${ms(both.p50)} ms, p99 ${ms(both.p99)} ms`)

  await one.close()
  one = await page(context)
  await one.evaluate(() => bench.ready({ name: "many" }))
  const many = await one.evaluate(n => bench.documents(n), times(3000))
  const filled = await one.evaluate(url => bench.fill(url), relay.url)
  row(`${times(3000).toLocaleString("en")} documents: made offline / all at an empty relay`, `${ms(many)} / ${ms(filled)} ms`)
  await one.close()

  // The public trace automerge-paper, a change for each of its 259,778 edits.
  const paper = join(process.env.SYNCLINE_SHARED || join(root, "..", "..", "..", "shared"), "corpus", "documents", "paper-js-1op.automerge")
  if (!tiny && existsSync(paper)) {
    await native.kill()
    const doc = /automerge:(\w+)/.exec(native.verb("doc", "import", "--db", native.db, paper))[1]
    native.sync(relay.url, doc)
    one = await page(context)
    await one.evaluate(url => bench.ready({ name: "paper", remotes: [{ url }] }), relay.url)
    const fetched = await one.evaluate(({ doc, heads }) => bench.fetched(doc, heads), { doc, heads: native.heads(doc) })
    await one.close()
    one = await page(context)
    const reopened = await one.evaluate(doc => bench.ready({ name: "paper" }, doc), doc)
    row("a text of 259,778 edits in as many changes: from the relay / opened again", `${ms(fetched)} / ${ms(reopened.ms)} ms`)
  }

  console.log("\n| file | bytes | gzip |\n|---|---|---|")
  for (const f of readdirSync(join(root, "lib")).filter(f => /\.(js|wasm)$/.test(f)).sort()) {
    const bytes = readFileSync(join(root, "lib", f))
    console.log(`| ${f} | ${bytes.length.toLocaleString("en")} | ${gzipSync(bytes, { level: 9 }).length.toLocaleString("en")} |`)
  }
} finally {
  await near.close()
  await far.close()
  await relay.close()
  await native.close()
  await server.stop()
}
