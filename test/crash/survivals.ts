// What a power loss leaves of the things that were not synced, in the ways in which file systems are known to differ.
import { Seeded } from '../support/seeded.ts'
import { EVERYTHING, NOTHING } from './forgetful-machine.ts'
import type { Survival, Unsynced } from './forgetful-node.ts'

/** A way to lose power, by the name that a failing test prints. */
export interface NamedSurvival {
  name: string
  /** Makes the survival of one crash: chance begins anew each time. */
  of(seed: number): Survival
}

/** A journal of names and lengths without the bytes behind them: ext4 with data=writeback, XFS. */
const NAMES_AND_SIZES: Survival = (what) => what === 'name' || what === 'size' || what === 'cut'

/** Bytes reached the platter, the names that lead to them did not. */
const BYTES_ONLY: Survival = (what) => what === 'size' || what === 'bytes'

/** Files have their new length and zeros in it; nothing else happened. */
const SIZES_BEFORE_BYTES: Survival = (what) => what === 'size'

/** All files as they were, and nothing that LevelDB had not synced. */
const ALL_BUT_ROWS: Survival = (what) => what !== 'row'

/** LevelDB got all, the files only what was synced: rows may point at bytes that are not there. */
const ROWS_ONLY: Survival = (what) => what === 'row'

/** Each thing by a coin that may be loaded, another one for each kind of thing. */
export function byLoadedCoins(seed: number): Survival {
  const seeded = new Seeded(seed)
  for (let warm = 0; warm < 4; warm += 1) seeded.below(2)
  const shares = new Map<Unsynced, number>()
  return (what) => {
    const share = shares.get(what) ?? seeded.pick([1, 5, 9])
    shares.set(what, share)
    return seeded.below(10) < share
  }
}

const coins: NamedSurvival = { name: 'some', of: byLoadedCoins }

/** All ways. Those by chance are there more than once: every round of them is another one. */
export const SURVIVALS: readonly NamedSurvival[] = [
  { name: 'nothing', of: () => NOTHING },
  coins,
  { name: 'everything', of: () => EVERYTHING },
  { name: 'names and sizes', of: () => NAMES_AND_SIZES },
  { name: 'some, again', of: (seed) => byLoadedCoins(seed ^ 0x5eed) },
  { name: 'bytes without names', of: () => BYTES_ONLY },
  { name: 'sizes before bytes', of: () => SIZES_BEFORE_BYTES },
  { name: 'all but rows', of: () => ALL_BUT_ROWS },
  { name: 'rows only', of: () => ROWS_ONLY },
]
