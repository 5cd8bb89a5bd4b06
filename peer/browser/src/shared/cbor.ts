import { SynclineError } from "./errors.js"

// CBOR as automerge-repo's messages need it: maps with text keys, byte strings, text, arrays, integers,
// floats, true, false, null and undefined. It reads what stock clients write: headers longer than needed,
// float times, tagged byte arrays.

/** How deep items may be nested: a message is shallow. */
const maxDepth = 32

export type Item = string | number | bigint | boolean | null | undefined | Uint8Array | Item[] | { [key: string]: Item }

export function encodeCBOR(v: unknown): Uint8Array {
  const out = new Writer()
  out.item(v as Item, 0)
  return out.bytes()
}

class Writer {
  #b = new Uint8Array(256)
  #n = 0
  readonly #utf8 = new TextEncoder()

  bytes(): Uint8Array { return this.#b.slice(0, this.#n) }

  #room(n: number): void {
    if (this.#n + n <= this.#b.length) return
    const grown = new Uint8Array(Math.max(this.#b.length * 2, this.#n + n))
    grown.set(this.#b)
    this.#b = grown
  }

  #head(major: number, n: number): void {
    this.#room(9)
    const m = major << 5
    if (n < 24) this.#b[this.#n++] = m | n
    else {
      const width = n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x100000000 ? 4 : 8
      this.#b[this.#n++] = m | (23 + { 1: 1, 2: 2, 4: 3, 8: 4 }[width]!)
      let rest = BigInt(n)
      for (let i = width - 1; i >= 0; i--, rest >>= 8n) this.#b[this.#n + i] = Number(rest & 0xffn)
      this.#n += width
    }
  }

  #raw(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#b.set(bytes, this.#n)
    this.#n += bytes.length
  }

  #float(v: number): void {
    this.#room(9)
    this.#b[this.#n++] = 0xfb
    new DataView(this.#b.buffer).setFloat64(this.#n, v)
    this.#n += 8
  }

  item(v: Item, depth: number): void {
    if (depth > maxDepth) throw new SynclineError("too-deep", "a message nested too deep")
    this.#room(1)
    switch (typeof v) {
      case "boolean": this.#b[this.#n++] = v ? 0xf5 : 0xf4; return
      case "undefined": this.#b[this.#n++] = 0xf7; return
      case "number": return Number.isSafeInteger(v) && !Object.is(v, -0) ? this.#head(v < 0 ? 1 : 0, v < 0 ? -1 - v : v) : this.#float(v)
      case "bigint": return this.#float(Number(v))
      case "string": {
        const b = this.#utf8.encode(v)
        this.#head(3, b.length)
        return this.#raw(b)
      }
    }
    if (v === null) { this.#b[this.#n++] = 0xf6; return }
    if (v instanceof Uint8Array) {
      this.#head(2, v.length)
      return this.#raw(v)
    }
    if (Array.isArray(v)) {
      this.#head(4, v.length)
      for (const e of v) this.item(e, depth + 1)
      return
    }
    const entries = Object.entries(v as { [key: string]: Item }).filter(([, e]) => e !== undefined)
    this.#head(5, entries.length)
    for (const [k, e] of entries) {
      this.item(k, depth)
      this.item(e, depth + 1)
    }
  }
}

/** Reads one item and nothing behind it. What it makes is bounded by the length of the bytes. */
export function decodeCBOR(bytes: Uint8Array): Item {
  const r = new Reader(bytes)
  const v = r.item(0)
  if (!r.done) throw new SynclineError("invalid", "something follows the CBOR item")
  return v
}

const broken = Symbol("break")

class Reader {
  #at = 0
  readonly #view: DataView
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true })

  constructor(readonly b: Uint8Array) { this.#view = new DataView(b.buffer, b.byteOffset, b.byteLength) }

  get done(): boolean { return this.#at === this.b.length }

  #take(n: number): number {
    const at = this.#at
    if (n > this.b.length - at) throw new SynclineError("invalid", "CBOR that ends too soon")
    this.#at += n
    return at
  }

  #argument(info: number): number {
    if (info < 24) return info
    switch (info) {
      case 24: return this.#view.getUint8(this.#take(1))
      case 25: return this.#view.getUint16(this.#take(2))
      case 26: return this.#view.getUint32(this.#take(4))
      case 27: return Number(this.#view.getBigUint64(this.#take(8)))
    }
    throw new SynclineError("invalid", "CBOR with a reserved length")
  }

  #string(major: number, info: number): Uint8Array {
    if (info !== 31) {
      const n = this.#argument(info)
      const at = this.#take(n)
      return this.b.slice(at, at + n)
    }
    const parts: number[] = []
    for (let part = this.#head(); part.major !== 7 || part.info !== 31; part = this.#head()) {
      if (part.major !== major || part.info === 31) throw new SynclineError("invalid", "CBOR with a broken string")
      for (const x of this.#string(major, part.info)) parts.push(x)
    }
    return Uint8Array.from(parts)
  }

  #head(): { major: number, info: number } {
    const h = this.b[this.#take(1)]!
    return { major: h >> 5, info: h & 31 }
  }

  item(depth: number): Item {
    const v = this.#any(depth)
    if (v === broken) throw new SynclineError("invalid", "CBOR with a break out of place")
    return v as Item
  }

  #any(depth: number): Item | typeof broken {
    if (depth > maxDepth) throw new SynclineError("too-deep", "CBOR nested too deep")
    const { major, info } = this.#head()
    switch (major) {
      case 0: return this.#argument(info)
      case 1: return -1 - this.#argument(info)
      case 2: return this.#string(2, info)
      case 3: return this.#text(this.#string(3, info))
      case 4: {
        const list: Item[] = []
        this.#each(info, depth, v => { list.push(v) })
        return list
      }
      case 5: {
        const map: { [key: string]: Item } = {}
        this.#each(info, depth, k => {
          if (typeof k !== "string") throw new SynclineError("invalid", "a CBOR map with a key that is no text")
          const value = this.item(depth + 1)
          // Not by assignment: __proto__ is a key like others.
          Object.defineProperty(map, k, { value, enumerable: true, configurable: true, writable: true })
        })
        return map
      }
      case 6:
        this.#argument(info)
        return this.item(depth + 1)
    }
    switch (info) {
      case 20: return false
      case 21: return true
      case 22: return null
      case 23: return undefined
      case 25: return half(this.#view.getUint16(this.#take(2)))
      case 26: return this.#view.getFloat32(this.#take(4))
      case 27: return this.#view.getFloat64(this.#take(8))
      case 31: return broken
    }
    throw new SynclineError("invalid", "CBOR with an unknown simple value")
  }

  #each(info: number, depth: number, f: (v: Item) => void): void {
    if (info !== 31) {
      for (let n = this.#argument(info); n > 0; n--) f(this.item(depth + 1))
      return
    }
    for (let v = this.#any(depth + 1); v !== broken; v = this.#any(depth + 1)) f(v as Item)
  }

  #text(b: Uint8Array): string {
    try {
      return this.#utf8.decode(b)
    } catch {
      throw new SynclineError("invalid", "CBOR text that is not UTF-8")
    }
  }
}

function half(h: number): number {
  const e = (h >> 10) & 31, m = h & 1023
  const v = e === 0 ? m * 2 ** -24 : e === 31 ? (m === 0 ? Infinity : NaN) : (1 + m / 1024) * 2 ** (e - 15)
  return h & 0x8000 ? -v : v
}
