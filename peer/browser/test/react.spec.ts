import { test, expect } from "./fixtures.ts"
import type { ReactApp } from "./pages/react.ts"

test("hooks show rows, an entity and the status anew, and end with their component", async ({ profile, pages }) => {
  const page = await pages.open(await profile.launch(), "/react")
  const app = <K extends keyof ReactApp>(name: K, ...args: Parameters<ReactApp[K]>): Promise<unknown> =>
    page.evaluate(({ name, args }) => ((globalThis as unknown as { app: { [name: string]: (...a: unknown[]) => unknown } }).app[name]!)(...args), { name: name as string, args: args as unknown[] })
  const [rows, fields, journal] = ["#rows", "#fields", "#journal"].map(s => page.locator(s)) as [ReturnType<typeof page.locator>, ReturnType<typeof page.locator>, ReturnType<typeof page.locator>]
  await expect(rows).toHaveText("")
  await expect(fields).toHaveText("none")
  await app("add", "a", 1)
  await app("add", "b", 5)
  await expect(rows).toHaveText("a,b")
  await expect(fields).toHaveText("a 1")
  await expect(journal).toHaveText("2")
  // Others' parameters are another query; another id is another entity.
  await app("atLeast", 2)
  await expect(rows).toHaveText("b")
  await app("show", "b")
  await expect(fields).toHaveText("b 5")
  await app("count", "a")
  await expect(rows).toHaveText("a,b")
  await app("count", "b")
  await expect(fields).toHaveText("b 6")
  await app("remove", "b")
  await expect(fields).toHaveText("none")
  await expect(rows).toHaveText("a")
  // React's strict mode mounts each twice: one query is left of it, and none after the end.
  expect(await app("liveQueries")).toBe(1)
  await app("unmount")
  await expect.poll(() => app("liveQueries")).toBe(0)
})
