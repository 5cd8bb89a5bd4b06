// Program: the server that y-websocket comes with, in memory. A side of
// comparisons.
//
//   node ywebsocket.mjs HOST PORT

import { Console } from "node:console"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

// Stdout is for workers' replies, and this program has none.
globalThis.console = new Console(process.stderr, process.stderr)

const [host, port] = process.argv.slice(2)
Object.assign(process.env, { HOST: host, PORT: port })

// The server is a program of the package and not among its exports.
const require = createRequire(import.meta.url)
require(join(dirname(require.resolve("y-websocket/package.json")), "bin", "server.cjs"))

// It must not outlive whoever started it.
process.stdin.resume().on("end", () => process.exit(0)).on("error", () => process.exit(0))
