// What readers of a gateway find damaged, on its way to the nodes that mend it: each blob once, to whoever leads its
// partition. A bounded queue and no promise: what is lost of it the next reader or the next scrub finds.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { Clock } from '../kit/world.ts'
import type { MetaPartitionId } from '../metadata/contract.ts'
import type { Blob } from '../metadata/records.ts'
import type { DamageReport } from '../objects/store-parts.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { metaPartitionOf } from '../placement/place.ts'
import type { RemotePartitions } from '../storage-node/rpc/remote-partition.ts'
import { REPORTED_MAX } from '../storage-node/rpc/upkeep-messages.ts'

/** What telling needs. */
export interface DamageReportParts {
  clock: Clock
  log: Log
  coordinator: Pick<Coordinator, 'state'>
  report: RemotePartitions['report']
}

/** Blobs that wait to be told of: more are let be. */
const WAITING_MAX = 10_000

/** A blob that was told of is not told of again for so long: its readers find it damaged until it is mended. */
const TOLD_AGAIN_MS = 60_000

/** Blobs remembered as told of: a bound. */
const TOLD_MAX = 10_000

const TELL_EVERY_MS = 500

/** Tells, until it is stopped. */
export class DamageReports {
  readonly #parts: DamageReportParts
  readonly #waiting = new Map<string, Blob>()
  /** When each was told of last, on the monotonic clock. */
  readonly #toldMs = new Map<string, number>()
  readonly #telling: Periodic

  constructor(parts: DamageReportParts) {
    this.#parts = parts
    this.#telling = repeat('tell-of-damage', TELL_EVERY_MS, () => this.#tellAll(), parts)
  }

  /** Takes what a reader found. Drives that fail are not told of: the map knows them. */
  add({ blob, kind }: Pick<DamageReport, 'blob' | 'kind'>): void {
    if (kind === 'failed') return
    const name = `${blob.uid}.${blob.part}`
    const toldMs = this.#toldMs.get(name)
    if (toldMs !== undefined && this.#nowMs < toldMs + TOLD_AGAIN_MS) return
    if (this.#waiting.size < WAITING_MAX) this.#waiting.set(name, blob)
  }

  async stop(): Promise<void> {
    await this.#telling.stop()
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }

  /** A partition that does not answer keeps none of the others waiting; its blobs are told of in the next round. */
  async #tellAll(): Promise<void> {
    const { map } = this.#parts.coordinator.state
    const byPartition = new Map<MetaPartitionId, [string, Blob][]>()
    for (const entry of this.#waiting) {
      const partition = metaPartitionOf(map, entry[1].partition)
      const blobs = byPartition.get(partition) ?? []
      if (blobs.length < REPORTED_MAX) byPartition.set(partition, [...blobs, entry])
    }
    await Promise.all([...byPartition].map(([partition, blobs]) => this.#tell(partition, blobs)))
  }

  async #tell(partition: MetaPartitionId, blobs: readonly [string, Blob][]): Promise<void> {
    const { log, report } = this.#parts
    try {
      await report(partition, { kind: 'damage', blobs: blobs.map(([, blob]) => blob) })
      for (const [name] of blobs) this.#told(name)
    } catch (error) {
      log.debug({ partition, error: String(error) }, 'nobody can be told of damage now')
    }
  }

  #told(name: string): void {
    this.#waiting.delete(name)
    if (this.#toldMs.size >= TOLD_MAX) this.#toldMs.clear()
    this.#toldMs.set(name, this.#nowMs)
  }
}
