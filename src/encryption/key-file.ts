// Wrapping keys in a file of their own, best kept off the drives: one line for each key, the newest last.
// Read again when it changes, so that a new key needs no restart.
import { dirname } from 'node:path'
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import { isMissing, type World } from '../kit/world.ts'
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
  let current = namesOf(first)
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
    if (namesOf(found) === current) return
    current = namesOf(found)
    reload(found)
    log.info({ path, newest: found[0]!.id }, 'the key file was read again')
  }
  return repeat('reload-keys', LOOK_EVERY_MS, look, { clock: world.clock, log })
}

/** Adds a new key to the file, which is made when it is not there; returns the id of the key. */
export async function addKey(path: string, world: World): Promise<string> {
  const { disk, clock, random } = world
  const text = await textOf(path, world)
  if (text !== undefined) parseKeyFile(text)
  const day = new Date(clock.now()).toISOString().slice(0, 10)
  const id = `${day}-${Buffer.from(random.bytes(4)).toString('hex')}`
  const line = `${id} ${Buffer.from(random.bytes(KEY_BYTES)).toString('base64')}\n`
  const before = text ?? EXPLANATION
  const draft = `${path}.draft`
  if (await disk.stat(draft)) await disk.remove(draft)
  await writeDurably(draft, `${before}${before.endsWith('\n') ? '' : '\n'}${line}`, world)
  await disk.rename(draft, path)
  await disk.syncDirectory(dirname(path))
  return id
}

async function textOf(path: string, { disk }: Pick<World, 'disk'>): Promise<string | undefined> {
  try {
    return Buffer.from(await disk.readFile(path)).toString('utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function writeDurably(
  path: string,
  text: string,
  { disk }: Pick<World, 'disk'>,
): Promise<void> {
  const file = await disk.open(path, 'create', OWNER_ONLY)
  try {
    await file.write([Buffer.from(text)], 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Tells two sets of keys apart: ids in their order, and what the keys are. */
function namesOf(keys: readonly WrappingKey[]): string {
  return keys.map(({ id, key }) => `${id} ${Buffer.from(key).toString('base64')}`).join('\n')
}
