// Makes the lost shards of one blob again, stripe by stripe, from any k cells. What goes in is checked, what comes
// out is computed back, and what was written is read from the drive again before anybody counts on it.
// Nothing is ever deleted here: a shard is replaced by a whole one in one step, or stays as it is.
import type { Codec, Stripe } from '../../erasure/codec.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { Log } from '../../kit/log.ts'
import type { Blob } from '../../metadata/records.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import { chooseHomes } from '../../placement/spares.ts'
import { withoutDrives } from '../../placement/without-drives.ts'
import type { DriveId, ShardDescription, ShardWriter } from '../contract.ts'
import { type BlobCheck, cellCountOf, cellLengthOf, countWhole } from './check-blob.ts'
import { addToSum, sumOfShard } from './read-back.ts'
import { ShardSources, type SourceParts } from './shard-sources.ts'

/** What mending needs: `codec` has a pool of its own, so that nothing in the foreground waits for it. */
export interface MendParts extends SourceParts {
  codec: Codec
  map: ClusterMap
  log: Log
  countWritten(bytes: number): void
  /** Called between cells: rests as the pace asks, throws when work is to end. */
  pace(): Promise<void>
}

/** What became of the slots that lacked their shard. */
export type Mended =
  /**
   * `mended`: slot and the drive that holds its shard now. `failed`: how many more had a drive, which gave trouble.
   * `damaged`: slots that were thought whole and are not.
   */
  | { kind: 'done'; mended: Map<number, DriveId>; failed: number; damaged: readonly number[] }
  /**
   * Of some stripe fewer cells are good than are needed, and no drive could change that. `isRotten`: shards lie there that
   * are damaged.
   */
  | { kind: 'unrepairable'; good: number; needed: number; isRotten?: true }
  /** Fewer answer than are needed. `silent`: how many drives stopped answering just now. */
  | { kind: 'unknown'; silent: number }

/** What was computed is not what it must be: a fault of this machine, so nothing of it is kept. */
class MendedWrong extends Error {
  override readonly name = 'MendedWrong'
  readonly code = 'MENDED_WRONG'
}

/** A shard in the making. */
interface Lane {
  slot: number
  driveId: DriveId
  description: ShardDescription
  /** undefined once its drive gave trouble. */
  writer: ShardWriter | undefined
  /** Over all cells: what is read back later must have the same. */
  sum: bigint
}

/** Whether a slot of this health lacks its shard for certain. */
export function isOwed(health: BlobCheck['slots'][number]): boolean {
  return health !== 'whole' && health !== 'unreachable' && health !== 'awaited'
}

/** Makes the shards again that a check found lacking, as far as there are drives for them. */
export async function mendBlob(blob: Blob, check: BlobCheck, parts: MendParts): Promise<Mended> {
  const sources = await ShardSources.open(blob, check, parts)
  try {
    const needed = blob.code.dataCount
    if (sources.count < needed) return tooFew(blob, check, { sources, good: sources.count })
    const owed = [...check.slots.keys()].filter((slot) => isOwed(check.slots[slot]!))
    const { partition } = blob
    // A drive without room is no home. It is not tried again and again: the healer hears when it has some.
    const shardBytes = Math.ceil(blob.bytes / needed)
    const roomy = withoutDrives(parts.map, (id) => !parts.node.hasRoom(id, shardBytes, 'move'))
    const homes = chooseHomes(roomy, { partition, drives: check.drives }, owed)
    // Damaged shards are sources too: without a home it is still to be seen whether they would do.
    if (homes.size === 0 && countWhole(check) >= needed)
      return { kind: 'done', mended: homes, failed: 0, damaged: [] }
    const description = await sources.describe()
    if (description === undefined) return tooFew(blob, check, { sources, good: 0 })
    const mended = await new Mending(blob, { homes, description, sources }, parts).run()
    if (mended.kind !== 'unrepairable') return mended
    return tooFew(blob, check, { sources, good: mended.good })
  } finally {
    await sources.close()
  }
}

/** A blob is lost only when every slot gave an answer: a drive that is silent may have what is needed. */
function tooFew(
  { code }: Blob,
  { slots }: BlobCheck,
  { sources, good }: { sources: ShardSources; good: number },
): Mended {
  const silent = sources.silent.size
  const mayHave = slots.some((health) => health === 'unreachable' || health === 'awaited')
  if (silent > 0 || mayHave) return { kind: 'unknown', silent }
  const isRotten = slots.includes('corrupt') || sources.damaged.size > 0
  return {
    ...{ kind: 'unrepairable', good, needed: code.dataCount },
    ...(isRotten ? { isRotten } : {}),
  }
}

/** One blob while it is mended; without any home it is only read whether every stripe could be made. */
class Mending {
  readonly #blob: Blob
  readonly #homes: Map<number, DriveId>
  readonly #description: ShardDescription
  readonly #sources: ShardSources
  readonly #parts: MendParts
  #lanes: Lane[] = []

