import { test, expect } from "./fixtures.ts"

test("an edit is on the disk when it is acknowledged: 20 kills of the browser, nothing lost", async ({ profile, pages }) => {
  let doc = ""
  const acknowledged: string[] = []
  for (let round = 0; round < 20; round++) {
    const page = await pages.open(await profile.launch())
    doc = await page.evaluate(async ({ doc }) => {
      const s = globalThis.syncline
      const peer = await s.open({ name: "kill" })
      globalThis.peer = peer
      const d = globalThis.doc = doc ? await peer.find(doc) : await peer.create()
      return d.id
    }, { doc })
    const have = await page.evaluate(async () => Object.keys(await globalThis.doc.collection("items")))
    expect(have.sort()).toEqual(expect.arrayContaining([...acknowledged].sort()))
    expect(await page.evaluate(async () => (await globalThis.peer.query("SELECT _id FROM items")).map(r => r["_id"] as string))).toEqual(have)
    // Edits go on until the browser dies in the middle of one.
    let last: () => void = () => {}
    const enough = new Promise<void>(resolve => { last = resolve })
    let n = 0
    await page.exposeFunction("acknowledge", (id: string) => {
      acknowledged.push(id)
      if (++n === 3 + round % 5) last()
    })
    void page.evaluate(async ({ round }) => {
      const s = globalThis.syncline
      for (let i = 0; ; i++) {
        const id = `r${round}-${i}`
        await globalThis.doc.apply(s.create("items", id, { title: `Item ${i}`, n: new s.Counter(1) }))
        void globalThis.acknowledge(id)
      }
    }, { round }).catch(() => {})
    await enough
    await profile.kill()
  }
  expect(acknowledged.length).toBeGreaterThanOrEqual(60)
})
