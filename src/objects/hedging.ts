// Reads that need not wait: a cell that is late is made from parity instead, within a budget; a drive that is suspect
// is not even asked where others can give the bytes.
import type { Clock } from '../kit/world.ts'
import type { DriveAdvice, DriveId } from '../storage-node/contract.ts'
import { LateWatch, type Waiting } from './late-watch.ts'

/** A read of one cell under way; true when the cell is there, checked. */
export interface CellUnderWay {
  driveId: DriveId
  /** undefined where the drive was not asked, because it is suspect. */
  read: Promise<boolean> | undefined
  /** It was waited for already, for as long as is usual. */
  isLate?: boolean
}

/** A read from a drive; true when all that it gave is good. */
interface DriveRead {
  driveId: DriveId
  read: Promise<boolean>
}

/** How a read stands once nobody waits for it any more. */
export type CellOutcome = 'good' | 'lost' | 'late'

/** What became of hedging so far, for metrics. */
export interface HedgeCounts {
  /** Slices that were made from parity because a cell was late; of those, the ones that were there first. */
  issued: number
  won: number
  /** Late, but the budget was used up. */
  refused: number
  /** Because a drive was suspect: these need no budget. */
  bypassed: number
}

// Five in a hundred reads, and a few at once after a quiet time.
const BUDGET_SHARE = 0.05
const BUDGET_MOST = 16

/** Nobody knows anything of the drives. */
export const NO_ADVICE: DriveAdvice = {
  isSuspect: () => false,
  lateAfterMs: () => 60_000,
  onSuspect: () => () => {},
}

/** Reads that are waited for together. A class, for every read of a client makes one. */
class Group implements Waiting {
  atMs = 0
  place = -1
  onLate: () => void = () => {}
  isOver = false
  readonly #runs: readonly DriveRead[]
  readonly #watch: LateWatch
  readonly #resolve: (outcome: CellOutcome) => void
  #left: number
  #isGood = true

  constructor(
    runs: readonly DriveRead[],
    watch: LateWatch,
    resolve: (outcome: CellOutcome) => void,
  ) {
    this.#runs = runs
    this.#watch = watch
    this.#resolve = resolve
    this.#left = runs.length
  }

  isOn(driveId: DriveId): boolean {
    return this.#runs.some((run) => run.driveId === driveId)
  }

  /** One more ended; how all of them did, with the last one. */
  note(isGood: boolean): CellOutcome | undefined {
    this.#isGood &&= isGood
    this.#left -= 1
    if (this.#left > 0 || this.isOver) return undefined
    const outcome = this.#isGood ? 'good' : 'lost'
    this.end(outcome)
    return outcome
  }

  end(outcome: CellOutcome): void {
    if (this.isOver) return
    this.isOver = true
    this.#watch.remove(this)
    this.#resolve(outcome)
  }
}

/** Decides which reads are waited for. */
export class Hedging {
  readonly counts: HedgeCounts = { issued: 0, won: 0, refused: 0, bypassed: 0 }
  readonly #advice: DriveAdvice
  readonly #watch: LateWatch
  /** Drives whose suspicion is heard of here, once for all groups. */
  readonly #heardOf = new Set<DriveId>()
  #budget = BUDGET_MOST

  constructor(advice: DriveAdvice, clock: Pick<Clock, 'sleep' | 'monotonicMs'>) {
    this.#advice = advice
    this.#watch = new LateWatch(clock)
  }

  isSuspect(driveId: DriveId): boolean {
    return this.#advice.isSuspect(driveId)
  }

