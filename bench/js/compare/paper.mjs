// Program: types an editing trace into a Yjs text and writes the updates, each
// behind its length as a big-endian uint32, to stdout.
//
//   node paper.mjs TRACE EDITS EACH CLIENT TEXT
//
// EDITS is how many edits of the trace are typed, EACH how many there are in an
// update, CLIENT the client id and TEXT the name of the text.

import { readFileSync, writeSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import * as Y from "yjs"

const [trace, edits, each, client, name] = process.argv.slice(2)
const { startContent, txns } = JSON.parse(gunzipSync(readFileSync(trace)))
if (startContent !== "") throw new Error("a trace that begins with an empty text is needed")

const doc = new Y.Doc()
doc.clientID = Number(client)
const text = doc.getText(name)
doc.on("update", update => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(update.length)
  writeAll(Buffer.concat([head, update]))
})

const typed = txns.slice(0, Number(edits))
for (let i = 0; i < typed.length; i += Number(each)) {
  doc.transact(() => {
    for (const { patches } of typed.slice(i, i + Number(each))) {
      for (const [position, deleted, inserted] of patches) {
        if (deleted > 0) text.delete(position, deleted)
        if (inserted !== "") text.insert(position, inserted)
      }
    }
  })
}

function writeAll(buffer) {
  for (let at = 0; at < buffer.length; ) at += writeSync(1, buffer, at)
}
