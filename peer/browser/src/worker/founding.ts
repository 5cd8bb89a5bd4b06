import { sha256 } from "@noble/hashes/sha2"
import { toHex } from "../shared/bytes.js"
import type { Core } from "./core.js"

// The change that makes a collection: the same to the byte on every device, so that two that put the first
// entities into a collection while they are apart put them into one. The native peer says more (crdt/founding.go).

/** The founding of a collection, as the journal keeps it. */
export function founding(core: Pick<Core, "encodeChange" | "decodeChange">, collection: string): { hash: string, actor: string, intent: string, body: Uint8Array } {
  const actor = toHex(sha256(new TextEncoder().encode("syncline founding\0" + collection)).subarray(0, 16)), intent = "collection " + collection
  const body = core.encodeChange({
    actor, seq: 1, startOp: 1, time: 0, message: intent, deps: [],
    ops: [{ action: "makeMap", obj: "_root", key: collection, pred: [] }],
  } as never)
  return { hash: core.decodeChange(body).hash!, actor, intent, body }
}
