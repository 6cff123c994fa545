// Where shards lie that were asked for a short while ago: to ask LevelDB again costs a thread of the pool, and more than the
// read of a small shard itself. Exact: every change of the index passes here before and after it is made.
import type { ShardId } from '../contract.ts'
import type { ShardRow } from './index-rows.ts'

/** About 2 MiB for each drive. */
const PLACES_MAX = 8192

/** Rows of shards as they were read. Those that came first leave first. */
export class KnownPlaces {
  readonly #max: number
  readonly #rows = new Map<string, ShardRow>()
  #generation = 0

  constructor(max: number = PLACES_MAX) {
    this.#max = max
  }

  /** Names the state of the index: keep() takes only what was read in the present one. */
  get generation(): number {
    return this.#generation
  }

  find(id: ShardId): ShardRow | undefined {
    return this.#rows.get(nameOf(id))
  }

  /** Keeps what a read gave, unless something was changed since `generation`. */
  keep(id: ShardId, row: ShardRow, generation: number): void {
    if (generation !== this.#generation) return
    this.#rows.set(nameOf(id), row)
    if (this.#rows.size <= this.#max) return
    const [oldest] = this.#rows.keys()
    if (oldest !== undefined) this.#rows.delete(oldest)
  }

  /** Called before a change is begun and after it is made or failed: what is read meanwhile may be either, and is not kept. */
  forget(ids: readonly ShardId[]): void {
    this.#generation += 1
    for (const id of ids) this.#rows.delete(nameOf(id))
  }
}

function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid} ${part} ${slot}`
}
