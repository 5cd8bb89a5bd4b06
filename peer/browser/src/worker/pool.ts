import sqlite3InitModule from "@sqlite.org/sqlite-wasm"
import { Database, type SAHPoolUtil, type Sqlite3Static } from "./database.js"
import { migrate } from "./schema.js"

/**
 * Where a store's bytes are: a directory of the origin's private file system, `syncline-<name>`, with a pool
 * of SQLite's files in `g<N>`. N is 1, and one more each time that the pool had to be taken from a tab that
 * held its files and did not answer: see {@link takeFrom}.
 */
export interface Store {
  db: Database
  kind: "opfs" | "memory"
  /** Why nothing survives this page. Only if kind is memory. */
  warning?: string
  close(): void
}

const rootName = (name: string): string => `syncline-${name}`
const completeMark = "complete"

let engine: Promise<Sqlite3Static> | undefined
/** SQLite, loaded once. It takes no lock, so a worker that waits for its turn can have it ready. */
export function loadSQLite(): Promise<Sqlite3Static> {
  // The other file systems of the package need helper files and headers that we do without.
  ;(globalThis as Record<string, unknown>)["sqlite3ApiConfig"] = {
    disable: { vfs: { opfs: true, "opfs-vfs": true, "opfs-wl": true, kvvfs: true } },
    log: () => {}, debug: () => {}, warn: () => {},
  }
  return engine ??= sqlite3InitModule()
}

