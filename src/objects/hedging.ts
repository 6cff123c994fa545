// Reads that need not wait: a cell that is late is made from parity instead, within a budget; a drive that is suspect
// is not even asked where others can give the bytes.
import type { Clock } from '../kit/world.ts'
import type { DriveAdvice, DriveId } from '../storage-node/contract.ts'

/** A read of one cell under way; true when the cell is there, checked. */
export interface CellUnderWay {
  driveId: DriveId
  /** undefined where the drive was not asked, because it is suspect. */
  read: Promise<boolean> | undefined
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

// Five in a hundred reads (storage.md 4.6), and a few at once after a quiet time.
const BUDGET_SHARE = 0.05
const BUDGET_MOST = 16

// One reason for all: to make one with its stack for each read would cost more than the timer.
const IN_TIME = new Error('the reads were in time')

/** Nobody knows anything of the drives. */
export const NO_ADVICE: DriveAdvice = {
  isSuspect: () => false,
  lateAfterMs: () => 60_000,
  onSuspect: () => () => {},
}

/** Decides which reads are waited for. */
export class Hedging {
  readonly counts: HedgeCounts = { issued: 0, won: 0, refused: 0, bypassed: 0 }
  readonly #advice: DriveAdvice
  readonly #clock: Pick<Clock, 'sleep'>
  #budget = BUDGET_MOST

  constructor(advice: DriveAdvice, clock: Pick<Clock, 'sleep'>) {
    this.#advice = advice
    this.#clock = clock
  }

  isSuspect(driveId: DriveId): boolean {
    return this.#advice.isSuspect(driveId)
  }

  /**
   * How reads end that nobody hedges one by one: all of them good, one of them not, or before that one is later than is usual
   * for its drive or its drive suspect. All good, they count as `slices` reads; else those count that take their place.
   */
  async together(
    runs: readonly { driveId: DriveId; read: Promise<boolean> }[],
    slices: number,
  ): Promise<CellOutcome> {
    if (runs.some(({ driveId }) => this.isSuspect(driveId))) return 'late'
    const suspected = runs.map(({ driveId }) => this.#whenSuspect(driveId))
    const all = Promise.all(runs.map(({ read }) => read))
    const isLate = this.#isLate(
      all,
      runs.map(({ driveId }) => driveId),
    )
    try {
      const isOver = isLate.then(async (late) => (late && this.#hasBudget() ? 'late' : await all))
      isOver.catch(() => {}) // Who goes on without a suspect does not care how it ends.
      const end = await Promise.race([isOver, ...suspected.map(({ happens }) => happens)])
      if (end === 'late') return 'late'
      if (!end.every((isGood) => isGood)) return 'lost'
      this.#budget = Math.min(BUDGET_MOST, this.#budget + slices * BUDGET_SHARE)
      return 'good'
    } finally {
      for (const { forget } of suspected) forget()
    }
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
    const drives = cells.map(({ driveId }) => driveId)
    if (!(await this.#isLate(all, drives)) || !this.#takeBudget()) await all
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

  #countLate(cells: readonly CellUnderWay[]): void {
    if (cells.some(({ driveId }) => this.isSuspect(driveId))) this.counts.bypassed += 1
    else this.counts.issued += 1
  }

  /** True when the reads take longer than is usual for their drives. */
  async #isLate(all: Promise<unknown>, drives: readonly DriveId[]): Promise<boolean> {
    const done = new AbortController()
    const lateMs = Math.max(...drives.map((driveId) => this.#advice.lateAfterMs(driveId)))
    const late = this.#clock.sleep(lateMs, done.signal).then(
      () => true,
      () => false, // They were in time.
    )
    try {
      return await Promise.race([all.then(() => false), late])
    } finally {
      done.abort(IN_TIME)
    }
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
