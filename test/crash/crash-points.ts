// Power losses all along a run, without a run for each: at every operation of the disk a copy of the machine is made
// as a crash just then would leave it.
import type { DiskOperation } from './forgetful-disk.ts'
import type { ForgetfulMachine } from './forgetful-machine.ts'
import { type NamedSurvival, SURVIVALS } from './survivals.ts'

/** A machine after a power loss, and what was known when the power went off. */
export interface CrashPoint<Known> {
  /** Where it was and what it left, for people. */
  at: string
  /** Another one for every point of a run. */
  seed: number
  machine: ForgetfulMachine
  known: Known
}

export interface CrashPlan<Known> {
  seed: number
  /** Copies what is known just now: what was acknowledged, what is in doubt. */
  known(): Known
  /** Every way to lose power at each operation. Otherwise: one of them, and nothing whenever a sync came before. */
  dense: boolean
  /** Of the points found so, one in so many is kept, from seed to seed another one. */
  stride?: number
}

/** Watches a machine until stop(): in each of its changing operations the power might go off. */
export class CrashPoints<Known> {
  readonly points: CrashPoint<Known>[] = []
  readonly #machine: ForgetfulMachine
  readonly #plan: CrashPlan<Known>
  #synced = true
  #turn = 0
  #seen = 0

  constructor(machine: ForgetfulMachine, plan: CrashPlan<Known>) {
    this.#machine = machine
    this.#plan = plan
    this.#turn = plan.seed
    machine.disk.fault = (operation) => {
      if (operation.kind !== 'read') this.#note(operation)
      return undefined
    }
  }

  /** A moment between operations, when something was acknowledged and nothing else was begun. */
  pause(what: string): void {
    this.#take(what)
    this.#synced = false
  }

  stop(): void {
    this.#machine.disk.fault = () => undefined
  }

  /** What lies before an operation: all that came before it is done, and nobody may have heard of the last. */
  #note({ kind, path }: DiskOperation): void {
    this.#take(`${this.#machine.disk.operations} ${kind} ${path}`)
    // A write is how a LevelDB shows here, and it may be a synced one.
    this.#synced = kind === 'sync' || kind === 'sync-directory' || path.endsWith('.db')
  }

  #take(at: string): void {
    for (const survival of this.#choose()) {
      this.#seen += 1
      if ((this.#seen + this.#plan.seed) % (this.#plan.stride ?? 1) !== 0) continue
      const seed = this.#plan.seed * 10_007 + this.#seen
      const machine = this.#machine.crash(survival.of(seed), seed)
      const known = this.#plan.known()
      this.points.push({ at: `${at}, ${survival.name} survives`, seed, machine, known })
    }
  }

  #choose(): readonly NamedSurvival[] {
    if (this.#plan.dense) return SURVIVALS
    const [nothing, ...others] = SURVIVALS
    this.#turn += 1
    const other = others[this.#turn % others.length]!
    return this.#synced ? [nothing!, other] : [other]
  }
}
