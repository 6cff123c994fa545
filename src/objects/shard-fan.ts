// The shards of one blob on their way to their drives: all at once, in step, stripe by stripe. When enough of them are
// durable, and what is done without the others, is a rule that is handed in (write-rule.ts).
import { assert } from '../kit/assert.ts'
import { DriveUnavailable, isFull } from '../kit/drive-unavailable.ts'
import { MISSING_SLOT } from '../metadata/records.ts'
import type {
  CopiesDescription,
  ShardCopies,
  ShardId,
  ShardWriter,
} from '../storage-node/contract.ts'
import { type StepOutcome, settleAll, settleEnough } from './settle-enough.ts'
import type { StoreParts } from './store-parts.ts'
import type { BlobToKeep } from './write-rule.ts'

interface Lane {
  slot: number
  driveId: number
  /** undefined until the shard is begun, and once it is done without. */
  writer: ShardWriter | undefined
  isGivenUp: boolean
}

/** Copies, and where those of a blob go. */
export interface CopiesToPut {
  copies: ShardCopies
  description: CopiesDescription
  /** By slot; may be MISSING_SLOT. */
  drives: readonly number[]
}

type FanParts = Pick<StoreParts, 'node' | 'writeRule'>

/** Thrown when so many drives failed during a write that its bytes would not be safe. */
export class TooFewDrives extends Error {
  override readonly name = 'TooFewDrives'
  readonly code = 'TOO_FEW_DRIVES'
}

/** Writes cells to all slots of a blob, drops slots whose drive fails, and knows what became durable. */
export class ShardFan {
  readonly #lanes: Lane[]
  readonly #blob: BlobToKeep
  readonly #parts: FanParts

  private constructor(lanes: Lane[], blob: BlobToKeep, parts: FanParts) {
    this.#lanes = lanes
    this.#blob = blob
    this.#parts = parts
  }

  /** Opens a writer on every drive; `drives[slot]` may be MISSING_SLOT. */
  static async open(
    description: CopiesDescription,
    drives: readonly number[],
    parts: FanParts,
  ): Promise<ShardFan> {
    const lanes = lanesOf(drives)
    const fan = new ShardFan(lanes, description, parts)
    try {
      await fan.#each(lanes, (lane) => fan.#begin(lane, description))
      fan.#refuseLost()
    } catch (error) {
      await fan.abort()
      throw fan.#unfit(error)
    }
    return fan
  }

  /** Writes copies, whose bytes are all there: one step in place of three. Returns what commit() does; a failure leaves nothing. */
  static async putCopies(
    { copies, description, drives }: CopiesToPut,
    parts: FanParts,
  ): Promise<number[]> {
    // Copies that do not land are done without here; where shards are placed anew they are begun first, by open().
    assert(!parts.writeRule.placesAnew, 'copies are put by one call on drives of this process')
    const lanes = lanesOf(drives)
    const fan = new ShardFan(lanes, description, parts)
    const { uid, part } = description.id
    for (const lane of lanes) {
      const { slot, driveId } = lane
      lane.writer = new CopyWriter({ copies, node: parts.node, driveId, id: { uid, part, slot } })
    }
    try {
      return await fan.commit()
    } catch (error) {
      await fan.abort()
      throw fan.#unfit(error)
    }
  }

