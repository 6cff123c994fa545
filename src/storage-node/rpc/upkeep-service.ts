// What a node does for those who see to the upkeep of its cluster: it hears of blobs that something is wrong with, says how
// its upkeep stands, and mends at once when it is told to.
import type { MetaPartitionId } from '../../metadata/contract.ts'
import { FieldWriter } from './fields.ts'
import { MessageType } from './messages.ts'
import type { MessageHandler, NodeService } from './node-service.ts'
import { encodeAnswered, encodeReply } from './partition-messages.ts'
import type { FindLed, PrimaryHints } from './partition-seams.ts'
import {
  type BlobReport,
  decodeReport,
  encodeUpkeepStatus,
  type NodeUpkeepStatus,
} from './upkeep-messages.ts'

/** What the service is made of. */
export interface UpkeepServiceParts {
  findLed: FindLed
  /** Whom those are told to ask who come to the wrong node. */
  primaries: Pick<PrimaryHints, 'primaryOf'>
  /** Takes a report about a partition that is led here. Throws Overloaded when they are too many. */
  take(partition: MetaPartitionId, report: BlobReport): void
  status(): NodeUpkeepStatus
  /** Gives how many scrubs of this node have to have ended for all of it to be read that was there. Throws Overloaded before it has begun. */
  mendNow(): number
}

/** Upkeep, as others speak with it. */
export class UpkeepService implements NodeService {
  readonly messages: ReadonlyMap<number, MessageHandler>
  readonly streams: NodeService['streams'] = new Map()
  readonly #parts: UpkeepServiceParts

  constructor(parts: UpkeepServiceParts) {
    this.#parts = parts
    this.messages = new Map<number, MessageHandler>([
      [MessageType.ReportBlobs, async (body) => this.#hear(body)],
      [MessageType.AskUpkeep, async () => encodeUpkeepStatus(parts.status())],
      [MessageType.MendNow, async () => new FieldWriter().u64(parts.mendNow()).end()],
    ])
  }

  #hear(body: Uint8Array): readonly Uint8Array[] {
    const { findLed, primaries, take } = this.#parts
    const { partition, report } = decodeReport(body)
    if (findLed(partition) === undefined) {
      return [encodeReply({ kind: 'elsewhere', primary: primaries.primaryOf(partition) })]
    }
    take(partition, report)
    return encodeAnswered(undefined)
  }
}
