// Which shards surely have no row in the index: nearly all that are written. To ask LevelDB for them costs a thread of the pool
// for each group of small ones. Uids begin with the time at which they were made, so what is younger than every row is new.
// Exact, whatever clocks say: times of uids are compared with each other and with nothing else.
import { uidTimeMs } from '../../kit/uid.ts'
import type { ShardId } from '../contract.ts'
import { nameOf } from './shard-name.ts'

/** About 1 MiB for each drive. */
const NAMES_MAX = 8192

/** Hears of every shard that has or gets a row. */
export class NewShards {
  readonly #namesMax: number
  /** Every shard with a row is older than this, or among the names. */
  #sinceMs = 0
  readonly #names = new Set<string>()
  /** The youngest of the names. */
  #latestMs = 0

  constructor(namesMax: number = NAMES_MAX) {
    this.#namesMax = namesMax
  }

  /** True when the shard has no row; false says nothing. */
  isNew(id: ShardId, name = nameOf(id)): boolean {
    return uidTimeMs(id.uid) >= this.#sinceMs && !this.#names.has(name)
  }

  /** The shard gets a row, or may have got one. */
  note(id: ShardId, name = nameOf(id)): void {
    const timeMs = uidTimeMs(id.uid)
    if (timeMs < this.#sinceMs) return
    this.#names.add(name)
    this.#latestMs = Math.max(this.#latestMs, timeMs)
    if (this.#names.size <= this.#namesMax) return
    this.#sinceMs = this.#latestMs + 1
    this.#names.clear()
  }

  /** The shard has a row that is not of now: it and all that are older are no new ones. */
  noteOld(id: ShardId): void {
    this.#sinceMs = Math.max(this.#sinceMs, uidTimeMs(id.uid) + 1)
  }
}
