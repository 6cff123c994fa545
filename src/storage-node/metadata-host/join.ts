// Takes a drive in while the host serves: a new one, or one that was out. Whatever rows and logs it has are of
// replicas that nobody counts on any more: they are cleared, and those that it shall have are copied anew.
import type { ClusterState } from '../../placement/coordinator.ts'
import { checkRows } from '../meta-rows/check.ts'
import type { DriveLogOptions } from '../metalog/drive-log.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import type { HostDrive } from './drive.ts'
import { openStartLog, openStartRows, type StartParts } from './start.ts'

/** Thrown for a drive with replicas that only a start can recover. */
class NeedsStart extends Error {
  override readonly name = 'NeedsStart'
  readonly code = 'NEEDS_START'
}

/** Throws NeedsStart when an in-sync set counts on the drive: it has what no other replica has. */
export function refuseCounted({ metaPartitions }: ClusterState, driveId: number): void {
  const counts = metaPartitions.some(({ inSync }) =>
    inSync.some((replica) => replica.driveId === driveId),
  )
  if (counts) throw new NeedsStart(`drive ${driveId} has the last replica of some metadata`)
}

/** Opens rows and log of a drive that nobody counts on, and empties them. */
export async function openJoining(
  drive: MetaDrive,
  { limits, partitions }: { limits: DriveLogOptions; partitions: Iterable<number> },
  parts: StartParts,
): Promise<HostDrive> {
  const check = await checkRows({ world: parts.world, drive })
  const options = { keepDamaged: false, replaceUnopened: true }
  const start = await openStartRows({ drive, check }, options, parts)
  try {
    const { host } = await openStartLog(start, { options: limits, isNeeded: () => false }, parts)
    host.log.endReading()
    for (const id of partitions) await host.clear(id)
    await host.checkpoint({ force: true })
    return host
  } catch (error) {
    await start.rows.close()
    throw error
  }
}
