// Blobs with more shards than drives stay: each is written anew with a code that fits, and what it was before is left
// behind. How that is done is the business of whoever writes blobs; here is when, one at a time for each blob.
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import { whereaboutsOf } from '../../metadata/rows/blob-rows.ts'
import type { Coordinator } from '../../placement/coordinator.ts'
import { codeForAnew } from '../../placement/fit-code.ts'
import type { AnewRequest, DriveId, Rewriter, WrittenAnew } from '../contract.ts'
import type { BlobLatch } from './blob-latch.ts'
import type { WalkedBlob } from './blob-walk.ts'
import type { LeftBehind } from './left-behind.ts'

/** What it needs. */
export interface AnewParts {
  world: Pick<World, 'clock'>
  log: Log
  coordinator: Coordinator
  latch: BlobLatch
  leftBehind: LeftBehind
  pace(): Promise<void>
  /** Ends all work. */
  signal: AbortSignal
  /** A blob was written anew: so many shards of so many bytes together. It was on the drives `from`. */
  countAnew(shards: number, bytes: number, from: readonly DriveId[]): void
}

/** `fitting`: its code fits on the drives that stay, so there is nothing to do here. `failed`: it was said why. */
export type AnewOutcome = WrittenAnew['kind'] | 'fitting' | 'failed'

/** Has blobs written anew. */
export class WritingAnew {
  readonly #parts: AnewParts
  #rewriter: Rewriter | undefined

  constructor(parts: AnewParts) {
    this.#parts = parts
  }

  /** Until this was called no blob is written anew. */
  use(rewriter: Rewriter): void {
    this.#rewriter = rewriter
  }

  /** Writes a blob anew, if its code does not fit any more. Throws when work is to end. */
  async run(walked: WalkedBlob): Promise<AnewOutcome> {
    const { coordinator, latch, signal, log } = this.#parts
    const { blob } = walked.reference
    const rewriter = this.#rewriter
    if (!rewriter || !codeForAnew(coordinator.state.map, blob)) return 'fitting'
    // Nobody moves or mends its shards meanwhile.
    const letGo = latch.tryHold(blob.uid)
    if (letGo === undefined) return 'waiting'
    try {
      return await this.#write(walked, rewriter)
    } catch (error) {
      if (signal.aborted) throw error
      const { uid, part } = blob
      log.warn({ uid, part, error: String(error) }, 'a blob could not be written anew')
      return 'failed'
    } finally {
      letGo()
    }
  }

  async #write({ partition, reference }: WalkedBlob, rewriter: Rewriter): Promise<AnewOutcome> {
    const { coordinator, pace, signal } = this.#parts
    const { rowKey, blob } = reference
    const now = await partition.findBlob({ ...whereaboutsOf(rowKey), rowKey, blob })
    if (!now) return 'gone'
    const code = codeForAnew(coordinator.state.map, now.blob)
    if (!code) return 'fitting'
    const request = { partition, reference: now, code }
    const written = await rewriter.writeAnew(request, pace, signal)
    if (written.kind === 'replaced') this.#note(request, written)
    return written.kind
  }

  #note(
    { partition, reference }: AnewRequest,
    { blob }: Extract<WrittenAnew, { kind: 'replaced' }>,
  ): void {
    const { world, coordinator, leftBehind, countAnew } = this.#parts
    const { uid, part, drives } = reference.blob
    const draining = coordinator.state.map.drives.filter(({ state }) => state === 'draining')
    // Garbage goes by itself. But a drive must not leave while somebody may be reading it there.
    for (const { id: driveId } of draining) {
      const slot = drives.indexOf(driveId)
      const copy = { driveId, id: { uid, part, slot }, partition: partition.id, reference }
      if (slot >= 0) leftBehind.add(copy, world.clock.now())
    }
    const shardBytes = Math.ceil(blob.bytes / blob.code.dataCount)
    countAnew(blob.drives.length, blob.drives.length * shardBytes, drives)
  }
}
