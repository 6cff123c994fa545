// Asks a drive whether it still writes: 4 KiB, synced and read back. It is the sync that tells: reads and writes of a
// device that vanished go on from memory. A drive that is read-only, gone or erring is noticed without traffic.
import { isMissing, type World } from '../../kit/world.ts'
import type { Drive } from '../drive.ts'
import { LATER_FILES } from '../drive-format.ts'

/** Its name on every drive. */
const PROBE_FILE = LATER_FILES.probe

const PROBE_BYTES = 4096

/** Thrown when a drive gives back other bytes than were just written: nothing on it can be trusted. */
export class ProbeMismatch extends Error {
  override readonly name = 'ProbeMismatch'
  readonly code = 'PROBE_MISMATCH'
}

/** Writes, syncs and reads back. Throws what the drive throws; Drive fails by itself where the error says so. */
export async function probeDrive(
  drive: Pick<Drive, 'path' | 'run' | 'syncFile' | 'syncDirectory'>,
  world: Pick<World, 'disk' | 'random'>,
): Promise<void> {
  const written = Buffer.alloc(PROBE_BYTES)
  written.set(world.random.bytes(16))
  const { file, isNew } = await drive.run(() => openOrCreate(`${drive.path}/${PROBE_FILE}`, world))
  try {
    await drive.run(() => file.write([written], 0))
    await drive.syncFile(file)
    const read = Buffer.alloc(PROBE_BYTES)
    const count = await drive.run(() => file.read([read], 0))
    if (count !== PROBE_BYTES || !read.equals(written)) {
      throw new ProbeMismatch('it does not give back what was just written')
    }
  } finally {
    await file.close()
  }
  if (isNew) await drive.syncDirectory(drive.path)
}

async function openOrCreate(path: string, { disk }: Pick<World, 'disk'>) {
  try {
    return { file: await disk.open(path, 'write'), isNew: false }
  } catch (error) {
    if (!isMissing(error)) throw error
    return { file: await disk.open(path, 'create'), isNew: true }
  }
}
