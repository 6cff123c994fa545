// When which pass over all blobs begins. Pure but for what it remembers: it is told the time.
import { shardCount } from '../../kit/erasure-code.ts'
import type { ClusterMap } from '../../placement/cluster-map.ts'
import { hasNodes } from '../../placement/failure-domains.ts'
import type { BlobWalk, PassKind } from './blob-walk.ts'

/** Times of the schedule. */
export interface ScheduleOptions {
  /** A whole scrub takes as long, if there is time for it. */
  scrubPeriodMs: number
  /** A drive that went out may come back: so long its shards are not made again, if there is redundancy enough. */
  outDelayMs: number
  /** The same with only one more drive to lose: what has nothing left to lose is mended at once all the same. */
  urgentDelayMs: number
  /** What a pass could not settle is looked at again after this time. */
  againMs: number
}

/** Redundancy that is left at which it is looked at once for what has none, and drives are awaited for moments only. */
const LEAST_REDUNDANCY = 1

/** Decides what begins next. */
export class PassSchedule {
  readonly #options: ScheduleOptions
  #map: ClusterMap
  /** Since when drives are out, as far as this process knows. */
  #outSinceMs: ReadonlyMap<number, number>
  /** Drives that are out and that somebody said not to wait for. */
  #givenUp: ReadonlySet<number> = new Set()
  #checkDueMs: number
  #scrubDueMs: number
  /** Grows whenever something makes earlier passes say too little. */
  #disturbances = 0

  /** The first check is due at once: nobody knows what happened while the store was stopped. */
  constructor(options: ScheduleOptions, map: ClusterMap, nowMs: number) {
    this.#options = options
    this.#map = map
    this.#outSinceMs = new Map([...drivesOut(map)].map((id) => [id, nowMs]))
    this.#checkDueMs = nowMs
    this.#scrubDueMs = nowMs
  }

  /** How often something happened so far that a pass under way can not vouch for. */
  get disturbances(): number {
    return this.#disturbances
  }

  /** What passes so far say is too little now. */
  disturb(nowMs: number): void {
    this.#disturbances += 1
    this.wantCheck(nowMs)
  }

  /** Takes note of a decision of the coordinator. */
  mapChanged(map: ClusterMap, nowMs: number): void {
    const out = drivesOut(map)
    const before = this.#outSinceMs
    const isBack = [...before.keys()].some((id) => !out.has(id))
    const wentOut = [...out].some((id) => !before.has(id))
    const gaveUp = countGivenUp(map) > countGivenUp(this.#map)
    this.#map = map
    this.#outSinceMs = new Map([...out].map((id) => [id, before.get(id) ?? nowMs]))
    this.#givenUp = new Set([...this.#givenUp].filter((id) => out.has(id)))
    if (!isBack && !wentOut && !gaveUp) return
    this.#disturbances += 1
    const isUrgent = isBack || gaveUp || redundancyLeft(map) <= LEAST_REDUNDANCY
    this.wantCheck(isUrgent ? nowMs : nowMs + this.#options.outDelayMs)
  }

  /**
   * Drives that are out for so short a time that they may come back, while there is redundancy enough to wait. Nobody
   * waits for one that is to be emptied, was replaced, or is not to be waited for.
   */
  awaited(nowMs: number): ReadonlySet<number> {
    const delayMs = this.#delayMs()
    const awaited = [...this.#outSinceMs].filter(([, sinceMs]) => nowMs < sinceMs + delayMs)
    const leaving = this.#map.drives.filter(({ isLeaving }) => isLeaving)
    const isLeaving = (id: number): boolean => leaving.some((drive) => drive.id === id)
    const isLost = (id: number): boolean => this.#givenUp.has(id) || isLeaving(id)
    return new Set(awaited.map(([id]) => id).filter((id) => !isLost(id)))
  }

  /** Somebody wants the store whole now: no drive that is out is waited for, and what is on them is looked for. */
  waitForNone(nowMs: number): void {
    if (this.awaited(nowMs).size > 0) this.wantCheck(nowMs)
    this.#givenUp = new Set(this.#outSinceMs.keys())
  }

  /** A check is to begin at this time, if none begins earlier. */
  wantCheck(atMs: number): void {
    this.#checkDueMs = Math.min(this.#checkDueMs, atMs)
  }

  /** A scrub is to begin at this time, if none begins earlier. */
  wantScrub(atMs: number): void {
    this.#scrubDueMs = Math.min(this.#scrubDueMs, atMs)
  }

  /** The first scrub is not due before: another process ended one. */
  putOffScrub(untilMs: number): void {
    this.#scrubDueMs = untilMs
  }

  /** Which pass is to begin now. */
  next(nowMs: number): PassKind | undefined {
    if (this.#checkDueMs <= nowMs) return 'check'
    return this.#scrubDueMs <= nowMs ? 'scrub' : undefined
  }

  /** A pass begins: the next of its kind is not due before something asks for it. */
  began(kind: PassKind, nowMs: number): void {
    if (kind === 'scrub') {
      this.#scrubDueMs = nowMs + this.#options.scrubPeriodMs
      return
    }
    this.#checkDueMs = Number.POSITIVE_INFINITY
    this.#checkWhenAwaited(nowMs)
  }

  /** A pass came to its end: what it mended is believed only when another one finds all of it. */
  ended({ kind, counts }: BlobWalk, nowMs: number): void {
    const { mendedShards, unsettled } = counts
    this.#checkWhenAwaited(nowMs)
    if (unsettled > 0) this.wantCheck(nowMs + this.#options.againMs)
    else if (mendedShards > 0 && kind === 'check') this.wantCheck(nowMs)
  }

  /** What a check leaves for drives that are awaited is looked at again when the wait is over, however long the check takes. */
  #checkWhenAwaited(nowMs: number): void {
    const delayMs = this.#delayMs()
    for (const id of this.awaited(nowMs)) this.wantCheck(this.#outSinceMs.get(id)! + delayMs)
  }

  /** How long a drive is awaited that goes out. */
  #delayMs(): number {
    const left = redundancyLeft(this.#map)
    if (left <= 0) return 0
    const { outDelayMs, urgentDelayMs } = this.#options
    return left <= LEAST_REDUNDANCY ? Math.min(urgentDelayMs, outDelayMs) : outDelayMs
  }
}

/** How many more drives any blob of the usual code can lose. */
export function redundancyLeft(map: ClusterMap): number {
  if (hasNodes(map.drives)) return redundancyOfRows(map)
  const lost = map.drives.filter(({ state, isVacated }) => state === 'out' && !isVacated)
  return map.code.parityCount - lost.length
}

// Asked for at every step, of a map that stays the same.
const leftOf = new WeakMap<ClusterMap, number>()

/** Of many drives, a blob has a few: the row that lost most counts. */
function redundancyOfRows(map: ClusterMap): number {
  const known = leftOf.get(map)
  if (known !== undefined) return known
  const out = drivesOut(map)
  const width = shardCount(map.code)
  const lost = map.slots.map((row) => row.slice(0, width).filter((id) => out.has(id)).length)
  const left = map.code.parityCount - Math.max(0, ...lost)
  leftOf.set(map, left)
  return left
}

/** Drives that are out and are not waited for. */
function countGivenUp({ drives }: ClusterMap): number {
  return drives.filter(({ state, isLeaving }) => state === 'out' && isLeaving).length
}

function drivesOut({ drives }: ClusterMap): Set<number> {
  return new Set(drives.filter(({ state }) => state === 'out').map(({ id }) => id))
}
