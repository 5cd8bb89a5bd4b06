import type { Database } from "./database.js"
import { plain, toJSON } from "./read.js"
import type { Dirty, Replica } from "./replica.js"

// The projection shows documents as rows: one row of `entities` for each map that lies in a map at the root.
// Values that are not of this shape are in the document, and in no row.

/** Brings the rows of the touched entities to what the document has. It is called in the journal's transaction. */
export function project(db: Database, r: Replica, dirty: Dirty): void {
  for (const [collection, ids] of dirty) {
    const found = r.handle.getWithType("_root", collection) as [string, unknown] | null
    const parent = found?.[0] === "map" ? found[1] as string : undefined
    if (ids === "all") {
      db.run("DELETE FROM entities WHERE collection = ? AND doc = ?", collection, r.doc)
      if (parent) for (const id of r.handle.keys(parent)) projectOne(db, r, collection, parent, id)
      continue
    }
    for (const id of ids) projectOne(db, r, collection, parent, id)
  }
}

function projectOne(db: Database, r: Replica, collection: string, parent: string | undefined, id: string): void {
  const found = parent === undefined ? null : r.handle.getWithType(parent, id) as [string, unknown] | null
  if (found?.[0] === "map") {
    const entity = found[1] as string
    const data = toJSON(plain(r.handle.materialize(entity)))
    const conflict = r.handle.keys(entity).some(k => r.handle.getAll(entity, k).length > 1)
    db.run(`INSERT INTO entities (doc, collection, id, data, conflict) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (collection, doc, id) DO UPDATE SET data = excluded.data, conflict = excluded.conflict`, r.doc, collection, id, data, conflict ? 1 : 0)
  } else {
    db.run("DELETE FROM entities WHERE collection = ? AND doc = ? AND id = ?", collection, r.doc, id)
  }
}
