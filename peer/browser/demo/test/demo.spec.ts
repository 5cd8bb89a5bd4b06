import type { Page } from "@playwright/test"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { Relay } from "../../test/program.ts"
import { addTask, card, expect, ready, test } from "./fixtures.ts"
import { programPath } from "./paths.ts"

const network = (page: Page, name: string) => page.getByRole("radio", { name, exact: true }).click()
const link = (page: Page) => page.locator("#link-text")

test("the page opens under its policy, and asks no other host for anything", async ({ demo, profile, open, said }) => {
  const context = await profile.launch()
  const page = await open(context, demo.url)
  await expect(card(page, "Book the ferry for Friday")).toBeVisible()
  await expect(link(page)).toHaveText("In sync")
  await expect(page.locator("body")).toHaveAttribute("data-kept", "1")
  const policy = (await page.request.get(demo.url)).headers()["content-security-policy"]
  expect(policy).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/)
  expect(policy).not.toMatch(/unsafe-inline|unsafe-eval'? (?!;)|\*|https?:/)
  await expect(page.locator("#figures")).toContainText("SQLite")
  expect(said).toEqual([])
})

test("it works without the opener policy, and isolated from other origins", async ({ demo, front, profile, open, said }) => {
  const context = await profile.launch()
  const bare = await front.start(demo.url, headers => { delete headers["cross-origin-opener-policy"] })
  const page = await open(context, bare)
  await expect(link(page)).toHaveText("In sync")
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(false)
  await front.stop()
  const alone = await front.start(demo.url, headers => { headers["cross-origin-embedder-policy"] = "require-corp" })
  const isolated = await open(context, alone)
  await expect(link(isolated)).toHaveText("In sync")
  await addTask(isolated, "Alone in its process")
  expect(await isolated.evaluate(() => crossOriginIsolated)).toBe(true)
  expect(said.filter(s => !s.includes("WebSocket"))).toEqual([])
})

test("two browsers and the native peer converge", async ({ demo, profile, other, open }) => {
  const one = await open(await profile.launch(), demo.url), two = await open(await other.launch(), demo.url)
  await addTask(one, "Pack the lamp")
  await expect(card(two, "Pack the lamp")).toBeVisible()
  // The native peer has seen it, says so, and answers in both.
  await expect.poll(() => demo.said).toMatch(/create todos\/\w{8}/)
  for (const page of [one, two]) await expect(card(page, "Help with “Pack the lamp”")).toBeVisible()
  await expect.poll(() => demo.said).toContain("Otto answers")
  // What is typed in a title appears while it is typed.
  await card(two, "Pack the lamp").getByLabel("Title").press("End")
  await card(two, "Pack the lamp").getByLabel("Title").pressSequentially(" and oil")
  await expect(card(one, "Pack the lamp and oil")).toBeVisible()
  await expect(card(one, "Pack the lamp and oil")).toHaveAttribute("data-by", /\w+/)
  // A filter is SQL, and shows what others do.
  await one.getByRole("button", { name: "Urgent", exact: true }).click()
  await expect(one.locator("#sql")).toHaveValue(/WHERE priority = 1/)
  await expect(card(one, "Pack the lamp and oil")).toBeHidden()
  await card(two, "Pack the lamp and oil").press("p")
  await expect(card(two, "Pack the lamp and oil")).toContainText("low")
  await card(two, "Pack the lamp and oil").press("p")
  await expect(card(one, "Pack the lamp and oil")).toBeVisible()
  const everybody = one.getByRole("list", { name: "Who is here" }).getByRole("listitem")
  await expect(everybody).toHaveCount(3)
  await expect(one.locator("#shares li")).toHaveCount(3)
  await expect(one.locator("#history")).toContainText("added “Pack the lamp and oil”")
})

