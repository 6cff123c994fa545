// The order in which shards of a drive were made again, so that a deletion which was decided earlier can tell that it is late: it
// may have been on its way for long, and whoever leads by now has the shard there again. In memory only: what another opening
// of the drive gave is too old for everything (docs/decisions/0024-late-deletions.md).
import { asBuffer } from '../kit/bytes.ts'
import type { World } from '../kit/world.ts'
import type { DriveMoment, ShardId } from './contract.ts'

/** A bound on memory: of a moment before the ones that are known nobody knows what was written since. */
const WRITTEN_MAX = 20_000

/** What was written since when, on one drive. */
export class WriteMoments {
  readonly #opening: string
  readonly #max: number
  #count = 0
  /** Of moments before this one it is not known any more. */
  #knownFrom = 0
  /** When each shard was written last, in that order. */
  readonly #written = new Map<string, number>()

  constructor(world: Pick<World, 'random'>, max = WRITTEN_MAX) {
    this.#opening = asBuffer(world.random.bytes(8)).toString('hex')
    this.#max = max
  }

  /** A moment that is behind everything that was noted. */
  now(): DriveMoment {
    return `${this.#opening}.${this.#count}` as DriveMoment
  }

  /** The shard is there again, or about to be. */
  note(id: ShardId): void {
    const name = nameOf(id)
    this.#count += 1
    this.#written.delete(name)
    this.#written.set(name, this.#count)
    const oldest = this.#written.size > this.#max ? this.#written.entries().next().value : undefined
    if (oldest === undefined) return
    this.#written.delete(oldest[0])
    this.#knownFrom = oldest[1]
  }

  /** Whether the shard was certainly not noted since. */
  isUntouched(id: ShardId, since: DriveMoment): boolean {
    const [opening, count] = since.split('.')
    if (opening !== this.#opening || Number(count) < this.#knownFrom) return false
    return (this.#written.get(nameOf(id)) ?? 0) <= Number(count)
  }
}

function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid}.${part}.${slot}`
}
