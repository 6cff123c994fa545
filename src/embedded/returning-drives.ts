// A drive whose directory went away, because a cable was pulled or a mount undone, and is there again as it was, is
// taken back by itself. Not one that failed in any other way: such a one is taken back only when somebody says so.
import { beforeDeadline } from '../kit/before-deadline.ts'
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { Drive } from '../storage-node/drive.ts'
import { DriveGone } from '../storage-node/drive-errors.ts'
import { type DriveMarker, inspectDrive } from '../storage-node/drive-format.ts'
import type { DriveCommands } from './drive-commands.ts'

/** A drive that may have gone away. */
export type WatchedDrive = Pick<Drive, 'id' | 'path' | 'failure'> & {
  marker: Pick<DriveMarker, 'uuid'>
}

/** What looking for drives needs. */
export interface ReturningParts {
  world: World
  log: Log
  drives: { list(): readonly WatchedDrive[] }
  commands: Pick<DriveCommands, 'add'>
}

const LOOK_EVERY_MS = 5_000

/** A mount that hangs is looked at again in the next round. */
const LOOK_MS = 10_000

/** A drive that goes more often than this within a day has to be taken back by hand. */
const RETURNS_PER_DAY = 3
const DAY_MS = 24 * 3600 * 1000

/** After a refusal. */
const AGAIN_MS = 60_000

/** Begins to look for drives that went away. */
export function watchReturns(parts: ReturningParts): Periodic {
  const { clock } = parts.world
  const returns = new Returns()
  const round = async (): Promise<void> => {
    for (const drive of parts.drives.list()) {
      if (!(drive.failure instanceof DriveGone) || !returns.mayReturn(drive.id, clock.now()))
        continue
      const marker = await findAgain(drive, parts.world)
      if (marker?.uuid === drive.marker.uuid) await takeBack(drive, returns, parts)
    }
  }
  return repeat('look-for-drives', LOOK_EVERY_MS, round, { clock, log: parts.log })
}

/** How often drives came back, and when they may do so again. */
class Returns {
  readonly #times = new Map<number, number[]>()
  readonly #notBefore = new Map<number, number>()

  /** Whether the drive may be taken back now. */
  mayReturn(driveId: number, nowMs: number): boolean {
    const lately = (this.#times.get(driveId) ?? []).filter((timeMs) => nowMs - timeMs < DAY_MS)
    this.#times.set(driveId, lately)
    return lately.length < RETURNS_PER_DAY && nowMs >= (this.#notBefore.get(driveId) ?? 0)
  }

  /** It came back. */
  note(driveId: number, nowMs: number): void {
    this.#times.set(driveId, [...(this.#times.get(driveId) ?? []), nowMs])
  }

  /** It could not come back. */
  postpone(driveId: number, nowMs: number): void {
    this.#notBefore.set(driveId, nowMs + AGAIN_MS)
  }
}

async function findAgain({ path }: WatchedDrive, world: World): Promise<DriveMarker | undefined> {
  let marker: DriveMarker | undefined
  const looking = inspectDrive(world, path).then((found) => {
    if (found.kind === 'formatted') marker = found.marker
  })
  await beforeDeadline(looking, LOOK_MS, world)
  return marker
}

async function takeBack(
  { id, path }: WatchedDrive,
  returns: Returns,
  { commands, log, world: { clock } }: ReturningParts,
): Promise<void> {
  const outcome = await commands.add({ path })
  if (outcome.kind === 'done') returns.note(id, clock.now())
  else returns.postpone(id, clock.now())
  log.warn({ path }, outcome.sentence)
}
