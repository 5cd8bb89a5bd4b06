/**
 * Hooks for React, made for the app's own copy of it: `export const { useLive, useEntity, useStatus } = hooks(React)`.
 *
 * @packageDocumentation
 */
import type { Document, Plain } from "./document.js"
import type { Peer } from "./peer.js"
import type { Row, SQLParam, Status } from "./status.js"

/** What of React the hooks use. */
export interface ReactLike {
  useState<T>(initial: T): [T, (next: T) => void]
  useEffect(effect: () => void | (() => void), deps: readonly unknown[]): void
}

/** The hooks. Each gives undefined until the first answer is there. */
export interface Hooks {
  /** The rows of a query, anew whenever they change. */
  useLive<T extends Row = Row>(peer: Peer, sql: string, params?: SQLParam[]): T[] | undefined
  /** An entity's fields, anew after each change of it; undefined also if there is none. */
  useEntity(doc: Document, collection: string, id: string): { [field: string]: Plain } | undefined
  /** How the peer stands, anew whenever a remote comes or goes or a change is acknowledged. */
  useStatus(peer: Peer): Status | undefined
}

export function hooks(react: ReactLike): Hooks {
  return {
    useLive<T extends Row>(peer: Peer, sql: string, params: SQLParam[] = []): T[] | undefined {
      const [rows, setRows] = react.useState<T[] | undefined>(undefined)
      react.useEffect(() => peer.live<T>(sql, params, setRows), [peer, sql, JSON.stringify(params, (_, v: unknown) => typeof v === "bigint" ? `${v}n` : v)])
      return rows
    },
    useEntity(doc, collection, id) {
      const [fields, setFields] = react.useState<{ [field: string]: Plain } | undefined>(undefined)
      react.useEffect(() => {
        let on = true
        const read = (): void => void doc.entity(collection, id).then(f => { if (on) setFields(f) }, () => {})
        const stop = doc.onChange(c => {
          const ids = c.entities[collection]
          if (ids === "all" || ids?.includes(id)) read()
        })
        read()
        return () => { on = false; stop() }
      }, [doc, collection, id])
      return fields
    },
    useStatus(peer) {
      const [status, setStatus] = react.useState<Status | undefined>(undefined)
      react.useEffect(() => {
        let on = true
        const read = (): void => void peer.status().then(s => { if (on) setStatus(s) }, () => {})
        const stops = [peer.on("status", read), peer.on("progress", read), peer.on("change", read), peer.on("owner", read)]
        read()
        return () => { on = false; stops.forEach(f => f()) }
      }, [peer])
      return status
    },
  }
}
