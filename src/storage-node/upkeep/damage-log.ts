// What readers found missing or rotten, said once for each shard: in the log and as a count.
import type { Log } from '../../kit/log.ts'
import { Counter, type Registry } from '../../kit/metrics.ts'
import type { ShardId } from '../contract.ts'

/** Shards remembered as already reported: a bound, not a promise. */
const REMEMBERED = 10_000

/** Hears the reports of readers. */
export class DamageLog {
  readonly #log: Log
  readonly #counter: Counter
  readonly #said = new Set<string>()

  constructor(log: Log, registry: Registry) {
    this.#log = log
    this.#counter = new Counter({
      name: 'kintsugi_damaged_reads_total',
      help: 'Shards that a reader found missing, corrupt or on a failed drive',
      labelNames: ['kind'],
      registers: [registry],
    })
  }

  /** Takes a report; the same shard is written to the log once. */
  report({ driveId, id, kind }: { driveId: number; id: ShardId; kind: string }): void {
    this.#counter.inc({ kind })
    const name = `${id.uid}.${id.part}.${id.slot}`
    if (kind === 'failed' || this.#said.has(name)) return
    if (this.#said.size === REMEMBERED) this.#said.clear()
    this.#said.add(name)
    this.#log.warn({ driveId, shard: name }, `a shard is ${kind}: the bytes came from the others`)
  }
}
