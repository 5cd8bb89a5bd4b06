import { test, expect } from "@playwright/test"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { buildLibrary } from "../build.mjs"
import { root } from "./paths.ts"

test("equal sources give equal bytes, wherever they are built to", async () => {
  const sums = async (name: string): Promise<string[]> => {
    const dir = join(root, "test-results", name)
    await buildLibrary(dir, { types: false })
    return readdirSync(dir).sort().map(f => `${f} ${createHash("sha256").update(readFileSync(join(dir, f))).digest("hex")}`)
  }
  const first = await sums("build-one")
  expect(first).toEqual(await sums("a-build-elsewhere"))
  expect(first.length).toBeGreaterThan(8)
  // Nothing of this machine is in them, and no other host.
  for (const f of ["index.js", "worker.js", "core.js", "text.js", "repo.js", "offline.js", "service-worker.js"]) {
    const text = readFileSync(join(root, "test-results", "build-one", f), "utf8")
    expect(text.includes(root), f).toBe(false)
  }
})
