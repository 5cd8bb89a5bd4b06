import type { Page } from "@playwright/test"
import "./fixtures.ts"

/** Opens a peer in a page, and the document if there is one yet. */
export async function start(page: Page, options: object, doc?: string): Promise<string> {
  return page.evaluate(async ({ options, doc }) => {
    const peer = globalThis.peer = await globalThis.syncline.open({ name: "test", onWarning: () => {}, ...options })
    const d = globalThis.doc = doc ? await peer.find(doc, { timeout: 60_000 }) : await peer.create()
    return d.id
  }, { options, doc })
}

/** Adds an item; acknowledged waits for the relay. */
export async function add(page: Page, id: string, acknowledged = false): Promise<void> {
  await page.evaluate(async ({ id, acknowledged }) => {
    const s = globalThis.syncline
    const r = await globalThis.doc.apply(s.create("items", id, { title: id, count: new s.Counter(0), tags: ["a"] }))
    if (acknowledged) await r.wait("acknowledged", { timeout: 60_000 })
  }, { id, acknowledged })
}

/** The ids of the items, by SQL. */
export const titles = (page: Page): Promise<string[]> => page.evaluate(async () =>
  (await globalThis.peer.query("SELECT _id FROM items ORDER BY _id")).map(r => String(r["_id"])))

export const heads = (page: Page): Promise<string[]> => page.evaluate(async () => (await globalThis.doc.heads()).sort())
