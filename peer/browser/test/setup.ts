import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { build } from "esbuild"
import { buildLibrary } from "../build.mjs"
import { programPath, root } from "./paths.ts"

/** Builds what the tests run: the library, the pages, and the relay. */
export default async function setup(): Promise<void> {
  await buildLibrary(join(root, "lib"), { types: false })
  await build({
    absWorkingDir: root, entryPoints: { stock: "test/pages/stock.ts", repo: "test/pages/repo.ts", react: "test/pages/react.ts" }, outdir: "test-results/pages", bundle: true, format: "esm",
    platform: "browser", target: "es2022", logLevel: "warning", conditions: ["browser"], splitting: true,
  })
  if (!process.env.SYNCLINE_PROGRAM || !existsSync(process.env.SYNCLINE_PROGRAM)) {
    execFileSync("go", ["build", "-o", programPath, "./cmd/syncline"], { cwd: join(root, "..", ".."), stdio: "inherit" })
  }
}
