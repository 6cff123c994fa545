// Copies of another replica's rows, each in a slot of its own until the log says that it takes the place of the rows, or that it does not.
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import type { ReplicaId } from '../../metadata/replication/decision.ts'
import type { RowsPage } from './contract.ts'
import { copyRows } from './copy-rows.ts'
import type { ReplicaDrive } from './replica-drive.ts'

interface RowCopiesParts {
  partition: number
  incarnation: string
  drive: ReplicaDrive
  clock: World['clock']
  log: Log
  ended: AbortSignal
  pages: (source: ReplicaId, signal: AbortSignal) => AsyncIterable<RowsPage>
  /** A copy is there, as of this position, or could not be made. */
  onCopied: (position: LogPosition | undefined, copy: number) => void
  /** Slot of the rows that the log names. */
  namedSlot: () => number
}

/** The copies of one replica, by number. */
export class RowCopies {
  readonly #parts: RowCopiesParts
  /** Slots of those that were made and not yet put in place. */
  readonly #slots = new Map<number, number>()
  #last = 0

  constructor(parts: RowCopiesParts) {
    this.#parts = parts
  }

  /** Copies the rows of `source`, and tells what came of it. A copy that is not wanted any more leaves nothing. */
  async make(source: ReplicaId): Promise<void> {
    const { partition, incarnation, drive, clock, log, ended, pages, onCopied } = this.#parts
    this.#last += 1
    const copy = this.#last
    const where = { partition, source }
    log.info(where, 'rows of a metadata partition are copied')
    try {
      const parts = { drive, clock, signal: ended }
      const copied = await copyRows(pages(source, ended), incarnation, parts)
      this.#slots.set(copy, copied.slot)
      onCopied(copied.position, copy)
      if (this.#parts.namedSlot() !== copied.slot) await drive.freeSlot(this.take(copy))
    } catch (error) {
      log.warn({ ...where, error: String(error) }, 'rows of a metadata partition were not copied')
      onCopied(undefined, copy)
    }
  }

  /** The slot of a copy that was made. */
  slotOf(copy: number): number {
    return this.#slots.get(copy)!
  }

  /** The same, and from now on it is no copy: it takes the place of the rows, or is given back. */
  take(copy: number): number {
    const slot = this.slotOf(copy)
    this.#slots.delete(copy)
    return slot
  }
}
