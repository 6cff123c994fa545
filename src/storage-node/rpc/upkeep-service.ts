// What a node does for those who see to the upkeep of its cluster: it hears of blobs that something is wrong with, says which
// shards are orphans and how its upkeep stands, and mends at once when it is told to.
import type { MetaPartitionId } from '../../metadata/contract.ts'
import type { JudgedShard, ShardVerdict } from '../upkeep/judge-shards.ts'
import { FieldWriter } from './fields.ts'
import { MessageType } from './messages.ts'
import type { MessageHandler, NodeService } from './node-service.ts'
import { encodeAnswered, encodeReply } from './partition-messages.ts'
import type { FindLed, PrimaryHints } from './partition-seams.ts'
import {
  type BlobReport,
  decodeJudge,
  decodeReport,
  encodeUpkeepStatus,
  type NodeUpkeepStatus,
} from './upkeep-messages.ts'

/** The upkeep of a node. Everything but its status throws Overloaded before it has begun. */
export interface UpkeepWork {
  /** Takes a report about a partition that is led here. Throws Overloaded when they are too many. */
  take(partition: MetaPartitionId, report: BlobReport): void
  /** Says which shards of a partition that is led here are orphans. */
  judge(partition: MetaPartitionId, shards: readonly JudgedShard[]): Promise<ShardVerdict[]>
  status(): NodeUpkeepStatus
  /** Mends everything now: gives how many scrubs of this node have to have ended for all of it to be read that was there. */
  healNow(): number
}

/** What the service is made of. */
export interface UpkeepServiceParts {
  findLed: FindLed
  /** Whom those are told to ask who come to the wrong node. */
  primaries: Pick<PrimaryHints, 'primaryOf'>
  upkeep: UpkeepWork
}

/** Upkeep, as others speak with it. */
export class UpkeepService implements NodeService {
  readonly messages: ReadonlyMap<number, MessageHandler>
  readonly streams: NodeService['streams'] = new Map()
  readonly #parts: UpkeepServiceParts

  constructor(parts: UpkeepServiceParts) {
    this.#parts = parts
    const { upkeep } = parts
    this.messages = new Map<number, MessageHandler>([
      [MessageType.ReportBlobs, async (body) => this.#hear(body)],
      [MessageType.JudgeShards, (body) => this.#judge(body)],
      [MessageType.AskUpkeep, async () => encodeUpkeepStatus(upkeep.status())],
      [MessageType.MendNow, async () => new FieldWriter().u64(upkeep.healNow()).end()],
    ])
  }

  #hear(body: Uint8Array): readonly Uint8Array[] {
    const { partition, report } = decodeReport(body)
    const elsewhere = this.#elsewhere(partition)
    if (elsewhere !== undefined) return elsewhere
    this.#parts.upkeep.take(partition, report)
    return encodeAnswered(undefined)
  }

  async #judge(body: Uint8Array): Promise<readonly Uint8Array[]> {
    const { partition, shards } = decodeJudge(body)
    return (
      this.#elsewhere(partition) ??
      encodeAnswered(await this.#parts.upkeep.judge(partition, shards))
    )
  }

  /** What those are told who come to the wrong node. */
  #elsewhere(partition: MetaPartitionId): readonly Uint8Array[] | undefined {
    const { findLed, primaries } = this.#parts
    if (findLed(partition) !== undefined) return undefined
    return [encodeReply({ kind: 'elsewhere', primary: primaries.primaryOf(partition) })]
  }
}
