// The generated root key as a file on each drive: the format of AWS credential files, mode 0600.
// A copy for people; what counts is the coordinator's state, and the file is made again where it is missing.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Drive } from './drive.ts'
import { type FileDrive, readSmallFile, replaceSmallFile } from './small-file.ts'

/** Its name on every drive. */
export const ROOT_CREDENTIALS_FILE = 'root-credentials'

/**
 * Keeps the file on every drive that takes it; returns the first path. A drive that is full or failing does not
 * stop the others, but one at least must have it, or nobody could learn the key: then the error is thrown.
 */
export async function keepCredentials(
  drives: readonly FileDrive[],
  credentials: { accessKeyId: string; secretAccessKey: string },
  { world, log }: { world: Pick<World, 'disk'>; log: Log },
): Promise<string> {
  const kept: string[] = []
  let trouble: unknown
  for (const drive of drives) {
    try {
      await keepOn(world, drive, credentials)
      kept.push(`${drive.path}/${ROOT_CREDENTIALS_FILE}`)
    } catch (error) {
      trouble = error
      log.warn(
        { path: drive.path, error: String(error) },
        'the root key can not be kept on a drive',
      )
    }
  }
  const [first] = kept
  if (first === undefined) throw trouble
  return first
}

/** Reads the file on every drive that works and writes it again where it is not what it was. */
export async function scrubCredentials(
  drives: readonly (FileDrive & Pick<Drive, 'failure'>)[],
  credentials: { accessKeyId: string; secretAccessKey: string },
  { world }: { world: Pick<World, 'disk'> },
): Promise<{ files: number; damaged: number }> {
  const look = { files: 0, damaged: 0 }
  for (const drive of drives) {
    if (drive.failure !== undefined) continue
    look.files += 1
    if (await keepOn(world, drive, credentials)) look.damaged += 1
  }
  return look
}

/** Writes the file unless it already says this; true when it was written. */
async function keepOn(
  world: Pick<World, 'disk'>,
  drive: FileDrive,
  credentials: { accessKeyId: string; secretAccessKey: string },
): Promise<boolean> {
  const bytes = Buffer.from(
    `[default]\naws_access_key_id = ${credentials.accessKeyId}\n` +
      `aws_secret_access_key = ${credentials.secretAccessKey}\n`,
  )
  const kept = await readSmallFile(world, drive, ROOT_CREDENTIALS_FILE)
  if (kept && Buffer.compare(kept, bytes) === 0) return false
  const file = { name: ROOT_CREDENTIALS_FILE, bytes, permissions: 0o600 }
  await replaceSmallFile(world, drive, file)
  return true
}
