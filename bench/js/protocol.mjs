// The worker's side of the line to Go: requests and replies as JSON, each behind
// a big-endian uint32 length, on stdin and stdout. Bytes travel as base64.
// Replies may overtake each other; `id` pairs them with their requests.
//
// A worker that serves this protocol must keep stdout to itself, so console.log
// is turned to stderr, where the Go side keeps the end of it for its errors.

import { Console } from "node:console"
import { writeSync } from "node:fs"

globalThis.console = new Console(process.stderr, process.stderr)

/** Decodes the base64 of a request's binary field. */
export const bytes = base64 => new Uint8Array(Buffer.from(base64, "base64"))

/** What went wrong outside any request: [{message, stack}]. Read by tests. */
export const strays = []

/**
 * Answers requests until stdin ends, which is how the worker dies with its
 * parent. handlers maps a method's name to a function, possibly async, from the
 * request's params to the reply's result; Uint8Arrays anywhere in it are sent.
 */
export function serve(handlers) {
  process.on("unhandledRejection", reason => {
    console.error("unhandled rejection:", reason)
    strays.push(describe(reason))
  })

  let pending = []
  let have = 0
  process.stdin.on("data", block => {
    pending.push(block)
    have += block.length
    while (have >= 4) {
      if (pending[0].length < 4) pending = [Buffer.concat(pending)]
      const need = 4 + pending[0].readUInt32BE(0)
      if (have < need) return
      const all = pending.length === 1 ? pending[0] : Buffer.concat(pending)
      const frame = all.subarray(4, need)
      pending = all.length > need ? [all.subarray(need)] : []
      have -= need
      void answer(handlers, JSON.parse(frame.toString("utf8")))
    }
  })
  process.stdin.on("end", () => process.exit(0))
  process.stdin.on("error", () => process.exit(0))
}

async function answer(handlers, { id, method, params }) {
  try {
    const handler = handlers[method]
    if (!handler) throw new Error(`no such method: ${method}`)
    reply({ id, result: (await handler(params ?? {})) ?? null })
  } catch (error) {
    reply({ id, error: describe(error) })
  }
}

function describe(error) {
  if (error instanceof Error) return { message: error.message, stack: error.stack }
  return { message: String(error), stack: "" }
}

function reply(message) {
  const body = Buffer.from(JSON.stringify(message, binary), "utf8")
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length)
  writeAll(head)
  writeAll(body)
}

// JSON.stringify would ask a Buffer for its toJSON first, hence this[key].
function binary(key, value) {
  const original = this[key]
  return original instanceof Uint8Array ? Buffer.from(original).toString("base64") : value
}

// A synchronous write keeps replies in order and lets the process exit at any
// moment without losing one; a full pipe says EAGAIN until Go has read.
function writeAll(buffer) {
  for (let at = 0; at < buffer.length; ) {
    try {
      at += writeSync(1, buffer, at)
    } catch (error) {
      if (error.code === "EPIPE") process.exit(0)
      if (error.code !== "EAGAIN") throw error
      Atomics.wait(napping, 0, 0, 1)
    }
  }
}

const napping = new Int32Array(new SharedArrayBuffer(4))
