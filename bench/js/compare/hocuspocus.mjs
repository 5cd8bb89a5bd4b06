// Program: a Hocuspocus server as its documentation starts one, in memory. A side
// of comparisons.
//
//   node hocuspocus.mjs HOST PORT

import { Console } from "node:console"
import { Server } from "@hocuspocus/server"

// Stdout is for workers' replies, and this program has none.
globalThis.console = new Console(process.stderr, process.stderr)

const [address, port] = process.argv.slice(2)
await new Server({ address, port: Number(port), quiet: true }).listen()

// It must not outlive whoever started it.
process.stdin.resume().on("end", () => process.exit(0)).on("error", () => process.exit(0))
