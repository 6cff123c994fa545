// Whose key signs: that of the root, from the environment or from a credentials file as the store keeps one.
import { Exit } from '../exit.ts'
import type { World } from '../kit/world.ts'

/** The key that signs. */
export interface AdminCredentials {
  accessKeyId: string
  secretAccessKey: string
}

const MISSING =
  'the root credentials are missing: set KINTSUGI_ROOT_ACCESS_KEY_ID and KINTSUGI_ROOT_SECRET_ACCESS_KEY, ' +
  'or AWS_SHARED_CREDENTIALS_FILE to the file root-credentials of a drive.'

/** Pairs of variables, the first that is set wins. */
const VARIABLES = [
  ['KINTSUGI_ROOT_ACCESS_KEY_ID', 'KINTSUGI_ROOT_SECRET_ACCESS_KEY'],
  ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
] as const

/** Finds the credentials. Throws Exit when there are none. */
export async function findCredentials(
  environment: Readonly<Record<string, string | undefined>>,
  { disk }: Pick<World, 'disk'>,
): Promise<AdminCredentials> {
  for (const [idName, secretName] of VARIABLES) {
    const { [idName]: accessKeyId, [secretName]: secretAccessKey } = environment
    if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey }
    if (accessKeyId || secretAccessKey)
      throw new Exit(2, `${idName} and ${secretName} belong together: set both.`)
  }
  const { AWS_SHARED_CREDENTIALS_FILE: path } = environment
  if (!path) throw new Exit(2, MISSING)
  const found = parseProfile(await readText(path, disk))
  if (found === undefined) throw new Exit(2, `${path} has no key in its profile [default].`)
  return found
}

async function readText(path: string, disk: World['disk']): Promise<string> {
  try {
    return Buffer.from(await disk.readFile(path)).toString('utf8')
  } catch (error) {
    const why = (error as Error).message
    throw new Exit(2, `AWS_SHARED_CREDENTIALS_FILE can not be read: ${why}`, { cause: error })
  }
}

/** The key of the profile `default`; undefined when it has none. */
export function parseProfile(text: string): AdminCredentials | undefined {
  const values = new Map<string, string>()
  let isDefault = false
  for (const line of text.split(/\r?\n/)) {
    const [, section] = /^\s*\[\s*(.*?)\s*\]/.exec(line) ?? []
    if (section !== undefined) isDefault = section === 'default'
    const [, name, value] = /^\s*([a-z_]+)\s*=\s*(\S*)/.exec(line) ?? []
    if (isDefault && name !== undefined && value) values.set(name, value)
  }
  const accessKeyId = values.get('aws_access_key_id')
  const secretAccessKey = values.get('aws_secret_access_key')
  return accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined
}
