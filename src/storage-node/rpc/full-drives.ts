// Drives of another node that said that they are full. A look, no promise: what is known is a moment old.
import type { World } from '../../kit/world.ts'
import type { DriveId } from '../contract.ts'

// A drive looks at its file system every 2 s.
const BELIEVED_MS = 2_000

/** Remembers refusals for a moment. At most two for each drive. */
export class FullDrives {
  readonly #world: Pick<World, 'clock'>
  readonly #refused = new Map<string, { shardBytes: number; untilMs: number }>()

  constructor(world: Pick<World, 'clock'>) {
    this.#world = world
  }

  /** The drive had no room for a shard of so many bytes. */
  note(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): void {
    const untilMs = this.#world.clock.monotonicMs() + BELIEVED_MS
    const name = nameUse(driveId, use)
    const known = this.#believed(name)
    const least = Math.min(shardBytes, known?.shardBytes ?? shardBytes)
    this.#refused.set(name, { shardBytes: least, untilMs })
  }

  /** False where a shard that was no larger was refused just now. */
  seemsToFit(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): boolean {
    const known = this.#believed(nameUse(driveId, use))
    return known === undefined || shardBytes < known.shardBytes
  }

  #believed(name: string): { shardBytes: number } | undefined {
    const known = this.#refused.get(name)
    if (known === undefined || known.untilMs > this.#world.clock.monotonicMs()) return known
    this.#refused.delete(name)
    return undefined
  }
}

function nameUse(driveId: DriveId, use: 'data' | 'move'): string {
  return `${driveId} ${use}`
}
