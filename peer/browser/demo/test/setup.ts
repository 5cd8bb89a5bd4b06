import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { root } from "../../test/paths.ts"
import { programPath, results } from "./paths.ts"

/** Builds the program, which has the committed page in it. */
export default function setup(): void {
  mkdirSync(results, { recursive: true })
  if (process.env.SYNCLINE_PROGRAM && existsSync(process.env.SYNCLINE_PROGRAM)) return
  process.env.SYNCLINE_PROGRAM = programPath // for what is shared with the library's tests
  execFileSync("go", ["build", "-o", programPath, "./cmd/syncline"], { cwd: join(root, "..", ".."), stdio: "inherit" })
}
