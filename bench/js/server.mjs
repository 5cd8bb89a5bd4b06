// Worker: automerge-repo's own sync server, configured like its public one. It is
// the reference that tests written for Syncline's relay are tried against, and a
// side of comparisons.
//
//   node server.mjs HOST PORT DIR

import { EventEmitter } from "node:events"
import { Repo } from "@automerge/automerge-repo"
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket"
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs"
import { WebSocketServer } from "ws"

const [host, port, dir] = process.argv.slice(2)
const server = new WebSocketServer({ host, port: Number(port) })
const repo = new Repo({
  network: [new WebSocketServerAdapter(server)],
  storage: new NodeFSStorageAdapter(dir),
  peerId: `reference-${port}`,
  sharePolicy: async () => false,
})

// Every accepted connection may carry thousands of documents.
EventEmitter.defaultMaxListeners = 0

server.on("listening", () => console.error(`listening on ${host}:${server.address().port}`))
server.on("error", error => {
  console.error(`listen on ${host}:${port}: ${error.message}`)
  process.exit(1)
})

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, async () => {
    server.close()
    await repo.flush(Object.values(repo.handles).filter(handle => handle.isReady()).map(handle => handle.documentId))
    process.exit(0)
  })
}
// It must not outlive whoever started it.
process.stdin.resume().on("end", () => process.exit(0)).on("error", () => process.exit(0))
