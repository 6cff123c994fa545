// Where shards lie that were asked for a short while ago: to ask LevelDB again costs a thread of the pool, and more than the
// read of a small shard itself. Exact: every change of the index passes here before and after it is made.
import type { ShardId } from '../contract.ts'
import type { ShardRow } from './index-rows.ts'

/** About 2 MiB for each drive. */
const PLACES_MAX = 8192

/** What the index said of a shard: no row when it lies in no segment, as large ones do. */
export interface KnownPlace {
  readonly row: ShardRow | undefined
}

/** Rows of shards as they were read. Those that came first leave first. */
export class KnownPlaces {
  readonly #max: number
  readonly #places = new Map<string, KnownPlace>()
  #generation = 0

  constructor(max: number = PLACES_MAX) {
    this.#max = max
  }

  /** Names the state of the index: keep() takes only what was read in the present one. */
  get generation(): number {
    return this.#generation
  }

  /** undefined when nothing is known of it. */
  find(id: ShardId): KnownPlace | undefined {
    return this.#places.get(nameOf(id))
  }

  /** Keeps what a read gave, unless something was changed since `generation`. */
  keep(id: ShardId, row: ShardRow | undefined, generation: number): void {
    if (generation !== this.#generation) return
    this.#places.set(nameOf(id), { row })
    if (this.#places.size <= this.#max) return
    const [oldest] = this.#places.keys()
    if (oldest !== undefined) this.#places.delete(oldest)
  }

  /** Called before a change is begun and after it is made or failed: what is read meanwhile may be either, and is not kept. */
  forget(ids: readonly ShardId[]): void {
    this.#generation += 1
    if (this.#places.size === 0) return
    for (const id of ids) this.#places.delete(nameOf(id))
  }
}

function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid} ${part} ${slot}`
}
