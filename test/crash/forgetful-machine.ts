// A machine that can lose its power: forgetful disk and LevelDBs, a clock moved by hand, random from a seed.
import type { Clock, Random, World } from '../../src/kit/world.ts'
import { Seeded } from '../support/seeded.ts'
import { ForgetfulDisk, type ForgetfulDiskOptions } from './forgetful-disk.ts'
import { ForgetfulLevels } from './forgetful-level.ts'
import type { Survival } from './forgetful-node.ts'

/** Nothing that was not synced survives. */
export const NOTHING: Survival = () => false

/** Everything survives, as when only the process was killed. */
export const EVERYTHING: Survival = () => true

/** Each thing survives or not, by a seed. */
export function byChance(seed: number): Survival {
  const seeded = new Seeded(seed)
  return () => seeded.below(2) === 0
}

/** A clock that stands still until it is moved. Nobody who sleeps wakes up. */
export class HandClock implements Clock {
  nowMs = 1_700_000_000_000

  now(): number {
    return this.nowMs
  }

  monotonicMs(): number {
    return this.nowMs
  }

  sleep(): Promise<void> {
    return new Promise(() => {})
  }
}

/** Nothing here speaks to other servers. */
const NO_NETWORK: World['http'] = {
  send: () => Promise.reject(new Error('this machine has no network')),
  lines: () => Promise.reject(new Error('this machine has no network')),
}

/** One machine from power on to power off. */
export class ForgetfulMachine {
  readonly disk: ForgetfulDisk
  readonly levels: ForgetfulLevels
  readonly clock = new HandClock()
  readonly world: World

  constructor(
    seed: number,
    options: { disk?: ForgetfulDiskOptions; found?: [ForgetfulDisk, ForgetfulLevels] } = {},
  ) {
    this.disk = options.found?.[0] ?? new ForgetfulDisk(options.disk)
    this.levels = options.found?.[1] ?? new ForgetfulLevels(this.disk)
    const seeded = new Seeded(seed)
    const random: Random = { bytes: (count) => seeded.bytes(count) }
    this.world = { clock: this.clock, random, disk: this.disk, http: NO_NETWORK }
  }

  /** The machine after a crash and a new start. */
  crash(survives: Survival, seed: number): ForgetfulMachine {
    const disk = this.disk.crash(survives)
    return new ForgetfulMachine(seed, { found: [disk, this.levels.crash(disk, survives)] })
  }
}