  /**
   * How reads end that nobody hedges one by one: all of them good, one of them not, or before that one is later than is usual
   * for its drive or its drive suspect. All good, they count as `slices` reads; else those count that take their place.
   */
  together(runs: readonly DriveRead[], slices: number): Promise<CellOutcome> {
    return new Promise((resolve, reject) => {
      const group = new Group(runs, this.#watch, resolve)
      const onRead = (isOneGood: boolean): void => {
        if (group.note(isOneGood) === 'good')
          this.#budget = Math.min(BUDGET_MOST, this.#budget + slices * BUDGET_SHARE)
      }
      const onError = (error: unknown): void => {
        this.#watch.remove(group)
        reject(error)
      }
      let lateMs = 0
      for (const { driveId, read } of runs) {
        read.then(onRead, onError)
        if (this.isSuspect(driveId)) group.end('late')
        this.#hearOf(driveId)
        lateMs = Math.max(lateMs, this.#advice.lateAfterMs(driveId))
      }
      group.onLate = () => {
        if (this.#hasBudget()) group.end('late')
        else this.#watch.add(group, Number.POSITIVE_INFINITY) // Its drives may become suspect.
      }
      if (!group.isOver) this.#watch.add(group, lateMs)
    })
  }

  #hearOf(driveId: DriveId): void {
    if (this.#heardOf.has(driveId)) return
    this.#heardOf.add(driveId)
    this.#advice.onSuspect(driveId, () => {
      for (const waiting of this.#watch.waiting())
        if (waiting instanceof Group && waiting.isOn(driveId)) waiting.end('late')
    })
  }

  /** How the reads of one slice end, where late ones can be done without: all of them, or those that were in time. */
  async inTime(cells: readonly CellUnderWay[]): Promise<CellOutcome[]> {
    const settled = this.unlessSuspect(cells)
    const isBypassed = cells.some(({ read }) => read === undefined)
    const outcomes: CellOutcome[] = cells.map(() => 'late')
    const noted = settled.map(async (cell, at) => {
      outcomes[at] = await cell
    })
    const all = Promise.all(noted)
    all.catch(() => {}) // Who goes on without a late one does not care how it ends.
    this.#budget = Math.min(BUDGET_MOST, this.#budget + BUDGET_SHARE)
    if (!(await this.#isLate(all, cells)) || !this.#takeBudget()) await all
    if (isBypassed || outcomes.some((outcome) => outcome === 'late')) this.#countLate(cells)
    return [...outcomes]
  }

  /** How reads end where nobody waits for drives that are or become suspect. */
  unlessSuspect(cells: readonly CellUnderWay[]): Promise<CellOutcome>[] {
    return cells.map(async ({ driveId, read }) => {
      if (read === undefined) return 'late'
      const suspected = this.#whenSuspect(driveId)
      try {
        const isGood = await Promise.race([read, suspected.happens])
        if (isGood === 'late') return 'late'
        return isGood ? 'good' : 'lost'
      } finally {
        suspected.forget()
      }
    })
  }

  /** A stripe that was made from parity because a cell was late was there first. */
  noteWon(): void {
    this.counts.won += 1
  }

  /** So many slices are made from parity because a drive was suspect. */
  noteBypassed(slices: number): void {
    this.counts.bypassed += slices
  }

  #countLate(cells: readonly CellUnderWay[]): void {
    if (cells.some(({ driveId }) => this.isSuspect(driveId))) this.counts.bypassed += 1
    else this.counts.issued += 1
  }

  /** True when the reads take longer than is usual for their drives. */
  #isLate(all: Promise<unknown>, cells: readonly CellUnderWay[]): Promise<boolean> {
    const isKnown = cells.some(({ isLate }) => isLate === true)
    const lateMs = Math.max(...cells.map(({ driveId }) => this.#advice.lateAfterMs(driveId)))
    return new Promise((resolve, reject) => {
      const forget = this.#watch.in(isKnown ? 0 : lateMs, () => resolve(true))
      const ended = (): void => {
        forget()
        resolve(false)
      }
      all.then(ended, (error) => {
        forget()
        reject(error)
      })
    })
  }

  #takeBudget(): boolean {
    if (!this.#hasBudget()) return false
    this.#budget -= 1
    return true
  }

  #hasBudget(): boolean {
    if (this.#budget >= 1) return true
    this.counts.refused += 1
    return false
  }

  #whenSuspect(driveId: DriveId): { happens: Promise<'late'>; forget: () => void } {
    let forget = (): void => {}
    const happens = new Promise<'late'>((resolve) => {
      forget = this.#advice.onSuspect(driveId, () => resolve('late'))
    })
    return { happens, forget }
  }
}
