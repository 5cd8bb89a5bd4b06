import { test, expect } from "./fixtures.ts"
import { add, start, titles } from "./sync.ts"

test("operations: what each does, what is refused, and that a batch is all or nothing", async ({ profile, pages }) => {
  const page = await pages.open(await profile.launch())
  await start(page, {})
  const out = await page.evaluate(async () => {
    const s = globalThis.syncline, d = globalThis.doc
    await d.apply(s.create("c", "e", { n: 1, f: new s.Float(2), u: new s.Uint(3), big: 2n ** 60n, k: new s.Counter(5), t: "a😀c", s: new s.Scalar("imm"), at: new Date(0), raw: new Uint8Array([1]), list: ["x", { deep: true }], map: { $odd: 1 } }))
    const first = await d.entity("c", "e")
    await d.apply([
      s.update("c", "e", { n: 10 }), s.increment("c", "e", "k", 4), s.splice("c", "e", "t", 2, 1, "C"), s.set("c", "e", ["list", 1, "deep"], false),
      s.listInsert("c", "e", "list", 0, "first", "second"), s.listSet("c", "e", "list", 2, "X"), s.listDelete("c", "e", "list", 1, 1), s.unset("c", "e", "u"),
    ])
    const second = await d.entity("c", "e")
    const codes: { [what: string]: string } = {}
    const refused = async (what: string, ops: Parameters<typeof d.apply>[0]): Promise<void> => {
      codes[what] = await d.apply(ops).then(() => "done", (e: { code: string }) => e.code)
    }
    const heads = await d.heads()
    await refused("exists", s.create("c", "e"))
    await refused("not-found", s.update("c", "nope", { x: 1 }))
    await refused("kind", s.increment("c", "e", "n", 1))
    await refused("range", s.splice("c", "e", "t", 9, 0, "x"))
    await refused("invalid", s.update("c", "e", {}))
    await refused("no-change", s.update("c", "e", { n: 10 }))
    await refused("half", [s.update("c", "e", { n: 77 }), s.remove("c", "nope")])
    const log = await d.log()
    const empty = await globalThis.peer.query("SELECT * FROM not_yet")
    const sql: { [sql: string]: string } = {}
    for (const q of ["DELETE FROM c", "SELECT * FROM journal", "SELECT value FROM meta", "ATTACH 'x' AS y", "PRAGMA user_version = 3", "SELECT load_extension('x')", "SELEKT", "SELECT 1; DROP TABLE meta"]) {
      sql[q] = await globalThis.peer.query(q).then(r => JSON.stringify(r), (e: { code: string }) => e.code)
    }
    const rows = await globalThis.peer.query("WITH w AS (SELECT _json FROM c) SELECT _json->>'n' AS n, (SELECT count(*) FROM json_each(_json, '$.list')) AS l FROM w WHERE n > ?", [5])
    const all = await globalThis.peer.query("SELECT _collection, _id, _conflict FROM _entities")
    return { first, second, codes, same: String(await d.heads()) === String(heads), log, empty, sql, rows, all, doc: d.id }
  })
  expect(out.first).toEqual({ n: 1, f: 2, u: 3n, big: 2n ** 60n, k: 5, t: "a😀c", s: "imm", at: new Date(0), raw: expect.anything(), list: ["x", { deep: true }], map: { $odd: 1 } })
  expect(out.second).toMatchObject({ n: 10, k: 9, t: "a😀C", list: ["first", "X", { deep: false }] })
  expect(out.second).not.toHaveProperty("u")
  expect(out.codes).toEqual({ exists: "exists", "not-found": "not-found", kind: "kind", range: "range", invalid: "invalid", "no-change": "no-change", half: "not-found" })
  expect(out.same).toBe(true)
  expect(out.log).toMatchObject([{ intent: "update c/e; increment c/e; edit c/e; update c/e; edit c/e; update c/e", own: true, state: "local" }, { intent: "create c/e" }])
  expect(out.log[0]!.actor.slice(0, 16)).toBe(out.log[0]!.device)
  expect(out.empty).toEqual([])
  expect(Object.values(out.sql)).toEqual([...Array(5).fill("read-only"), "sql", "sql", '[{"1":1}]']) // of two statements only the first is looked at
  expect(out.rows).toEqual([{ n: 10, l: 3 }])
  expect(out.all).toEqual([{ _collection: "c", _id: "e", _conflict: 0 }])
})

