// Probes of one drive, each in a loop of its own: a drive that hangs keeps no other from being looked at.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { Drive } from '../storage-node/drive.ts'
import { ProbeMismatch, probeDrive } from '../storage-node/drive-care/write-probe.ts'
import type { DriveCare } from './drive-care.ts'

/** How often is looked. */
export interface ProbeTimes {
  /** A vanished directory is noticed within this time even when nobody writes. */
  presenceMs: number
  /** A drive that does not write any more is. */
  writeMs: number
}

/** What the embedded store goes by. */
export const USUAL_PROBES: ProbeTimes = { presenceMs: 2_000, writeMs: 5_000 }

// Trouble of this process, not of a drive.
const NOT_THE_DRIVE = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR'])
// In a row; errors that surely are the drive's fail it at the first.
const FAILED_PROBES_MOST = 3

/** Begins to probe a drive. */
export function probeInTurns(
  drive: Drive,
  times: ProbeTimes,
  parts: { world: World; log: Log; care: DriveCare },
): Periodic {
  const { world, log } = parts
  const loopParts = { clock: world.clock, log }
  const presence = repeat('look-for-drive', times.presenceMs, () => lookForDrive(drive), loopParts)
  const round = writeProbe(drive, times, parts)
  const writing = repeat('probe-drive', times.writeMs, round, loopParts)
  return {
    stop: async () => {
      await Promise.all([presence.stop(), writing.stop()])
    },
  }
}

/** A failure comes back through onFailure of the drive. */
async function lookForDrive(drive: Drive): Promise<void> {
  if (drive.failure === undefined) await drive.checkPresence().catch(() => {})
}

function writeProbe(
  drive: Drive,
  { writeMs }: ProbeTimes,
  { world, care }: { world: World; care: DriveCare },
): () => Promise<void> {
  let failedInARow = 0
  return async () => {
    if (drive.failure !== undefined || care.wroteWithin(drive.id, writeMs)) return
    const ended = care.beginProbe(drive.id)
    try {
      await probeDrive(drive, world)
      failedInARow = 0
      ended('good')
    } catch (error) {
      ended('failed')
      if (!isOfTheDrive(error)) return
      failedInARow += 1
      if (failedInARow < FAILED_PROBES_MOST && !(error instanceof ProbeMismatch)) return
      drive.fail(new Error(`a probe failed: ${error instanceof Error ? error.message : error}`))
    }
  }
}

/** Full drives are somebody else's business, and those that failed have failed. */
function isOfTheDrive(error: unknown): boolean {
  const { code = '' } = error as { code?: string }
  return code !== 'DRIVE_UNAVAILABLE' && !NOT_THE_DRIVE.has(code)
}
