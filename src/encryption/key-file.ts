// Wrapping keys in a file of their own, best kept off the drives: one line for each key, the newest last.
// Read again when it changes, so that a new key needs no restart.
import { dirname } from 'node:path'
import { readIfThere } from '../kit/files.ts'
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { DiskFile, World } from '../kit/world.ts'
import { KEY_BYTES } from './key-provider.ts'
import type { WrappingKey } from './local-keys.ts'

/** How often the file is looked at. */
const LOOK_EVERY_MS = 2_000

const KEY_ID = /^[\w.-]{1,64}$/

/** Ids that begin so belong to keys that the store made itself. */
export const STORE_KEY_PREFIX = 'store-'

const OWNER_ONLY = 0o600

const EXPLANATION =
  '# Keys that wrap the data keys of encrypted objects: an id and 32 bytes in base64.\n' +
  '# The last one wraps what is new. Keep the others: what they wrapped can not be read without them.\n'

/** The file is not what it should be; the message never shows a key. */
export class KeyFileWrong extends Error {
  override readonly name = 'KeyFileWrong'
  readonly code = 'KEY_FILE_WRONG'
}

/** The keys in the text of a file, newest first. Throws KeyFileWrong. */
export function parseKeyFile(text: string): WrappingKey[] {
  const keys: WrappingKey[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const [id = '', encoded = '', ...more] = trimmed.split(/\s+/)
    const key = Buffer.from(encoded, 'base64')
    const isKey =
      more.length === 0 && key.length === KEY_BYTES && key.toString('base64') === encoded
    if (!isKey || !KEY_ID.test(id) || id.startsWith(STORE_KEY_PREFIX))
      throw new KeyFileWrong(`line ${index + 1} is not an id and 32 bytes in base64`)
    if (keys.some((known) => known.id === id))
      throw new KeyFileWrong(`line ${index + 1} has the id of another line`)
    keys.unshift({ id, key })
  }
  if (keys.length === 0) throw new KeyFileWrong('there is no key in it')
  return keys
}

/** Reads the file. Throws KeyFileWrong, or what the disk says. */
export async function readKeyFile(
  path: string,
  { disk }: Pick<World, 'disk'>,
): Promise<WrappingKey[]> {
  return parseKeyFile(Buffer.from(await disk.readFile(path)).toString('utf8'))
}

/** Whether others than the owner can read or change the file. */
export async function isOpenToOthers(
  path: string,
  { disk }: Pick<World, 'disk'>,
): Promise<boolean> {
  const { permissions = OWNER_ONLY } = (await disk.stat(path)) ?? {}
  return (permissions & ~OWNER_ONLY) !== 0
}

/** Calls `reload` when the file has other keys. A file that can not be used is logged, and the last keys stay. */
export function watchKeyFile(
  path: string,
  first: readonly WrappingKey[],
  reload: (keys: WrappingKey[]) => void,
  { world, log }: { world: World; log: Log },
): Periodic {
  let current = first
  let trouble = ''
  const look = async (): Promise<void> => {
    const found = await readKeyFile(path, world).catch((error: Error) => error)
    if (found instanceof Error) {
      // One line in the log for each trouble, not for each look.
      if (found.message !== trouble)
        log.warn({ path, error: found.message }, 'the key file can not be used: the last keys stay')
      trouble = found.message
      return
    }
    trouble = ''
    if (namesOf(found) === namesOf(current)) return
    const lost = current.filter((known) => !found.some(({ id }) => id === known.id))
    current = found
    reload(found)
    log.info({ path, newest: found[0]!.id }, 'the key file was read again')
    const ids = lost.map(({ id }) => id)
    if (ids.length > 0)
      log.warn({ path, ids }, 'keys are gone from the key file: what they wrapped can not be read')
  }
  return repeat('reload-keys', LOOK_EVERY_MS, look, { clock: world.clock, log })
}

/**
 * Adds a new key to the file, which is made when it is not there; returns the id of the key. Of two at once one is
 * refused: the key of the other must not be lost.
 */
export async function addKey(path: string, world: World): Promise<string> {
  const { disk } = world
  const draft = `${path}.draft`
  const file = await createDraft(draft, disk)
  let id: string
  try {
    id = await writeWithNewKey(file, path, world)
  } catch (error) {
    await disk.remove(draft)
    throw error
  } finally {
    await file.close()
  }
  await disk.rename(draft, path)
  await disk.syncDirectory(dirname(path))
  return id
}

async function writeWithNewKey(file: DiskFile, path: string, world: World): Promise<string> {
  const { id, text } = withNewKey(await textOf(path, world), world)
  await file.write([Buffer.from(text)], 0)
  await file.sync()
  return id
}

async function createDraft(draft: string, disk: World['disk']): Promise<DiskFile> {
  try {
    return await disk.open(draft, 'create', OWNER_ONLY)
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error
    const message = `${draft} is there: a key is being added, or that was cut short and the file can go`
    throw new Error(message, { cause: error })
  }
}

function withNewKey(
  text: string | undefined,
  { clock, random }: Pick<World, 'clock' | 'random'>,
): { id: string; text: string } {
  if (text !== undefined) parseKeyFile(text)
  const day = new Date(clock.now()).toISOString().slice(0, 10)
  const id = `${day}-${Buffer.from(random.bytes(4)).toString('hex')}`
  const line = `${id} ${Buffer.from(random.bytes(KEY_BYTES)).toString('base64')}\n`
  const before = text ?? EXPLANATION
  return { id, text: `${before}${before.endsWith('\n') ? '' : '\n'}${line}` }
}

async function textOf(path: string, { disk }: Pick<World, 'disk'>): Promise<string | undefined> {
  const bytes = await readIfThere({ disk }, path)
  return bytes && Buffer.from(bytes).toString('utf8')
}

/** Tells two sets of keys apart: ids in their order, and what the keys are. */
function namesOf(keys: readonly WrappingKey[]): string {
  return keys.map(({ id, key }) => `${id} ${Buffer.from(key).toString('base64')}`).join('\n')
}
