// Makes the rows of a replica anew from those of another one, beside the old ones and while both go on: what the log brings
// meanwhile is applied to both. Log and promises stay, so the replica counts all the time.
import type { LogPosition } from '../../metadata/log/contract.ts'
import { decodeBatch, type LogEntry } from '../../metadata/log/entry.ts'
import { positionOf } from '../../metadata/replication/log-tail.ts'
import type { RowsPage } from './contract.ts'
import { type Copied, copyRows } from './copy-rows.ts'
import type { ReplicaDrive } from './replica-drive.ts'
import type { ReplicaJournal } from './replica-journal.ts'
import type { RowsQueue } from './rows-queue.ts'

/** The replica, as far as its rows go. */
export interface RenewedReplica {
  incarnation: string
  drive: Pick<ReplicaDrive, 'takeSlot' | 'freeSlot' | 'apply' | 'appliedIn' | 'mark'>
  clock: Parameters<typeof copyRows>[2]['clock']
  journal: Pick<ReplicaJournal, 'state' | 'write'>
  rows: RowsQueue
  slot: () => number
  /** Whether nobody relies on what the rows are now. */
  mayMove: () => boolean
  /** The rows are in this slot from now on. */
  moveTo: (slot: number, position: LogPosition) => void
  ended: AbortSignal
}

/** More than this is not remembered while rows are copied: it is given up then, and tried again. */
const REMEMBERED_BYTES = 32 * 1024 * 1024

// A replica that does not come so far in this time lacks more than rows.
const REACH_MS = 60_000

/** One renewal: it is told of every entry that is applied to the old rows. */
export class RowsRenewal {
  readonly #replica: RenewedReplica
  readonly #slot: number
  #entries: LogEntry[] = []
  #bytes = 0
  /** Aborts when there is no use in going on. */
  readonly #givingUp = new AbortController()
  /** The new rows may be those that a start finds. */
  #isKept = false

  constructor(replica: RenewedReplica) {
    this.#replica = replica
    this.#slot = replica.slot()
  }

  /** Entries were applied to the rows. */
  applied(entries: readonly LogEntry[]): void {
    if (this.#givingUp.signal.aborted) return
    for (const entry of entries) {
      this.#entries.push(entry)
      this.#bytes += entry.batch.length
    }
    if (this.#bytes <= REMEMBERED_BYTES) return
    this.#entries = []
    this.#givingUp.abort(new Error('too much was written while rows were copied'))
  }

  /** Copies, catches up and takes the place of the old rows. Throws, and leaves the old ones, when that can not be. */
  async run(pages: AsyncIterable<RowsPage>): Promise<void> {
    const { incarnation, drive, clock, ended } = this.#replica
    const from = drive.appliedIn(this.#slot)
    const signal = AbortSignal.any([ended, this.#givingUp.signal])
    const copied = await copyRows(pages, incarnation, { drive, clock, signal })
    try {
      if (copied.position.sequence < from.sequence) throw new Error('the other rows are older')
      await this.#reach(copied.position.sequence, signal)
      await this.#takePlace(copied)
    } catch (error) {
      if (!this.#isKept) await drive.freeSlot(copied.slot)
      throw error
    }
  }

  /** The old rows come to where the copy is: from there on the same entries lead both on. */
  #reach(sequence: number, over: AbortSignal): Promise<void> {
    const { drive, rows, clock } = this.#replica
    return new Promise((resolve, reject) => {
      const waiting = new AbortController()
      const signal = AbortSignal.any([over, waiting.signal])
      const there = (): void => {
        resolve()
        waiting.abort()
      }
      const late = (): void => reject(new Error('the log did not come to where the copy is'))
      // Aborted: it came, or nobody waits for it.
      clock.sleep(REACH_MS, signal).then(late, () => reject(signal.reason))
      rows.see(() => {
        // The slot may be free by now: nothing is known of it.
        if (!this.#isAlone()) waiting.abort(replacedMeanwhile())
        else if (drive.appliedIn(this.#slot).sequence >= sequence) there()
        else rows.seeAt(sequence, there)
      })
    })
  }

  /** Whether the old rows are those of the replica still, and will be after everything that was asked for. */
  #isAlone(): boolean {
    const { slot, journal } = this.#replica
    return slot() === this.#slot && journal.state.rows.slot === this.#slot
  }

  #takePlace(copied: Copied): Promise<void> {
    const { rows, ended } = this.#replica
    return orEnded(ended, (resolve, reject) =>
      // What fails leaves the old rows as they were: they go on.
      rows.hold(() => this.#takePlaceNow(copied).then(resolve, reject)),
    )
  }

  async #takePlaceNow({ slot, position }: Copied): Promise<void> {
    const { drive, ended } = this.#replica
    ended.throwIfAborted()
    this.#givingUp.signal.throwIfAborted()
    if (!this.#replica.mayMove()) throw new Error('it leads meanwhile')
    if (!this.#isAlone()) throw replacedMeanwhile()
    await this.#catchUp(slot, position.sequence)
    // The log need not have anything before this any more.
    await drive.mark({ force: true })
    const reached = drive.appliedIn(slot)
    // The protocol may have put other rows in place, whose log goes on from there: that is said already, and holds.
    if (!this.#isAlone()) throw replacedMeanwhile()
    this.#isKept = true
    await this.#keep(slot, reached)
    ended.throwIfAborted()
    this.#replica.moveTo(slot, reached)
    await drive.freeSlot(this.#slot)
  }

  async #catchUp(slot: number, copied: number): Promise<void> {
    const { drive } = this.#replica
    const entries = this.#entries.filter(({ sequence }) => sequence > copied)
    const last = entries.at(-1)
    const isWhole = (last?.sequence ?? copied) === drive.appliedIn(this.#slot).sequence
    if (!isWhole) throw new Error('entries between the copy and now are lacking')
    if (last === undefined) return
    const bytes = entries.reduce((sum, { batch }) => sum + batch.length, 0)
    const batches = entries.map(({ batch }) => decodeBatch(batch))
    await drive.apply(slot, { applied: positionOf(last), batches, bytes })
  }

  /** After this a start finds the new rows. */
  #keep(slot: number, position: LogPosition): Promise<void> {
    const { journal, ended } = this.#replica
    const change = { kind: 'rows', copy: 0, position, keepsTail: true } as const
    return orEnded(ended, (resolve) => journal.write([change], () => slot, resolve))
  }
}

function replacedMeanwhile(): Error {
  return new Error('rows were copied for another reason meanwhile')
}

/** What hangs when the replica ends is not waited for. */
function orEnded(
  ended: AbortSignal,
  begin: (resolve: () => void, reject: (error: unknown) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(ended.reason)
    ended.addEventListener('abort', leave, { once: true })
    const over = (): void => ended.removeEventListener('abort', leave)
    if (ended.aborted) leave()
    else
      begin(
        () => {
          over()
          resolve()
        },
        (error) => {
          over()
          reject(error)
        },
      )
  })
}