test("a text is written by two at once, and each sees the other's caret", async ({ demo, profile, other, open }) => {
  const one = await open(await profile.launch(), demo.url), two = await open(await other.launch(), demo.url)
  const [left, right] = [one.locator("#note"), two.locator("#note")]
  await expect(left).toHaveValue(/^Island weekend/)
  await expect(right).toHaveValue(/^Island weekend/)
  await left.press("Control+Home")
  await right.press("Control+End")
  await Promise.all([left.pressSequentially("First things first. "), right.pressSequentially("And soap.")])
  for (const field of [left, right]) {
    await expect(field).toHaveValue(/^First things first\. Island weekend[^]*And soap\.$/)
  }
  await expect(one.locator("#carets .caret")).toHaveCount(1)
  await expect(two.locator("#carets .caret")).toHaveCount(1)
  // Each caret stands where its owner writes: the one above, the other below.
  const y = (page: Page): Promise<number> => page.locator("#carets .caret").evaluate(e => e.getBoundingClientRect().y)
  await expect.poll(async () => await y(one) - await y(two)).toBeGreaterThan(60)
  await right.blur()
  await expect(one.locator("#carets .caret")).toHaveCount(0)
})

test("edits made apart are kept, shown as a set, and merged by the fields' rules", async ({ demo, profile, other, open }) => {
  const one = await open(await profile.launch(), demo.url), two = await open(await other.launch(), demo.url)
  const item = (page: Page) => page.locator(".item[aria-label='Lantern']")
  await one.locator("#new-item").fill("Lantern")
  await one.locator("#new-item").press("Enter")
  await expect(item(two)).toBeVisible()
  await network(one, "Offline")
  await expect(link(one)).toHaveText(/^Offline/)
  const price = async (page: Page, p: string): Promise<void> => {
    await item(page).getByLabel("Price").fill(p)
    await item(page).getByLabel("Price").press("Enter")
  }
  const tag = async (page: Page, t: string): Promise<void> => {
    await item(page).getByLabel("Add a tag").fill(t)
    await item(page).getByLabel("Add a tag").press("Enter")
  }
  await price(one, "41.5")
  await price(two, "39")
  await item(one).getByLabel("Stage").selectOption("ordered")
  await item(two).getByLabel("Stage").selectOption("shipped")
  await tag(one, "brass")
  await tag(two, "old")
  await item(one).getByLabel("One more").click()
  await item(two).getByLabel("One more").click()
  await item(two).getByLabel("One more").click()
  await expect(link(one)).toHaveText(/^Offline · \d+ edits kept here$/)
  await expect(item(two).getByLabel("Price")).toHaveValue("39.00")
  await network(one, "Online")
  await expect(link(one)).toHaveText("In sync")
  for (const page of [one, two]) {
    await expect(item(page).locator(".set")).toHaveCount(3)
    await expect(item(page).getByLabel("Price")).toHaveValue("41.50")
    await expect(item(page).getByLabel("Stage")).toHaveValue("shipped")
    for (const t of ["brass", "old"]) await expect(item(page).getByLabel(`Remove the tag ${t}`)).toBeVisible()
    await expect(item(page).locator("output")).toHaveText("4")
  }
  await item(two).locator(".set", { hasText: "stage" }).getByRole("button", { name: "Settle" }).click()
  for (const page of [one, two]) await expect(item(page).locator(".set", { hasText: "stage" })).toHaveCount(0)
})

test("without the relay the page opens, with what was edited meanwhile", async ({ demo, profile, open }) => {
  const context = await profile.launch()
  const page = await open(context, demo.url)
  await expect(page.locator("body")).toHaveAttribute("data-kept", "1")
  await addTask(page, "Before the storm")
  await expect(link(page)).toHaveText("In sync")
  expect(await demo.stop(), "an interrupt is no failure").toBe(0)
  await addTask(page, "In the storm")
  await page.reload()
  await ready(page)
  await expect(card(page, "Before the storm")).toBeVisible()
  await expect(card(page, "In the storm")).toBeVisible()
  await expect(link(page)).toHaveText(/1 edit kept here/)
})

