// Worker: the digest of a document, computed from @automerge/automerge's own
// readings, by an encoder that shares nothing with Go's. The rules stand in the
// comment of the Go package crdt/digest.

import * as A from "@automerge/automerge"
import { createHash } from "node:crypto"
import { bytes, serve } from "./protocol.mjs"

const maxDepth = 1000
const maxMillis = 8.64e15
const utf8 = new TextEncoder()

const concat = Buffer.concat
const below = 2n ** 64n

/** The head of an item: major type 0 to 7 and argument, as short as can be. */
function head(major, argument) {
  const n = BigInt(argument)
  const start = major << 5
  if (n < 0n || n >= below) throw new Error(`no CBOR integer holds ${n}`)
  if (n < 24n) return Buffer.of(start | Number(n))
  const width = n < 2n ** 8n ? 0 : n < 2n ** 16n ? 1 : n < 2n ** 32n ? 2 : 3
  const out = Buffer.alloc(1 + 2 ** width)
  out[0] = start | (24 + width)
  for (let i = out.length - 1, rest = n; i > 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn)
  return out
}

function integer(value) {
  const n = BigInt(value)
  return n < 0n ? head(1, -1n - n) : head(0, n)
}

function float(value) {
  const out = Buffer.alloc(9)
  out[0] = 0xfb
  // What bits a NaN has is the engine's business otherwise.
  if (Number.isNaN(value)) out.writeUInt16BE(0x7ff8, 1)
  else out.writeDoubleBE(value, 1)
  return out
}

const binary = value => concat([head(2, value.length), value])
function text(value) {
  const encoded = utf8.encode(value)
  return concat([head(3, encoded.length), encoded])
}
const list = items => concat([head(4, items.length), ...items])
const map = entries => concat([head(5, entries.length),
  ...entries.map(([key, value]) => [text(key), value]).sort(([a], [b]) => Buffer.compare(a, b)).flat()])
const counter = value => concat([head(6, 40501), integer(value)])
const time = ms => concat([head(6, 1), Math.abs(Number(ms)) <= maxMillis ? integer(ms) : float(NaN)])

/** One value of a document as CBOR. Its kind is read from the core: a JavaScript number would not tell 5 from 5.0. */
function read(core, [kind, value], depth) {
  switch (kind) {
    case "map": case "table": {
      if (depth > maxDepth) throw new Error("nested too deep")
      return map(core.keys(value).map(key => [key, read(core, core.getWithType(value, key), depth + 1)]))
    }
    case "list": {
      if (depth > maxDepth) throw new Error("nested too deep")
      return list(Array.from({ length: core.length(value) }, (_, i) => read(core, core.getWithType(value, i), depth + 1)))
    }
    case "text": return text(core.text(value))
    case "str": return text(value)
    case "bytes": return binary(value)
    case "int": case "uint": return integer(value)
    case "f64": return float(value)
    case "counter": return counter(value)
    case "timestamp": return time(value.getTime())
    case "boolean": return Buffer.of(value ? 0xf5 : 0xf4)
    case "null": return Buffer.of(0xf6)
  }
  throw new Error(`a value of a type that this version does not know: ${kind}`)
}

/** A value in the notation of crdt/digest/testdata/vectors.json as CBOR. */
function described(value) {
  if (value === null) return Buffer.of(0xf6)
  if (typeof value === "boolean") return Buffer.of(value ? 0xf5 : 0xf4)
  if (typeof value === "string") return text(value)
  if (Array.isArray(value)) return list(value.map(described))
  const [[kind, inner]] = Object.entries(value)
  switch (kind) {
    case "int": case "uint": return integer(inner)
    case "float": return float(Number(inner))
    case "bits": return float(Buffer.from(inner, "hex").readDoubleBE())
    case "bytes": return binary(Buffer.from(inner, "hex"))
    case "time": return time(BigInt(inner))
    case "counter": return counter(inner)
    case "repeat": return text(inner[0].repeat(inner[1]))
    case "map": return map(inner.map(([key, v]) => [key, described(v)]))
  }
  throw new Error(`no such kind of value: ${kind}`)
}

const summed = cbor => ({ sum: createHash("sha256").update(cbor).digest("hex"), cbor })

serve({
  /** Digests of documents, each given as chunks of any type. */
  digest: ({ documents }) => ({
    digests: documents.map(chunks => {
      let doc = A.init()
      for (const chunk of chunks) doc = A.loadIncremental(doc, bytes(chunk))
      try {
        return summed(read(A.getBackend(doc), ["map", "/"], 0))
      } catch (error) {
        return { error: error.message }
      } finally {
        A.free(doc)
      }
    }),
  }),

  /** Digests of described values. */
  describe: ({ values }) => ({ digests: values.map(v => summed(described(v))) }),
})
