// What all parts of a simulated cluster share: time, chance, a trace, and what went wrong.
import type { Seeded } from '../../support/seeded.ts'
import { randomsFor } from '../randoms.ts'
import { Schedule } from './schedule.ts'

/** One tick of a replica whose clock is right. */
export const TICK = 100

/** The world of one seed. */
export class ClusterWorld {
  readonly schedule = new Schedule()
  readonly failures: string[] = []
  readonly log: string[] = []
  readonly seed: number
  readonly #keepsLog: boolean
  #hash = 0x811c9dc5

  constructor(seed: number, keepsLog: boolean) {
    this.seed = seed
    this.#keepsLog = keepsLog
  }

  /** Of everything that was traced. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16)
  }

  random(purpose: string): Seeded {
    return randomsFor(this.seed, purpose)
  }

  trace(line: string): void {
    const { now } = this.schedule
    this.#hash = Math.imul(this.#hash ^ now, 0x01000193)
    for (let at = 0; at < line.length; at += 1) {
      this.#hash = Math.imul(this.#hash ^ line.charCodeAt(at), 0x01000193)
    }
    if (this.#keepsLog) this.log.push(`${now} ${line}`)
  }

  fail(claim: string): void {
    this.trace(`FAILED ${claim}`)
    if (this.failures.length < 5) this.failures.push(`at ${this.schedule.now}: ${claim}`)
  }

  /** An assertion of the shipped code that does not hold is a finding like any other. */
  guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.fail(String(error))
    }
  }
}

/** True once in `in` times. */
export function oneIn(random: Seeded, times: number): boolean {
  return times > 0 && random.below(times) === 0
}
