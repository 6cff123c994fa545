// Makes a drive of a directory: of a new store, or one more of a store that runs. The marker comes last, so a crash
// leaves a directory that can be made a drive again.
import { resolve } from 'node:path'
import { asBuffer } from '../kit/bytes.ts'
import type { World } from '../kit/world.ts'
import { DRIVE_FORMAT, type DriveMarker, formatDrive } from '../storage-node/drive-format.ts'
import { noteJoining } from '../storage-node/joining.ts'

/** What a drive is made with. */
export interface NewMarker {
  clusterId: string
  driveId: number
  /** The store runs already: until its map names the drive, `joining` says so. */
  isJoining?: boolean
}

/** Formats a missing or empty directory. Throws what the disk gives. */
export async function makeDrive(
  path: string,
  { clusterId, driveId, isJoining = false }: NewMarker,
  world: World,
): Promise<DriveMarker> {
  const marker = {
    format: DRIVE_FORMAT,
    clusterId,
    driveId,
    uuid: randomHex(world, 16),
    createdMs: world.clock.now(),
  }
  await makeDirectories(path, world)
  if (isJoining) await noteJoining(path, world)
  await formatDrive(world, path, marker)
  return marker
}

/** Hexadecimal digits of so many random bytes. */
export function randomHex({ random }: Pick<World, 'random'>, bytes: number): string {
  return asBuffer(random.bytes(bytes)).toString('hex')
}

/** Makes a directory and what is missing above it, each durable in its parent. */
export async function makeDirectories(path: string, { disk }: Pick<World, 'disk'>): Promise<void> {
  if (await disk.stat(path)) return
  const parent = resolve(path, '..')
  await makeDirectories(parent, { disk })
  await disk.makeDirectory(path)
  await disk.syncDirectory(parent)
}
