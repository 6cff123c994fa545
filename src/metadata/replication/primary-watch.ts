// Whether somebody else should be primary. Only a hint, by ticks: the coordinator decides, and epochs keep it safe.
import type { LogPosition } from '../log/contract.ts'
import { type Decision, hasOneMajority, type ReplicaId } from './decision.ts'
import type { Limits } from './effects.ts'
import { comparePositions } from './log-tail.ts'

/** What a replica that misses the primary does. */
export type WatchStep =
  | { kind: 'none' }
  /** Ask the other replicas whether they miss it too. */
  | { kind: 'ask' }
  /** A majority of a set that counts misses it: become primary, if the coordinator lets. */
  | { kind: 'take-over' }

/** Counts how long the primary was silent, and who else misses it. */
export class PrimaryWatch {
  readonly #limits: Limits
  readonly #below: (below: number) => number
  #silentTicks = 0
  #patienceTicks: number
  #missedBy = new Map<ReplicaId, LogPosition>()
  #gaveWay = false

  /** `below(n)`: a whole number from 0 to n - 1, by chance. */
  constructor(limits: Limits, below: (below: number) => number) {
    this.#limits = limits
    this.#below = below
    this.#patienceTicks = this.#drawPatience()
  }

  /** Whether the primary is missed here. */
  get misses(): boolean {
    return this.#silentTicks >= this.#limits.suspectTicks
  }

  /** A sign of the primary, or a new one was decided. */
  heard(): void {
    this.#silentTicks = 0
    this.#patienceTicks = this.#drawPatience()
    this.#gaveWay = false
    this.#missedBy.clear()
  }

  /** Another replica misses it, or does not; its log ends at `last`. */
  answered(from: ReplicaId, misses: boolean, last: LogPosition): void {
    if (misses) this.#missedBy.set(from, last)
    else this.#missedBy.delete(from)
  }

  tick(self: ReplicaId, last: LogPosition, decision: Decision): WatchStep {
    this.#silentTicks += 1
    if (this.#silentTicks < this.#patienceTicks) return { kind: 'none' }
    if (!decision.replicas.includes(self)) return { kind: 'none' }
    // During a change either set will do: the primary commits nothing without it, and who takes over can abandon the change.
    const isMissed = hasOneMajority(decision, (id) => id === self || this.#missedBy.has(id))
    if (!isMissed) return { kind: 'ask' }
    if (this.#isOutdone(last)) return this.#giveWay()
    this.#rest(0)
    return { kind: 'take-over' }
  }

  /** Somebody has more of the log, and would be ready sooner. */
  #isOutdone(last: LogPosition): boolean {
    const others = [...this.#missedBy.values()]
    return !this.#gaveWay && others.some((other) => comparePositions(other, last) > 0)
  }

  #giveWay(): WatchStep {
    this.#rest(this.#limits.suspectTicks - this.#limits.decideTicks)
    this.#gaveWay = true
    return { kind: 'none' }
  }

  /** Waits for what becomes of it: still missing the primary, but quiet. */
  #rest(ticks: number): void {
    this.#missedBy.clear()
    this.#patienceTicks =
      this.#silentTicks + this.#limits.decideTicks + Math.max(ticks, 0) + this.#drawJitter()
  }

  #drawPatience(): number {
    return this.#limits.suspectTicks + this.#drawJitter()
  }

  #drawJitter(): number {
    return this.#below(this.#limits.jitterTicks + 1)
  }
}
