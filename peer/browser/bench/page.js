// What is measured in the page. Each function gives numbers in ms unless it says so.
const now = () => performance.now()
const quantiles = list => {
  const s = list.toSorted((a, b) => a - b)
  return { p50: s[Math.floor(s.length * 0.5)], p99: s[Math.min(s.length - 1, Math.floor(s.length * 0.99))] }
}
const { open, create, update, set, Counter } = globalThis.syncline

globalThis.bench = {
  async ready(options, doc) {
    const from = now()
    globalThis.peer = await open({ onWarning: () => {}, ...options })
    globalThis.doc = doc ? await peer.find(doc, { timeout: 60_000 }) : await peer.create()
    if (doc) await globalThis.doc.heads()
    return { ms: now() - from, doc: globalThis.doc.id }
  },

  /** One edit after the other: each is on the disk before the next is made. */
  async alone(n) {
    await doc.apply(create("items", "one", { n: 0, title: "x" }))
    const each = [], from = now()
    for (let i = 1; i <= n; i++) {
      const at = now()
      await doc.apply(set("items", "one", "n", i))
      each.push(now() - at)
    }
    return { perSecond: n / (now() - from) * 1000, ...quantiles(each) }
  },

  /** So many edits wait at a time, and share commits. */
  async together(n, width) {
    const from = now()
    for (let i = 0; i < n; i += width) await Promise.all(Array.from({ length: width }, (_, k) => doc.apply(set("items", "one", "n", -i - k - 1))))
    return { perSecond: n / (now() - from) * 1000 }
  },

  /** A change of so many entities until their rows are durable. */
  async entities(n) {
    const ops = Array.from({ length: n }, (_, i) => create("rows", `r${i}`, { title: `Title ${i}`, n: i, done: false }))
    const from = now()
    await doc.apply(ops)
    const made = now() - from
    const again = Array.from({ length: n }, (_, i) => update("rows", `r${i}`, { n: -i }))
    const at = now()
    await doc.apply(again)
    return { create: made, update: now() - at }
  },

  /** From the edit to the callback of a live query over 1,000 rows. */
  async live(n) {
    const each = []
    let next
    const stop = peer.live("SELECT count(*) AS n, max(_json->>'n') AS m FROM rows", [], rows => next?.(rows))
    for (let i = 0; i < n; i++) {
      const at = now()
      const seen = new Promise(resolve => { next = rows => { if (rows[0].m === 1e6 + i) resolve() } })
      await Promise.all([doc.apply(set("rows", "r1", "n", 1e6 + i)), seen])
      each.push(now() - at)
    }
    stop()
    return quantiles(each)
  },

  /** Answers each ping of another peer: from the edit there to the answer back here is two ways. */
  answer(name) {
    doc.onChange(async c => {
      if (c.local || !c.entities.ping) return
      const n = await doc.get("ping", "p", "n")
      if (n !== globalThis.answered) {
        globalThis.answered = n
        await doc.apply(set("pong", name, "n", n))
      }
    })
  },

  async roundTrips(n) {
    await doc.apply([create("ping", "p", { n: 0 }), create("pong", "far", { n: 0 })]).catch(() => {})
    const each = []
    for (let i = 1; i <= n; i++) {
      const at = now()
      const back = new Promise(resolve => {
        const stop = doc.onChange(async c => { if (!c.local && c.entities.pong && await doc.get("pong", "far", "n") === i) { stop(); resolve() } })
      })
      await doc.apply(set("ping", "p", "n", i))
      await back
      each.push((now() - at) / 2)
    }
    return quantiles(each)
  },

  /** Edits that a native peer has on its disk, one after the other: to it and back as an acknowledgement. */
  async acknowledged(n) {
    await doc.apply(create("acks", "a", { n: 0 })).catch(() => {})
    const each = []
    for (let i = 1; i <= n; i++) {
      const at = now()
      await (await doc.apply(set("acks", "a", "n", Math.random()))).wait("acknowledged", { timeout: 60_000 })
      each.push(now() - at)
    }
    return quantiles(each)
  },

  /** Makes so many documents of one entity, 50 at a time. */
  async documents(n) {
    const from = now()
    for (let i = 0; i < n; i += 50) await Promise.all(Array.from({ length: Math.min(50, n - i) }, async (_, k) => (await peer.create()).apply(create("todos", "t", { n: i + k }))))
    return now() - from
  },

  /** From the connection until a relay that knows nothing has everything. */
  async fill(url) {
    const from = now()
    await peer.connect({ url })
    await peer.flush({ timeout: 600_000 })
    return now() - from
  },

  /** Until all of a document that others have is durable here. */
  async fetched(id, heads) {
    const from = now()
    globalThis.doc = await peer.find(id, { timeout: 600_000 })
    while (String((await doc.heads()).sort()) !== String(heads)) await new Promise(resolve => { const stop = doc.onChange(() => { stop(); resolve() }) })
    return now() - from
  },

  /** From now, when the other tab that has the store is closed, to the first durable edit by the next owner. */
  async takeover(before) {
    const from = now()
    for (;;) {
      await doc.apply(set("items", "one", "n", Math.random()))
      if ((await peer.status()).owner !== before) return now() - from
    }
  },
}
