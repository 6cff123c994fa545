// The generated root key as a file on each drive: the format of AWS credential files, mode 0600.
// A copy for people; what counts is the coordinator's state, and the file is made again where it is missing.
import type { World } from '../kit/world.ts'
import type { Drive } from './drive.ts'

/** Its name on every drive. */
export const ROOT_CREDENTIALS_FILE = 'root-credentials'

/** Writes the file on a drive unless it already says this. */
export async function keepCredentials(
  world: Pick<World, 'disk'>,
  drive: Drive,
  credentials: { accessKeyId: string; secretAccessKey: string },
): Promise<void> {
  const { disk } = world
  const path = `${drive.path}/${ROOT_CREDENTIALS_FILE}`
  const text = Buffer.from(
    `[default]\naws_access_key_id = ${credentials.accessKeyId}\n` +
      `aws_secret_access_key = ${credentials.secretAccessKey}\n`,
  )
  await drive.run(async () => {
    const stat = await disk.stat(path)
    if (stat && Buffer.compare(await disk.readFile(path), text) === 0) return
    const draft = `${path}.tmp`
    if (await disk.stat(draft)) await disk.remove(draft)
    const file = await disk.open(draft, 'create', 0o600)
    try {
      await file.write([text], 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await disk.rename(draft, path)
    await disk.syncDirectory(drive.path)
  })
}
