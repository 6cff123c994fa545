// Files whose every write is a write and a sync in one are opened by their name, once that is durable.

import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type { DiskFile, World } from '../kit/world.ts'
import { DriveGone } from './drive-errors.ts'
import type { MetaDrive } from './metalog/meta-drive.ts'

/**
 * `file`, just made at `path`, opened again so that a write and its sync are one call, where the disk has that. A name may
 * lead to the file of another drive by now: what lies there is not written over, and the drive has failed. When it throws,
 * nothing but `file` is open.
 */
export async function openThrough(
  file: DiskFile,
  path: string,
  { disk, drive }: { disk: World['disk']; drive: Pick<MetaDrive, 'id' | 'run' | 'fail'> },
): Promise<DiskFile> {
  if (disk.openThrough === undefined) return file
  const through = await drive.run(() => disk.openThrough!(path))
  try {
    const made = await drive.run(() => file.stat())
    const found = await drive.run(() => through.stat())
    if (made.inode !== found.inode || made.device !== found.device) {
      const cause = new DriveGone('another directory took the place of the drive')
      drive.fail(cause)
      throw new DriveUnavailable(drive.id, 'failed', { cause })
    }
    await file.close()
    return through
  } catch (error) {
    void through.close().catch(() => undefined) // Nothing was written to it, and a disk that hangs is not waited for.
    throw error
  }
}
