// Builds the page into ../dist, which the Go package beside it embeds, or compares it with what is there:
//
//	node demo/build.mjs           writes
//	node demo/build.mjs --check   builds elsewhere, and fails if a byte is another one
//
// Text and WebAssembly are kept compressed. Compressors differ, so what is compared is what comes out of them, and a
// file whose contents have not changed is not written again.
import { build } from "esbuild"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gunzipSync, gzipSync } from "node:zlib"
import { buildLibrary } from "../build.mjs"

const here = dirname(fileURLToPath(import.meta.url))
const dist = join(here, "..", "dist")
const fromLibrary = ["worker.js", "core.js", "service-worker.js", "automerge.wasm", "sqlite3.wasm"]
/** What others have written of the page's code: their notices go with it. */
const others = ["@automerge/automerge", "@noble/hashes", "@sqlite.org/sqlite-wasm", "base-x", "bs58", "bs58check"]
const asTheyAre = ["index.html", "icon.svg", "app.webmanifest"]

/** The page's files by name. */
async function files() {
  const lib = mkdtempSync(join(tmpdir(), "syncline-page-"))
  try {
    await buildLibrary(lib, { types: false })
    const all = new Map(fromLibrary.map(name => [name, readFileSync(join(lib, name))]))
    for (const name of asTheyAre) all.set(name, readFileSync(join(here, name)))
    all.set("licenses.txt", Buffer.from(others.map(notice).join("\n")))
    const common = {
      absWorkingDir: here, outdir: "/", bundle: true, format: "esm", platform: "browser", target: "es2022", minify: true, charset: "utf8",
      legalComments: "none", logLevel: "warning", write: false,
    }
    const add = async options => {
      for (const f of (await build({ ...common, ...options })).outputFiles) all.set(f.path.replace(/^.*\//, ""), Buffer.from(f.contents))
    }
    await add({ entryPoints: ["theme.ts"], format: "iife" })
    await add({ entryPoints: [{ in: "style/all.css", out: "app" }] })
    // The page names its own version, which is that of all files with none in them.
    const shell = version => ({ SHELL: JSON.stringify({ version, assets: [...all.keys(), "app.js"].filter((n, i, a) => a.indexOf(n) === i && !["index.html", "service-worker.js", "licenses.txt"].includes(n)).sort().map(n => `/${n}`) }) })
    await add({ entryPoints: ["app.ts"], define: shell("") })
    const hash = createHash("sha256")
    for (const name of [...all.keys()].sort()) hash.update(`${name} ${all.get(name).length}\n`).update(all.get(name))
    await add({ entryPoints: ["app.ts"], define: shell(hash.digest("hex").slice(0, 16)) })
    return all
  } finally {
    rmSync(lib, { recursive: true })
  }
}

/** The notice of a package: its own, or where it has none the name of its licence. */
function notice(name) {
  const folder = join(here, "..", "node_modules", name)
  const { version, license, homepage } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const file = readdirSync(folder).find(f => /^licen[cs]e(\.\w+)?$/i.test(f))
  return `${name} ${version}, ${license}\n\n${file ? readFileSync(join(folder, file), "utf8").trim() : homepage}\n`
}

/** What dist has under a file's name, uncompressed. */
const kept = name => existsSync(join(dist, `${name}.gz`)) ? gunzipSync(readFileSync(join(dist, `${name}.gz`))) : undefined

const all = await files()
const differ = [...all].filter(([name, bytes]) => !kept(name)?.equals(bytes)).map(([name]) => name)
const over = (existsSync(dist) ? readdirSync(dist) : []).filter(f => !all.has(f.replace(/\.gz$/, "")) || !f.endsWith(".gz"))
if (process.argv.includes("--check")) {
  for (const name of [...differ, ...over]) console.error(`dist/${name} is not what the sources make: run npm ci && node demo/build.mjs in peer/browser, and commit dist`)
  console.log(`${all.size - differ.length} passed, ${differ.length + over.length} failed`)
  process.exitCode = differ.length + over.length > 0 ? 1 : 0
} else {
  mkdirSync(dist, { recursive: true })
  for (const name of over) rmSync(join(dist, name))
  for (const name of differ) writeFileSync(join(dist, `${name}.gz`), gzipSync(all.get(name), { level: 9 }))
  const rows = [...all].map(([name, bytes]) => [name, bytes.length, gzipSync(bytes, { level: 9 }).length]).sort(([, , a], [, , b]) => b - a)
  for (const [name, raw, gz] of rows) console.log(`${name.padEnd(20)} ${String(raw).padStart(9)} ${String(gz).padStart(9)}`)
  console.log(`${"all".padEnd(20)} ${String(rows.reduce((n, r) => n + r[1], 0)).padStart(9)} ${String(rows.reduce((n, r) => n + r[2], 0)).padStart(9)}`)
}
