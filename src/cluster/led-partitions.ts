// The metadata partitions that this node leads now: each is opened when its reign begins, and found until it ends.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Command, MetadataPartition, MetaPartitionId } from '../metadata/contract.ts'
import { openPartition, USUAL_GARBAGE } from '../metadata/partition.ts'
import { decidedEpoch } from '../metadata/replication/decision.ts'
import type { Reigning, ReplicasOfNode } from '../storage-node/replicated/contract.ts'

/** What partitions are opened with. */
export interface LedPartitionParts {
  world: Pick<World, 'clock'>
  log: Log
  replicas: Pick<ReplicasOfNode, 'onReign'>
  /** Bytes outlive their last reference by so much at least: nobody here knows who reads them. */
  graceMs: number
  /** Where it is not what is usual. */
  blobAgeMsMax?: number | undefined
  /** Throws for a command that this node has no room for. */
  admit?: (partition: MetaPartitionId, command: Command) => void
}

/** Of blobs that no row names nobody says anything before they are so old: their writers may be at them still. */
export const USUAL_BLOB_AGE_MS = 12 * 60 * 60_000

/** A partition that can not be opened is tried again so much later, while its reign lasts. */
const AGAIN_MS = 1_000

/** So long a command may wait for its log, after the last byte of its body. */
const COMMIT_MS = 30_000

interface Led {
  reign: Reigning
  partition: MetadataPartition
}

/** Finds them. */
export class LedPartitions {
  readonly #parts: LedPartitionParts
  readonly #led = new Map<MetaPartitionId, Led>()
  readonly #unwatch: () => void

  constructor(parts: LedPartitionParts) {
    this.#parts = parts
    this.#unwatch = parts.replicas.onReign((reign) => void this.#begin(reign))
  }

  /** Undefined for one that another node leads, or that is not open yet. */
  find(id: MetaPartitionId): MetadataPartition | undefined {
    const led = this.#led.get(id)
    return led === undefined || led.reign.ended.aborted ? undefined : led.partition
  }

  /** Of the decision by which this node leads it: another may lead by a later one, which was not heard of here. */
  epochOf(id: MetaPartitionId): number | undefined {
    const led = this.#led.get(id)
    return led === undefined || led.reign.ended.aborted ? undefined : decidedEpoch(led.reign.epoch)
  }

  /** All of them, in order. */
  list(): MetadataPartition[] {
    return [...this.#led.keys()]
      .sort((left, right) => left - right)
      .flatMap((id) => this.find(id) ?? [])
  }

  /** Hears of no reign any more. */
  close(): void {
    this.#unwatch()
    this.#led.clear()
  }

  async #begin(reign: Reigning): Promise<void> {
    const { world, log } = this.#parts
    const { partition: id, ended } = reign
    while (!ended.aborted) {
      try {
        const partition = await this.#open(reign)
        if (ended.aborted) return
        this.#led.set(id, { reign, partition })
        ended.addEventListener('abort', () => this.#end(reign), { once: true })
        return
      } catch (error) {
        if (ended.aborted) return
        log.error(
          { partition: id, error },
          'a metadata partition that is led here can not be opened',
        )
      }
      // Aborted: another node leads.
      await world.clock.sleep(AGAIN_MS, ended).catch(() => undefined)
    }
  }

  #open({ partition: id, log }: Reigning): Promise<MetadataPartition> {
    const { world, graceMs, blobAgeMsMax = USUAL_BLOB_AGE_MS, admit } = this.#parts
    const { clock } = world
    return openPartition(
      {
        id,
        garbage: { ...USUAL_GARBAGE, graceMs },
        blobAgeMsMax,
        patience: { ms: COMMIT_MS, clock },
        ...(admit ? { admit: (command) => admit(id, command) } : {}),
      },
      { log, clock },
    )
  }

  #end({ partition: id, epoch }: Reigning): void {
    if (this.#led.get(id)?.reign.epoch === epoch) this.#led.delete(id)
  }
}
