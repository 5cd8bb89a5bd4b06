import { classes, type Class } from "../shared/fault.js"

/** Upper bounds of the reconciliation histogram, in ms: the native peer's. */
const bounds = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 3_600_000, 86_400_000]

/** What is counted since the store was opened. All only grow. */
export class Tally {
  messagesIn = 0
  messagesOut = 0
  bytesIn = 0
  bytesOut = 0
  changesIn = 0
  changesOut = 0
  changesRefused = 0
  commitFailures = 0
  readonly retries: Record<Class, number> = Object.fromEntries(classes.map(c => [c, 0])) as Record<Class, number>
  readonly buckets: number[] = [...bounds, Infinity].map(() => 0)
  sum = 0

  /** An operation made here is durable at another end, so many ms after it was made. */
  reconciled(ms: number): void {
    const d = Math.max(0, ms) // the clock was set
    const i = bounds.findIndex(b => d <= b)
    this.buckets[i < 0 ? bounds.length : i]!++
    this.sum += d
  }

  /** The reconciliation time that so many of all operations stayed below, in ms: the bound of its bucket. */
  quantile(q: number): number | undefined {
    const all = this.buckets.reduce((a, b) => a + b, 0)
    if (all === 0) return undefined
    let seen = 0
    for (const [i, n] of this.buckets.entries()) {
      seen += n
      if (seen >= q * all) return bounds[i] ?? Infinity
    }
    return undefined
  }
}

/** What is read of the peer's state beside its counters. */
export interface Gauges {
  pending: number
  /** s */
  oldest: number
  undelivered: { waiting: number, dead: number, dropped: number }
  remotes: { [state: string]: number }
}

/** A metric with its labels: the native peer's names, see the Go package peer/telemetry. */
export interface Metric { name: string, labels: { [label: string]: string }, value: number }

export function metrics(t: Tally, g: Gauges): Metric[] {
  const one = (name: string, value: number, labels: { [label: string]: string } = {}): Metric => ({ name, labels: { role: "peer", ...labels }, value })
  const each = (name: string, label: string, values: { [key: string]: number }): Metric[] => Object.entries(values).map(([k, v]) => one(name, v, { [label]: k }))
  let seen = 0
  return [
    one("syncline_messages_received_total", t.messagesIn),
    one("syncline_messages_sent_total", t.messagesOut),
    one("syncline_received_bytes_total", t.bytesIn),
    one("syncline_sent_bytes_total", t.bytesOut),
    one("syncline_changes_received_total", t.changesIn),
    one("syncline_changes_sent_total", t.changesOut),
    one("syncline_changes_rejected_total", t.changesRefused, { reason: "unfit" }),
    one("syncline_commit_failures_total", t.commitFailures),
    ...each("syncline_retries_total", "class", t.retries),
    one("syncline_pending_changes", g.pending),
    one("syncline_oldest_pending_seconds", g.oldest),
    ...each("syncline_undelivered_documents", "state", g.undelivered),
    ...each("syncline_remotes", "state", g.remotes),
    ...t.buckets.map((n, i) => one("syncline_reconciliation_duration_seconds_bucket", seen += n, { le: bounds[i] === undefined ? "+Inf" : String(bounds[i]! / 1000) })),
    one("syncline_reconciliation_duration_seconds_sum", t.sum / 1000),
    one("syncline_reconciliation_duration_seconds_count", seen),
  ]
}
