// Whether a blob may be acknowledged without its shard on a drive: once everybody remembers that the drive is out.
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type { Coordinator } from '../placement/coordinator.ts'

/** Who records that a drive is out: each resolves once that is done, where it has begun to. */
export interface OutRecorders {
  care: { recorded(driveId: number): Promise<void> }
  drives: { recorded(driveId: number): Promise<void> }
  coordinator: Pick<Coordinator, 'state'>
}

/**
 * Resolves once it is on record that the drive is out, or that it is none of the store's any more. Throws DriveUnavailable where
 * nobody has begun to record that, as while the index of a drive is mended: what is lacking there is no failure of the drive.
 */
export async function recordedOut(
  driveId: number,
  { care, drives, coordinator }: OutRecorders,
): Promise<void> {
  await care.recorded(driveId)
  await drives.recorded(driveId)
  const drive = coordinator.state.map.drives.find(({ id }) => id === driveId)
  if (drive === undefined || drive.state === 'out') return
  throw new DriveUnavailable(driveId, 'failed', { cause: 'it took no shard, and is not out' })
}
