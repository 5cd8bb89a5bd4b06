// Builds the package into lib/: the page's modules, the worker, the core, their WebAssembly and the types.
// Equal sources give equal bytes: no times, no absolute paths.
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdirSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(fileURLToPath(import.meta.url))
const out = join(root, "lib")
const packages = join(root, "node_modules")

/** Builds into a folder; sourcemaps are for people who debug the package. */
export async function buildLibrary(outdir = out, { types = true } = {}) {
  rmSync(outdir, { recursive: true, force: true })
  mkdirSync(outdir, { recursive: true })
  const common = {
    absWorkingDir: root, outdir, bundle: true, format: "esm", platform: "browser", target: "es2022", minify: true,
    legalComments: "none", logLevel: "warning", conditions: ["browser"],
    alias: { "automerge-low-level": join(packages, "@automerge/automerge/dist/mjs/low_level.js") },
  }
  await build({ ...common, entryPoints: { index: "src/index.ts", repo: "src/repo.ts", react: "src/react.ts", text: "src/text.ts", offline: "src/offline.ts" }, splitting: true, chunkNames: "shared-[hash]", external: ["react", "@automerge/*"] })
  await build({ ...common, entryPoints: { worker: "src/worker/main.ts", core: "src/worker/core.ts", "service-worker": "src/service-worker.ts" } })
  copyFileSync(join(packages, "@automerge/automerge/dist/automerge.wasm"), join(outdir, "automerge.wasm"))
  copyFileSync(join(packages, "@sqlite.org/sqlite-wasm/dist/sqlite3.wasm"), join(outdir, "sqlite3.wasm"))
  if (types) execFileSync(process.execPath, [join(packages, "typescript/bin/tsc"), "-p", "tsconfig.types.json", "--outDir", outdir], { cwd: root, stdio: "inherit" })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildLibrary()