  /** Appends cells[slot] of every stripe to every slot; resolves when the bytes may be reused. */
  async write(stripes: readonly (readonly Uint8Array[])[]): Promise<void> {
    await this.#each(this.#live(), (lane) =>
      writeCells(
        lane.writer!,
        stripes.map((cells) => cells[lane.slot]!),
      ),
    )
  }

  /** Makes shards durable, `metadata` in their headers. Returns the slots that are not, as far as anybody knows. */
  async commit(metadata?: Uint8Array): Promise<number[]> {
    await this.#each(this.#live(), (lane) => lane.writer!.commit(metadata), 'mayLand')
    const lost = this.#lanes.filter((lane) => lane.writer === undefined)
    for (const lane of lost) await this.#parts.writeRule.doWithout(lane.driveId)
    return lost.map((lane) => lane.slot)
  }

  /** Throws away what was written. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#live().map((lane) => lane.writer!.abort()))
  }

  async #begin(lane: Lane, description: CopiesDescription): Promise<void> {
    const id = { ...description.id, slot: lane.slot }
    const writer = await this.#parts.node.beginShard(lane.driveId, { ...description, id })
    if (lane.isGivenUp) await writer.abort()
    else lane.writer = writer
  }

  #live(): Lane[] {
    return this.#lanes.filter((lane) => lane.writer !== undefined)
  }

  /**
   * Runs a step on lanes side by side. Shards that can be done without are dropped; any other trouble is thrown when all are
   * done. `late`: what becomes of those that are not waited for.
   */
  async #each(
    lanes: Lane[],
    step: (lane: Lane) => Promise<void>,
    late: 'aborted' | 'mayLand' = 'aborted',
  ): Promise<void> {
    const outcomes = await this.#settle(lanes, lanes.map(step), late)
    let trouble: { error: unknown } | undefined
    for (let index = 0; index < lanes.length; index += 1) {
      const outcome = outcomes[index]!
      const isTrouble = outcome.kind === 'failed' && !this.#bears(outcome.error)
      // Those behind it, too, have to know that nobody waits: a shard that is begun later is given up then.
      if (isTrouble) trouble ??= outcome
      else if (outcome.kind !== 'done')
        giveUp(lanes[index]!, outcome.kind === 'late' && !trouble ? late : 'aborted')
    }
    if (trouble !== undefined) throw trouble.error
    const live = this.#live()
    const drives = live.map(({ driveId }) => driveId)
    if (this.#parts.writeRule.isEnough(this.#blob, drives)) return
    throw new TooFewDrives(`${live.length} shards are left of ${this.#lanes.length}: too few`)
  }

  #settle(
    lanes: Lane[],
    steps: Promise<void>[],
    late: 'aborted' | 'mayLand',
  ): Promise<StepOutcome[]> {
    const { patience, isEnough } = this.#parts.writeRule
    if (patience === undefined) return settleAll(steps)
    const { clock, stallMs, lagMs } = patience
    const sinceMs = clock.monotonicMs()
    return settleEnough(steps, {
      clock,
      isEnough: (done) =>
        isEnough(
          this.#blob,
          done.map((index) => lanes[index]!.driveId),
        ),
      waitMs: () => (late === 'mayLand' ? lagMs(clock.monotonicMs() - sinceMs) : stallMs),
    })
  }

  #bears(error: unknown): boolean {
    return error instanceof DriveUnavailable && this.#parts.writeRule.bears(error)
  }

  /** Where other drives can take the shards, it goes on without none of those that were to be begun. */
  #refuseLost(): void {
    const isWhole = this.#lanes.every(({ isGivenUp }) => !isGivenUp)
    if (isWhole || !this.#parts.writeRule.placesAnew) return
    throw new TooFewDrives('not every shard could be begun')
  }

  /** What to throw when shards could not be begun. */
  #unfit(error: unknown): unknown {
    if (isFull(error)) return new FullAtBegin(error)
    const away = this.#lanes.filter(({ isGivenUp }) => isGivenUp).map(({ driveId }) => driveId)
    const isAway = this.#parts.writeRule.placesAnew && away.length > 0
    return isAway ? new AwayAtBegin(away, error) : error
  }
}

function lanesOf(drives: readonly number[]): Lane[] {
  const lanes: Lane[] = []
  for (const [slot, driveId] of drives.entries()) {
    if (driveId === MISSING_SLOT) continue
    lanes.push({ slot, driveId, writer: undefined, isGivenUp: false })
  }
  return lanes
}

interface Copy {
  copies: ShardCopies
  node: FanParts['node']
  driveId: number
  id: ShardId
}

/** A copy as the fan has writers: its bytes are there already, and what became durable in vain is forgotten again. */
class CopyWriter implements ShardWriter {
  readonly #copy: Copy
  #isDurable = false

  constructor(copy: Copy) {
    this.#copy = copy
  }

  async write(): Promise<void> {
    assert(false, 'a copy has its bytes')
  }

  commit(): Promise<void> {
    const { copies, driveId, id } = this.#copy
    return copies.put(driveId, id.slot).then(() => {
      this.#isDurable = true
    })
  }

  /** A store waits for a deletion under way before it makes a shard of that name durable, so it may be put there again. */
  async abort(): Promise<void> {
    const { node, driveId, id } = this.#copy
    if (this.#isDurable) await node.deleteShard(driveId, id)
  }
}

async function writeCells(writer: ShardWriter, cells: readonly Uint8Array[]): Promise<void> {
  if (writer.writeRun) return await writer.writeRun(cells)
  for (const cell of cells) await writer.write(cell)
}

/** Its room is given back; one that may land keeps it. */
function giveUp(lane: Lane, late: 'aborted' | 'mayLand'): void {
  const { writer } = lane
  lane.writer = undefined
  lane.isGivenUp = true
  if (late === 'aborted') void writer?.abort().catch(() => undefined)
}

/** A drive had no room for a shard, and nothing of the body was read yet, or all of it is at hand. */
export class FullAtBegin extends DriveUnavailable {
  constructor(cause: DriveUnavailable) {
    super(cause.driveId, 'full', { cause })
  }
}

/** Drives took no shard, and nothing of the body was read yet. */
export class AwayAtBegin extends DriveUnavailable {
  readonly driveIds: readonly number[]

  constructor(driveIds: readonly number[], cause: unknown) {
    super(driveIds[0]!, 'failed', { cause })
    this.driveIds = driveIds
  }
}