  constructor(
    blob: Blob,
    plan: { homes: Map<number, DriveId>; description: ShardDescription; sources: ShardSources },
    parts: MendParts,
  ) {
    this.#blob = blob
    this.#homes = plan.homes
    this.#description = plan.description
    this.#sources = plan.sources
    this.#parts = parts
  }

  async run(): Promise<Mended> {
    const stripe = await this.#parts.codec.acquire()
    try {
      await this.#begin()
      const short = await this.#mendStripes(stripe)
      if (short !== undefined) return short
      await this.#eachLane((lane) => lane.writer!.commit())
      await this.#eachLane((lane) => this.#verify(lane))
      const mended = new Map(this.#live().map(({ slot, driveId }) => [slot, driveId]))
      const failed = this.#lanes.length - mended.size
      this.#lanes = []
      return { kind: 'done', mended, failed, damaged: [...this.#sources.damaged] }
    } finally {
      await Promise.allSettled(this.#live().map((lane) => lane.writer!.abort()))
      stripe.release()
    }
  }

  async #begin(): Promise<void> {
    this.#lanes = [...this.#homes].map(([slot, driveId]): Lane => {
      const description = { ...this.#description, id: { ...this.#description.id, slot } }
      return { slot, driveId, description, writer: undefined, sum: 0n }
    })
    const begun = this.#lanes.map(async (lane) => {
      lane.writer = await this.#parts.node.beginShard(lane.driveId, lane.description, 'move')
    })
    this.#judge(this.#lanes, await Promise.allSettled(begun))
  }

  /** Undefined when every stripe could be made. */
  async #mendStripes(stripe: Stripe): Promise<Mended | undefined> {
    const needed = this.#blob.code.dataCount
    const spare = Buffer.allocUnsafe(this.#description.cellBytes)
    for (let index = 0; index < cellCountOf(this.#description); index += 1) {
      await this.#parts.pace()
      if (this.#lanes.length > 0 && this.#live().length === 0) return undefined
      const cellBytes = cellLengthOf(this.#description, index)
      const good = await this.#sources.gather({ index, cellBytes, cells: stripe.cells })
      if (good.length < needed) return { kind: 'unrepairable', good: good.length, needed }
      if (this.#lanes.length === 0) continue
      this.#makeCells(stripe, cellBytes, good, spare)
      await this.#eachLane((lane) => this.#write(lane, stripe.cells[lane.slot]!, cellBytes))
    }
    return undefined
  }

  /** Computes the cells that are wanted, and from each of them, in place of one that was read, that one again. */
  #makeCells(stripe: Stripe, cellBytes: number, good: readonly number[], spare: Buffer): void {
    const { codec } = this.#parts
    const { code, uid } = this.#blob
    const wanted = this.#live().flatMap(({ slot }) => (good.includes(slot) ? [] : [slot]))
    codec.reconstruct(code, stripe, cellBytes, good, wanted)
    const [witness, ...others] = good
    const cell = stripe.cells[witness!]!.subarray(0, cellBytes)
    spare.set(cell)
    for (const slot of wanted) {
      codec.reconstruct(code, stripe, cellBytes, [...others, slot], [witness!])
      if (spare.compare(cell, 0, cellBytes, 0, cellBytes) === 0) continue
      throw new MendedWrong(
        `blob ${uid}: the cell of slot ${slot} does not give slot ${witness} back`,
      )
    }
  }

  async #write(lane: Lane, cell: Uint8Array, cellBytes: number): Promise<void> {
    const bytes = cell.subarray(0, cellBytes)
    lane.sum = addToSum(bytes, lane.sum)
    await lane.writer!.write(bytes)
    this.#parts.countWritten(cellBytes)
  }

  /** Only what is on its drive is counted on. */
  async #verify(lane: Lane): Promise<void> {
    const { driveId, description } = lane
    if ((await sumOfShard(driveId, description, this.#parts)) === lane.sum) return
    this.#parts.log.warn(
      { driveId, id: description.id },
      'a shard that was made again is not read back as it was written',
    )
    lane.writer = undefined
  }

  #live(): Lane[] {
    return this.#lanes.filter(({ writer }) => writer !== undefined)
  }

  async #eachLane(step: (lane: Lane) => Promise<void>): Promise<void> {
    const lanes = this.#live()
    this.#judge(lanes, await Promise.allSettled(lanes.map(step)))
  }

  /** A drive that gives trouble loses its lane; anything else is thrown when all are done. */
  #judge(lanes: readonly Lane[], results: readonly PromiseSettledResult<void>[]): void {
    results.forEach((result, at) => {
      if (result.status === 'fulfilled') return
      if (!(result.reason instanceof DriveUnavailable)) throw result.reason
      const lane = lanes[at]!
      const { driveId, description, writer } = lane
      lane.writer = undefined
      void writer?.abort().catch(() => undefined) // The drive fails, and what it has of this is a draft.
      this.#parts.log.warn(
        { driveId, id: description.id, error: String(result.reason) },
        'a shard could not be made again: its drive gives trouble',
      )
    })
  }
}
