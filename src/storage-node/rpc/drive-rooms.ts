// What drives of another node said of their room a moment ago. A look, no promise: whoever counts on it hears otherwise later.
import type { World } from '../../kit/world.ts'
import type { DriveId } from '../contract.ts'

// A drive looks at its file system every 2 s.
const REFUSED_MS = 2_000

// While shards come quickly one after the other none of them is asked for first. Short: a write that finds its drive full or gone only
// when its bytes are there can not go to another one.
const TAKEN_MS = 250

type Use = 'data' | 'move'

interface Said {
  shardBytes: number
  untilMs: number
}

/** Remembers for a moment what was refused and what was taken. At most two of each for each drive. */
export class DriveRooms {
  readonly #world: Pick<World, 'clock'>
  readonly #refused = new Map<string, Said>()
  readonly #taken = new Map<string, Said>()

  constructor(world: Pick<World, 'clock'>) {
    this.#world = world
  }

  /** The drive had no room for a shard of so many bytes. */
  noteFull(driveId: DriveId, shardBytes: number, use: Use): void {
    const untilMs = this.#world.clock.monotonicMs() + REFUSED_MS
    const name = nameUse(driveId, use)
    const known = this.#believed(this.#refused, name)
    const least = Math.min(shardBytes, known?.shardBytes ?? shardBytes)
    this.#refused.set(name, { shardBytes: least, untilMs })
  }

  /** A shard of so many bytes was taken. */
  noteTaken(driveId: DriveId, shardBytes: number, use: Use): void {
    const untilMs = this.#world.clock.monotonicMs() + TAKEN_MS
    const name = nameUse(driveId, use)
    const known = this.#believed(this.#taken, name)
    // What was said of a larger one holds for as long as it was said.
    if (known !== undefined && known.shardBytes > shardBytes) return
    this.#taken.set(name, { shardBytes, untilMs })
  }

  /** Something went wrong with the drive, or on the way to it: nothing is taken for granted any more. */
  doubt(driveId: DriveId): void {
    for (const use of ['data', 'move'] as const) this.#taken.delete(nameUse(driveId, use))
  }

  /** False where a shard that was no larger was refused just now. */
  seemsToFit(driveId: DriveId, shardBytes: number, use: Use): boolean {
    const known = this.#believed(this.#refused, nameUse(driveId, use))
    return known === undefined || shardBytes < known.shardBytes
  }

  /** True where a shard that was no smaller was taken just now, and nothing went wrong since. */
  surelyFits(driveId: DriveId, shardBytes: number, use: Use): boolean {
    const known = this.#believed(this.#taken, nameUse(driveId, use))
    return known !== undefined && shardBytes <= known.shardBytes
  }

  #believed(said: Map<string, Said>, name: string): Said | undefined {
    const known = said.get(name)
    if (known === undefined || known.untilMs > this.#world.clock.monotonicMs()) return known
    said.delete(name)
    return undefined
  }
}

function nameUse(driveId: DriveId, use: Use): string {
  return `${driveId} ${use}`
}
