import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** The package's folder. */
export const root = fileURLToPath(new URL("..", import.meta.url))
/** The syncline program, as the tests build it or are given it. */
export const programPath = process.env.SYNCLINE_PROGRAM || join(root, "test-results", "syncline")
/** The browser. */
export const chromiumPath = process.env.SYNCLINE_CHROMIUM || "/usr/bin/chromium"
