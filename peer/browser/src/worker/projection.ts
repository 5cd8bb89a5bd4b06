import type { Database } from "./database.js"
import { compareKeys } from "../shared/values.js"
import { plain, toJSON, type Plain } from "./read.js"
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
    const { data, conflict } = readEntity(r, found[1] as string)
    db.run(`INSERT INTO entities (doc, collection, id, data, conflict) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (collection, doc, id) DO UPDATE SET data = excluded.data, conflict = excluded.conflict`, r.doc, collection, id, data, conflict ? 1 : 0)
  } else {
    db.run("DELETE FROM entities WHERE collection = ? AND doc = ? AND id = ?", collection, r.doc, id)
  }
}

/** Reads an entity's fields, each with all of its concurrent values, of which the last one is what it shows: one call of the core for each. */
function readEntity(r: Replica, entity: string): { data: string, conflict: boolean } {
  let conflict = false
  const fields = r.handle.keys(entity).sort(compareKeys).map((k): [string, Plain] => {
    const all = r.handle.getAll(entity, k) as unknown as [string, unknown][]
    if (all.length > 1) conflict = true
    const [kind, value] = all.at(-1)!
    if (kind === "text") return [k, r.handle.text(value as string)]
    return [k, plain(kind === "map" || kind === "list" || kind === "table" ? r.handle.materialize(value as string) : value)]
  })
  return { data: toJSON(Object.fromEntries(fields)), conflict }
}