test("concurrent values of a field are all there, and a text field edited by two keeps both", async ({ profile, other, pages, relay }) => {
  const remotes = [{ url: relay.url }]
  const one = await pages.open(await profile.launch()), far = await pages.open(await other.launch())
  const doc = await start(one, { remotes })
  await one.evaluate(async () => (await globalThis.doc.apply(globalThis.syncline.create("notes", "n", { text: "hello world", owner: "nobody" }))).wait("acknowledged"))
  await start(far, { remotes }, doc)
  for (const p of [one, far]) {
    await p.evaluate(() => {
      const area = document.body.appendChild(document.createElement("textarea"))
      globalThis.syncline.bindText(globalThis.doc, ["notes", "n", "text"], area)
    })
    await expect(p.locator("textarea")).toHaveValue("hello world")
  }
  await one.evaluate(() => globalThis.peer.network("offline"))
  await one.evaluate(() => globalThis.doc.apply(globalThis.syncline.set("notes", "n", "owner", new globalThis.syncline.Scalar("ada"))))
  await far.evaluate(() => globalThis.doc.apply(globalThis.syncline.set("notes", "n", "owner", new globalThis.syncline.Scalar("ben"))))
  await one.locator("textarea").pressSequentially("😀!", { delay: 1 })
  await far.locator("textarea").fill("hello brave world")
  await one.evaluate(() => globalThis.peer.network("normal"))
  const values = await Promise.all([one, far].map(async p => {
    await expect(p.locator("textarea")).toHaveValue(/brave.*😀!|😀!.*brave/)
    return p.locator("textarea").inputValue()
  }))
  expect(values[0]).toBe(values[1])
  for (const p of [one, far]) {
    await expect.poll(() => p.evaluate(async () => (await globalThis.doc.conflicts("notes", "n", "owner")).map(c => c.value).sort())).toEqual(["ada", "ben"])
    expect(await p.evaluate(() => globalThis.peer.query("SELECT _conflict FROM notes"))).toEqual([{ _conflict: 1 }])
    // A rule of the app's chooses alike at both.
    expect(await p.evaluate(() => globalThis.doc.merged({ name: "ranked", states: ["ben", "ada"] }, "notes", "n", "owner")))
      .toMatchObject({ value: { type: "str", value: "ada" }, conflict: true, settled: true, misfits: [] })
  }
})

test("the app opens without a network, and goes on where it was", async ({ profile, other, pages }) => {
  for (const [isolated, browser] of [[false, profile], [true, other]] as const) {
    pages.server.isolated = isolated
    pages.server.down = false
    const context = await browser.launch()
    const page = await pages.open(context)
    const doc = await start(page, {})
    await add(page, "kept")
    await page.evaluate(version => globalThis.syncline.keepShell("/sw.js", {
      version, assets: ["/boot.js", ...performance.getEntriesByType("resource").map(r => new URL(r.name).pathname).filter(p => p.startsWith("/lib/")), "/lib/core.js", "/lib/worker.js", "/lib/automerge.wasm", "/lib/sqlite3.wasm"].filter((p, i, all) => all.indexOf(p) === i),
    }), `v-${isolated}`)
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(isolated)
    await browser.kill()
    pages.server.down = true
    const offline = await pages.open(await browser.launch())
    await start(offline, {}, doc)
    expect(await titles(offline)).toEqual(["kept"])
  }
})