test("queries only read, and what is wrong with one is said", async ({ demo, profile, open }) => {
  const page = await open(await profile.launch(), demo.url)
  await expect(page.locator("#sql-said")).toHaveText("5 rows, live")
  await page.locator("#sql").fill("DELETE FROM todos")
  await expect(page.locator("#sql-said")).toHaveText(/read/)
  await page.locator("#sql").fill("SELECT colour FROM todos")
  await expect(page.locator("#sql-said")).toHaveText(/no such column/)
  await page.locator("#sql").fill("SELECT state, count(*) AS n FROM todos GROUP BY state")
  await expect(page.locator("#result td")).toHaveText(["doing", "1", "done", "1", "todo", "3"])
  await page.getByRole("button", { name: "All", exact: true }).click()
  await expect(page.locator(".card")).toHaveCount(5)
})

test("all of it by keys", async ({ demo, profile, open }) => {
  const page = await open(await profile.launch(), demo.url)
  await page.keyboard.press("n")
  await page.keyboard.type("By keys")
  await page.keyboard.press("Enter")
  await page.keyboard.press("Escape")
  const made = card(page, "By keys")
  await made.focus()
  await page.keyboard.press("ArrowRight")
  await expect(page.locator(".cards[data-state=doing]").locator(made)).toBeFocused()
  await page.keyboard.press("m")
  await expect(made).toContainText("Nobody")
  await page.keyboard.press("Delete")
  await expect(made).toHaveCount(0)
  await page.keyboard.press("?")
  await expect(page.getByRole("dialog", { name: "Shortcuts" })).toBeVisible()
  await page.keyboard.press("Escape")
  await page.keyboard.press("o")
  await expect(page.getByRole("radio", { name: "Offline" })).toHaveAttribute("aria-checked", "true")
  await page.keyboard.press("t")
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark")
})

test("a workspace of one's own begins empty", async ({ demo, profile, open }) => {
  const page = await open(await profile.launch(), new URL("/", demo.url).href)
  await expect(page.locator(".column .empty").first()).toContainText("No task yet")
  await expect(page).toHaveURL(/#\w{20,}$/)
  await page.getByRole("button", { name: "Or fill in an example" }).click()
  await expect(page.locator(".card")).toHaveCount(5)
  await expect(page.locator("#note")).toHaveValue(/^Island weekend/)
})

test("a relay that asks for tokens: with one in the link the page works, without it says so", async ({ profile, other, open }) => {
  const relay = new Relay()
  try {
    const key = join(relay.dir, "relay.pem")
    execFileSync(programPath, ["token", "keygen", "--out", key])
    await relay.start("--access-keys", join(relay.dir, "relay.jwks"), "--audience", "demo")
    const address = relay.url.replace(/^ws/, "http")
    const mint = (...more: string[]): string => execFileSync(programPath, ["token", "mint", "--key", key, "--sub", "ada", "--aud", "demo", "--all", ...more], { encoding: "utf8" }).trim()
    const context = await profile.launch()
    const page = await open(context, `${address}/#token=${mint()}`)
    await addTask(page, "Behind the door")
    await expect(link(page)).toHaveText("In sync")
    expect(page.url(), "a link that is passed on lets nobody in").toMatch(/#\w{20,}$/)
    await page.reload()
    await ready(page)
    await expect(link(page)).toHaveText("In sync")
    // Without a token all works but the relay.
    const outside = await open(await other.launch(), address)
    await addTask(outside, "In the garden")
    await expect(link(outside)).toHaveText(/^The relay asks for a token · \d+ edits kept here$/)
    await outside.goto(`${address}/#${new URL(outside.url()).hash.slice(1)}&token=${mint().slice(0, -6)}aaaaaa`)
    await ready(outside)
    await expect(link(outside)).toHaveText(/^The relay does not take this token/)
    await outside.goto(`${outside.url()}&token=${mint()}`)
    await ready(outside)
    await expect(link(outside)).toHaveText("In sync")
    await expect(card(outside, "In the garden")).toBeVisible()
    const guest = await open(context, outside.url())
    await expect(card(guest, "In the garden")).toBeVisible()
  } finally {
    await relay.close()
  }
})
