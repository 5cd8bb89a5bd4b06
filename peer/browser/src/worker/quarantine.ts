import { sha256 } from "@noble/hashes/sha2"
import { toHex, type DocumentId } from "../shared/bytes.js"
import { isPanic } from "./core-loader.js"
import type { Engine } from "./engine.js"

/** How many cores are spent on one message to find out which of its changes they do not bear. */
const maxCores = 4

/** A change's hash is over what follows its magic bytes and checksum. */
const hashedFrom = 8

/**
 * After the core has panicked on a message: takes its changes one at a time, in a fresh core and durably, and
 * puts those aside that end a core again. The document is what its journal has, plus the good ones.
 */
export async function quarantine(engine: Engine, id: DocumentId, message: Uint8Array, reason: string): Promise<void> {
  void engine.restart(reason)
  while (engine.recovering) await engine.recovering
  let changes: Uint8Array[]
  try {
    changes = engine.api.low.decodeSyncMessage(message).changes
  } catch (error) {
    if (isPanic(error)) void engine.restart(reason)
    return putAside(engine, id, message, `a message that cannot be read: ${reason}`)
  }
  let cores = 1
  for (const change of changes) {
    if (cores > maxCores) {
      putAside(engine, id, change, "it came with changes that ended the core")
      continue
    }
    while (engine.recovering) await engine.recovering
    try {
      engine.take(id, r => r.handle.loadIncremental(change))
    } catch (error) {
      if (isPanic(error)) {
        cores++
        void engine.restart(reason)
      }
      putAside(engine, id, change, (error as Error).message)
    }
  }
}

/** Keeps a change as evidence. It is no part of the document. */
function putAside(engine: Engine, id: DocumentId, body: Uint8Array, reason: string): void {
  const doc = engine.journal.find(id)
  if (doc === undefined) return
  const hash = toHex(sha256(body.subarray(hashedFrom)))
  engine.db.transaction(() => engine.db.run("INSERT INTO quarantine (doc, hash, reason, time, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    doc, hash, reason, engine.now(), body))
}
