// Which drives have room for a dump: those that take shards that are moved, once the dump is there, too.
// Why: docs/decisions/0011-how-full-a-drive-gets.md.
import type { DiskSpace, World } from '../../kit/world.ts'
import { isWorse, levelOf } from '../space/levels.ts'
import type { DumpDrive } from './dump-files.ts'

/** What drives said last, and how long dumps are. */
export class DumpRoom {
  readonly #world: Pick<World, 'disk'>
  #spaces = new Map<DumpDrive, DiskSpace>()
  /** Of the last dump of each partition, as far as it came. */
  readonly #bytes = new Map<number, number>()

  constructor(world: Pick<World, 'disk'>) {
    this.#world = world
  }

  /** Asks these drives. */
  async look(drives: readonly DumpDrive[]): Promise<void> {
    const spaces = new Map<DumpDrive, DiskSpace>()
    for (const drive of drives) {
      try {
        spaces.set(drive, await drive.run(() => this.#world.disk.space(drive.path)))
      } catch {
        // It failed, which is said elsewhere: it takes none.
      }
    }
    this.#spaces = spaces
  }

  /** Those of the drives that were asked that take a dump of that partition which is as long as the last one. */
  roomyFor(partition: number): DumpDrive[] {
    return this.withRoom(this.#bytes.get(partition) ?? 0)
  }

  /** Those of the drives that were asked that take so many bytes more. */
  withRoom(bytes: number): DumpDrive[] {
    const drives = [...this.#spaces.keys()]
    return drives.filter((drive) => hasRoom(this.#spaces.get(drive)!, bytes))
  }

  /** A dump is so long; one that had no room is at least as long as it came. */
  note(partition: number, bytes: number, how: 'whole' | 'broken-off'): void {
    const before = how === 'whole' ? 0 : (this.#bytes.get(partition) ?? 0)
    this.#bytes.set(partition, Math.max(before, bytes))
  }
}

function hasRoom(space: DiskSpace, bytes: number): boolean {
  // Only ENOSPC can tell then.
  if (space.totalBytes === 0) return true
  const freeBytes = space.freeBytes - bytes
  return !isWorse(levelOf({ ...space, freeBytes }), 'near-full')
}