function tune(db: Database): void {
  // exclusive first: WAL then needs no shared memory, which a browser's files do not have.
  db.exec(`PRAGMA locking_mode = exclusive; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
           PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;
           PRAGMA wal_autocheckpoint = 1000; PRAGMA secure_delete = ON`)
  migrate(db)
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** The owner before may be gone for a moment before the browser has closed its files. */
const handleGrace = 3000

/**
 * Opens the store. It is called by the tab that has the Web Lock. stolen says that it was taken from a tab that
 * did not answer, whose files may still be locked.
 */
export async function openStore(name: string, stolen: boolean, noOPFS = false): Promise<Store> {
  const sqlite3 = await loadSQLite()
  const why = noOPFS ? "it was switched off" : await withoutOPFS()
  if (why) return openMemory(sqlite3, why)
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle(rootName(name), { create: true })
  let generation = await newest(root)
  const until = performance.now() + handleGrace
  for (;;) {
    try {
      return await openPool(sqlite3, name, root, generation)
    } catch (error) {
      if ((error as Error).name !== "NoModificationAllowedError") throw error
      if (performance.now() < until) await pause(20)
      else if (!stolen) throw new Error("the store's files are in use by a page that does not hold the store's lock", { cause: error })
      else generation = await takeFrom(root, generation)
    }
  }
}

async function openPool(sqlite3: Sqlite3Static, name: string, root: FileSystemDirectoryHandle, generation: number): Promise<Store> {
  const directory = `${rootName(name)}/g${generation}`
  let pool: SAHPoolUtil | undefined
  try {
    pool = await sqlite3.installOpfsSAHPoolVfs({
      name: `sahpool-${name}-${generation}-${Math.random().toString(36).slice(2)}`, directory, initialCapacity: 4,
      ...{ preserveOnInitFailure: true },
    } as Parameters<Sqlite3Static["installOpfsSAHPoolVfs"]>[0])
    const db = new Database(sqlite3, new pool.OpfsSAHPoolDb("/store.db"))
    tune(db)
    await removeOthers(root, generation)
    const used = pool
    return { db, kind: "opfs", close: () => { db.close(); used.pauseVfs() } }
  } catch (error) {
    try { pool?.pauseVfs() } catch { /* a file of it is open: the worker ends anyway */ }
    throw error
  }
}

function openMemory(sqlite3: Sqlite3Static, why: string): Store {
  const db = new Database(sqlite3, new sqlite3.oo1.DB(":memory:"))
  tune(db)
  return { db, kind: "memory", warning: `Nothing here outlives this page: ${why}.`, close: () => db.close() }
}

/** Why there is no file system to keep a store in, or undefined if there is one. */
async function withoutOPFS(): Promise<string | undefined> {
  const handle = (globalThis as { FileSystemFileHandle?: { prototype: object } }).FileSystemFileHandle
  if (!handle || !("createSyncAccessHandle" in handle.prototype) || !navigator.storage?.getDirectory) {
    return "this browser has no private file system that a database could be kept in"
  }
  try {
    await navigator.storage.getDirectory()
    return undefined
  } catch {
    return "the browser gives this page no private file system, as in a private window"
  }
}

async function generations(root: FileSystemDirectoryHandle): Promise<number[]> {
  const list: number[] = []
  for await (const entry of root.keys()) if (/^g\d+$/.test(entry)) list.push(Number(entry.slice(1)))
  return list.sort((a, b) => a - b)
}

async function isComplete(root: FileSystemDirectoryHandle, generation: number): Promise<boolean> {
  if (generation === 1) return true
  try {
    await root.getFileHandle(`g${generation}.${completeMark}`)
    return true
  } catch {
    return false
  }
}

async function newest(root: FileSystemDirectoryHandle): Promise<number> {
  for (const g of (await generations(root)).reverse()) if (await isComplete(root, g)) return g
  return 1
}

/** Removes what other generations have left, as far as nobody holds it. */
async function removeOthers(root: FileSystemDirectoryHandle, keep: number): Promise<void> {
  for (const g of await generations(root)) {
    if (g === keep) continue
    try {
      await root.removeEntry(`g${g}`, { recursive: true })
      await root.removeEntry(`g${g}.${completeMark}`).catch(() => {})
    } catch { /* a frozen page holds it; the next start tries again */ }
  }
}

/**
 * Copies the pool of a tab that holds its files and does not answer into a new generation, whose number it
 * returns. What that tab has acknowledged is in the copy, because it is on the disk; and that tab
 * acknowledges nothing more, because it looks at its lease first (see lease.ts). Should it wake up and write in
 * the middle of the copy, that shows in the files, and the copy is made again.
 */
async function takeFrom(root: FileSystemDirectoryHandle, from: number): Promise<number> {
  const to = Math.max(...await generations(root), from) + 1
  for (let attempt = 0; ; attempt++) {
    try {
      await copyPool(await root.getDirectoryHandle(`g${from}`), root, to)
      break
    } catch (error) {
      await root.removeEntry(`g${to}`, { recursive: true }).catch(() => {})
      if (attempt === 5) throw error
      await pause(100)
    }
  }
  await root.getFileHandle(`g${to}.${completeMark}`, { create: true })
  return to
}

async function copyPool(from: FileSystemDirectoryHandle, root: FileSystemDirectoryHandle, to: number): Promise<void> {
  const source = await from.getDirectoryHandle(".opaque")
  const target = await (await root.getDirectoryHandle(`g${to}`, { create: true })).getDirectoryHandle(".opaque", { create: true })
  const before = await fingerprint(source)
  for await (const entry of source.values()) {
    if (entry.kind !== "file") continue
    const bytes = new Uint8Array(await (await (entry as FileSystemFileHandle).getFile()).arrayBuffer())
    const handle = await (await target.getFileHandle(entry.name, { create: true })).createSyncAccessHandle()
    try {
      handle.truncate(0)
      if (handle.write(bytes, { at: 0 }) !== bytes.length) throw new Error("the copy of the store was cut short: the disk may be full")
      handle.flush()
    } finally {
      handle.close()
    }
  }
  if (await fingerprint(source) !== before) throw new Error("the store was written to while it was copied")
}

async function fingerprint(dir: FileSystemDirectoryHandle): Promise<string> {
  const files: string[] = []
  for await (const entry of dir.values()) {
    if (entry.kind !== "file") continue
    const f = await (entry as FileSystemFileHandle).getFile()
    files.push(`${f.name} ${f.size} ${f.lastModified}`)
  }
  return files.sort().join("\n")
}

/** Removes all that a store has on the disk. Nobody may have it open: an open one would go on writing to files that nobody sees. */
export async function removeStore(name: string): Promise<void> {
  const top = await navigator.storage.getDirectory()
  const until = performance.now() + handleGrace
  for (;;) {
    try {
      await overwrite(await top.getDirectoryHandle(rootName(name)))
      await top.removeEntry(rootName(name), { recursive: true })
      return
    } catch (error) {
      if ((error as Error).name === "NotFoundError") return
      if (performance.now() > until) throw error
      await pause(50)
    }
  }
}

/** Removing a file leaves its bytes on the disk; those that can still be reached are written over first. */
async function overwrite(dir: FileSystemDirectoryHandle): Promise<void> {
  for await (const entry of dir.values()) {
    if (entry.kind === "directory") {
      await overwrite(entry as FileSystemDirectoryHandle)
      continue
    }
    const handle = await (entry as FileSystemFileHandle).createSyncAccessHandle()
    try {
      const zeros = new Uint8Array(1 << 16)
      for (let at = 0, size = handle.getSize(); at < size; at += zeros.length) handle.write(zeros.subarray(0, Math.min(zeros.length, size - at)), { at })
      handle.flush()
      handle.truncate(0)
    } finally {
      handle.close()
    }
  }
}
