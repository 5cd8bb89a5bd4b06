import type { Page } from "@playwright/test"
import { join } from "node:path"
import { addTask, card, expect, ready, test } from "./fixtures.ts"
import { results } from "./paths.ts"

const picture = async (page: Page, name: string): Promise<void> => {
  // What is still changing its colour is waited for.
  await page.evaluate(() => Promise.all(document.getAnimations().map(a => a.finished.catch(() => {}))))
  await page.screenshot({ path: join(results, `${name}.png`) })
}

/** Nothing is wider than the window, and nothing sticks out of its section or lies on its neighbour. */
const fits = async (page: Page): Promise<void> => {
  expect(await page.evaluate(() => {
    const box = (e: Element): DOMRect => e.getBoundingClientRect()
    const seen = (e: Element): boolean => box(e).width > 0
    const out = [...document.querySelectorAll(".part :is(.card, .item, .row > *, .line > *, .head > *)")].filter(seen)
      .filter(e => box(e).right > box(e.closest(".part")!).right - 8 || box(e).left < box(e.closest(".part")!).left)
    const over = [...document.querySelectorAll(".line, .card .row")].flatMap(l => [...l.children].filter(seen).filter((e, i, all) => all.some((o, j) => j > i &&
      box(o).left < box(e).right - 8.5 && box(e).left < box(o).right - 8.5 && box(o).top < box(e).bottom - 1 && box(e).top < box(o).bottom - 1)))
    return [...out, ...over].map(e => e.outerHTML.slice(0, 80))
  })).toEqual([])
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
}

/** The contrast of a text with what it stands on, as WCAG counts it. */
const contrast = (page: Page, selector: string): Promise<number> => page.locator(selector).first().evaluate(e => {
  const light = (c: string): number => {
    const [r, g, b] = c.match(/[\d.]+/g)!.map(n => Number(n) / 255).map(n => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
  }
  let ground: Element | null = e
  while (ground && /, 0\)$|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement
  const [a, b] = [light(getComputedStyle(e).color), light(getComputedStyle(ground ?? document.documentElement).backgroundColor)].sort((x, y) => y - x)
  return (a! + 0.05) / (b! + 0.05)
})

test("pictures: desktop in light and dark, with somebody else at work", async ({ demo, profile, other, open }) => {
  const context = await profile.launch()
  const page = await open(context, demo.url), far = await open(await other.launch(), demo.url)
  await page.setViewportSize({ width: 1440, height: 900 })
  await page.emulateMedia({ colorScheme: "light" })
  await addTask(page, "Call the harbour master")
  await page.getByRole("radio", { name: "Offline" }).click()
  const price = async (p: Page, v: string): Promise<void> => { await p.locator(".item").first().getByLabel("Price").fill(v); await p.locator(".item").first().getByLabel("Price").press("Enter") }
  await price(page, "26")
  await price(far, "27.5")
  await expect(far.locator(".item").first().getByLabel("Price")).toHaveValue("27.50")
  await page.getByRole("radio", { name: "Online" }).click()
  await expect(page.locator(".set").first()).toBeVisible()
  await expect(page.locator("#link-text")).toHaveText("In sync")
  await far.locator("#note").press("Control+End")
  await far.locator("#note").pressSequentially("- a lamp for the pier\n")
  await expect(page.locator("#carets .caret")).toHaveCount(1)
  await card(page, "Call the harbour master").focus()
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme })
    await expect(page.locator("html")).toHaveAttribute("data-theme", theme)
    await picture(page, `desktop-${theme}`)
    await fits(page)
    await page.setViewportSize({ width: 1160, height: 900 })
    await fits(page)
    await page.setViewportSize({ width: 1440, height: 900 })
    for (const text of [".card .name", ".history time", ".figures dt", ".empty", ".chip[aria-pressed=true]", ".set .what", ".primary", "#sql-said"]) {
      expect(await contrast(page, text), `${text} in ${theme}`).toBeGreaterThanOrEqual(4.5)
    }
  }
  // The switch wins over the system, and stays.
  await page.getByRole("button", { name: "Light or dark" }).click()
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light")
  await page.reload()
  await ready(page)
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light")
})

test("pictures: a phone of 360 pixels", async ({ demo, profile, open }) => {
  const page = await open(await profile.launch(), demo.url)
  await page.setViewportSize({ width: 360, height: 740 })
  for (const section of ["board", "notes", "inventory", "panel"]) {
    await page.locator(`.tabs [data-to=${section}]`).click()
    await expect(page.locator(`#${section}`)).toBeVisible()
    await fits(page)
    await picture(page, `phone-${section}`)
  }
  await page.locator(".tabs [data-to=board]").click()
  await addTask(page, "From the phone")
  // Fingers are thicker than pointers.
  for (const b of await card(page, "From the phone").getByRole("button").all()) {
    const box = await b.boundingBox()
    expect(box!.height).toBeGreaterThanOrEqual(24)
    expect(box!.width).toBeGreaterThanOrEqual(24)
  }
})
