// The shards of one blob on their way to their drives: all at once, in step, stripe by stripe.
//
// Embedded rule (storage.md 4.4 step 5): a PUT is acknowledged when every shard is durable, except on
// drives that the coordinator has recorded as out before the acknowledgement.
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import { MISSING_SLOT } from '../metadata/records.ts'
import type { ShardDescription, ShardWriter } from '../storage-node/contract.ts'
import type { StoreParts } from './store-parts.ts'

interface Lane {
  slot: number
  driveId: number
  /** undefined once the drive failed. */
  writer: ShardWriter | undefined
}

/** Thrown when so many drives failed during a write that its bytes could not be read back. */
export class TooFewDrives extends Error {
  override readonly name = 'TooFewDrives'
  readonly code = 'TOO_FEW_DRIVES'
}

/** Writes cells to all slots of a blob, drops slots whose drive fails, and knows what became durable. */
export class ShardFan {
  readonly #lanes: Lane[]
  readonly #needed: number
  readonly #parts: Pick<StoreParts, 'node' | 'recordOut'>

  private constructor(
    lanes: Lane[],
    needed: number,
    parts: Pick<StoreParts, 'node' | 'recordOut'>,
  ) {
    this.#lanes = lanes
    this.#needed = needed
    this.#parts = parts
  }

  /** Opens a writer on every drive; `drives[slot]` may be MISSING_SLOT. */
  static async open(
    description: Omit<ShardDescription, 'id'> & { id: Omit<ShardDescription['id'], 'slot'> },
    drives: readonly number[],
    parts: Pick<StoreParts, 'node' | 'recordOut'>,
  ): Promise<ShardFan> {
    const lanes = drives
      .map((driveId, slot): Lane => ({ slot, driveId, writer: undefined }))
      .filter(({ driveId }) => driveId !== MISSING_SLOT)
    const fan = new ShardFan(lanes, description.code.dataCount, parts)
    try {
      await fan.#each(lanes, async (lane) => {
        const id = { ...description.id, slot: lane.slot }
        lane.writer = await parts.node.beginShard(lane.driveId, { ...description, id })
      })
    } catch (error) {
      await fan.abort()
      throw isFull(error) ? new FullAtBegin(error) : error
    }
    return fan
  }

  /** Appends cells[slot] to every slot; resolves when the bytes may be reused. */
  async write(cells: readonly Uint8Array[]): Promise<void> {
    await this.#each(this.#live(), (lane) => lane.writer!.write(cells[lane.slot]!))
  }

  /** Makes every shard durable, `metadata` in its header. Returns the slots that are not, all on drives recorded as out. */
  async commit(metadata?: Uint8Array): Promise<number[]> {
    await this.#each(this.#live(), (lane) => lane.writer!.commit(metadata))
    const lost = this.#lanes.filter((lane) => lane.writer === undefined)
    for (const lane of lost) await this.#parts.recordOut(lane.driveId)
    return lost.map((lane) => lane.slot)
  }

  /** Throws away what was written. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#live().map((lane) => lane.writer!.abort()))
  }

  #live(): Lane[] {
    return this.#lanes.filter((lane) => lane.writer !== undefined)
  }

  /** Runs a step on lanes side by side. A failed drive drops its lane; any other trouble is thrown when all are done. */
  async #each(lanes: Lane[], step: (lane: Lane) => Promise<void>): Promise<void> {
    const results = await Promise.allSettled(lanes.map(step))
    results.forEach((result, index) => {
      if (result.status === 'rejected') dropOrThrow(lanes[index]!, result.reason)
    })
    if (this.#live().length < this.#needed) {
      throw new TooFewDrives(`${this.#live().length} drives are left, ${this.#needed} are needed`)
    }
  }
}

function dropOrThrow(lane: Lane, reason: unknown): void {
  if (!(reason instanceof DriveUnavailable) || reason.trouble !== 'failed') throw reason
  const { writer } = lane
  lane.writer = undefined
  void writer?.abort().catch(() => undefined) // Its room is given back; its bytes went with the drive.
}

/** A drive had no room for a shard, and nothing of the body was read yet. */
export class FullAtBegin extends DriveUnavailable {
  constructor(cause: DriveUnavailable) {
    super(cause.driveId, 'full', { cause })
  }
}

function isFull(error: unknown): error is DriveUnavailable {
  return error instanceof DriveUnavailable && error.trouble === 'full'
}
