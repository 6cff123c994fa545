// Drives that the server before this one held until it crashed, as its guard remembers them: a marker that rotted while
// it served would have been written again from memory, and that memory went with it.
import { resolve } from 'node:path'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Drive } from '../storage-node/drive.ts'
import { DRIVE_FORMAT, type DriveMarker } from '../storage-node/drive-format.ts'
import type { Inspected } from '../storage-node/start-plan.ts'

/** A directory and the drive that it was a moment ago. */
export interface RememberedDrive {
  path: string
  /** Of the directory, so that another one in its place is not taken for it. */
  device: number
  inode: number
  marker: DriveMarker
}

/** What the next server should know of these drives, but for those that failed. */
export async function rememberDrives(
  drives: readonly Pick<Drive, 'path' | 'marker' | 'failure'>[],
  { disk }: Pick<World, 'disk'>,
): Promise<RememberedDrive[]> {
  const remembered: RememberedDrive[] = []
  for (const { path, marker, failure } of drives) {
    const stat = failure === undefined ? await disk.stat(path).catch(() => undefined) : undefined
    if (stat === undefined) continue
    remembered.push({ path: resolve(path), device: stat.device, inode: stat.inode, marker })
  }
  return remembered
}

/** What was found in a directory; where its marker is rotten and the directory remembered, what the marker was. */
export async function recogniseDrive(
  { path, found }: Inspected,
  remembered: readonly RememberedDrive[],
  { world, log }: { world: Pick<World, 'disk'>; log: Log },
): Promise<Inspected['found']> {
  if (found.kind !== 'broken' && found.kind !== 'wrong-format') return found
  const known = remembered.find((one) => one.path === resolve(path))
  if (known === undefined || known.marker.format !== DRIVE_FORMAT) return found
  const stat = await world.disk.stat(path).catch(() => undefined)
  if (stat?.device !== known.device || stat.inode !== known.inode) return found
  const { driveId } = known.marker
  log.warn({ path }, `the marker of drive ${driveId} rotted: it is known from before the crash`)
  return { kind: 'formatted', marker: known.marker }
}
