// Who wraps the keys of encrypted objects: Vault, a key file, or a key that the store makes for itself.
// Whoever it is today, what the others wrapped before stays readable as long as they are configured.
import type { ServeConfig, VaultConfig } from '../config.ts'
import { cacheKeys } from '../encryption/cached-keys.ts'
import { type ChainLink, chainKeys } from '../encryption/key-chain.ts'
import {
  isOpenToOthers,
  readKeyFile,
  STORE_KEY_PREFIX,
  watchKeyFile,
} from '../encryption/key-file.ts'
import { KEY_BYTES, type KeyProvider, WrappedBy } from '../encryption/key-provider.ts'
import { LocalKeys, type WrappingKey } from '../encryption/local-keys.ts'
import { SharedKeys } from '../encryption/shared-keys.ts'
import { VaultTransit } from '../encryption/vault-transit.ts'
import { Exit } from '../exit.ts'
import { asBuffer } from '../kit/bytes.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { ClusterState, Coordinator } from '../placement/coordinator.ts'

/** What it is opened with. */
export interface KeyParts {
  coordinator: Coordinator
  world: World
  log: Log
  opened: ClosingStack
}

/** Only a server is worth sharing keys for. */
const VAULT_KINDS = [WrappedBy.Vault, WrappedBy.Shared]

type Stored = NonNullable<ClusterState['wrappingKeys']>[number]

/** The provider of this store. Throws Exit when the key file can not be used. */
export async function openKeyProvider(
  config: Pick<ServeConfig, 'encryptionKeyFile' | 'vault'>,
  parts: KeyParts,
): Promise<KeyProvider> {
  const { encryptionKeyFile, vault } = config
  const own = await ownKeys(encryptionKeyFile !== undefined || vault !== undefined, parts)
  const local = encryptionKeyFile
    ? await openFileKeys(encryptionKeyFile, own, parts)
    : own.length > 0
      ? new LocalKeys(own, parts.world)
      : undefined
  const links: ChainLink[] = [
    ...(vault ? [{ wrappedBy: VAULT_KINDS, provider: openVault(vault, parts.world) }] : []),
    ...(local ? [{ wrappedBy: [WrappedBy.Local], provider: local }] : []),
  ]
  return chainKeys(links as [ChainLink, ...ChainLink[]])
}

/** Throws Exit when the key file can not be used: before anything is made that would go on without it. */
export async function checkKeyFile(
  { encryptionKeyFile: path }: Pick<ServeConfig, 'encryptionKeyFile'>,
  world: World,
): Promise<void> {
  if (path !== undefined) await readOrExit(path, world)
}

/** The keys that the store made itself; it makes one when nobody else does and it has none yet. */
async function ownKeys(
  isProvided: boolean,
  { coordinator, world }: KeyParts,
): Promise<WrappingKey[]> {
  const made = newStored(world)
  const hasEnough = (state: ClusterState): boolean => isProvided || state.wrappingKeys !== undefined
  // Where nothing is to be decided nobody need be asked: a gateway starts while etcd is away.
  const { wrappingKeys = [] } = hasEnough(coordinator.state)
    ? coordinator.state
    : await coordinator.decide((state) =>
        hasEnough(state) ? undefined : { ...state, wrappingKeys: [made] },
      )
  return wrappingKeys.map(({ id, key }) => ({ id, key: Buffer.from(key, 'base64') }))
}

function newStored({ random }: World): Stored {
  return {
    id: `${STORE_KEY_PREFIX}${asBuffer(random.bytes(4)).toString('hex')}`,
    key: asBuffer(random.bytes(KEY_BYTES)).toString('base64'),
  }
}

async function openFileKeys(
  path: string,
  own: readonly WrappingKey[],
  { world, log, opened }: KeyParts,
): Promise<LocalKeys> {
  const first = await readOrExit(path, world)
  if (await isOpenToOthers(path, world))
    log.warn({ path }, 'others than its owner can read the key file: chmod 600 it')
  const keys = new LocalKeys([...first, ...own], world)
  const watching = watchKeyFile(path, first, (found) => keys.replace([...found, ...own]), {
    world,
    log,
  })
  opened.defer(() => watching.stop())
  return keys
}

async function readOrExit(path: string, world: World): Promise<WrappingKey[]> {
  try {
    return await readKeyFile(path, world)
  } catch (error) {
    const why = (error as Error).message
    throw new Exit(2, `--encryption-key-file ${path} can not be used: ${why}`, { cause: error })
  }
}

function openVault({ address, mount, key, token }: VaultConfig, world: World): KeyProvider {
  const readToken = async (): Promise<string> =>
    token.kind === 'text'
      ? token.text
      : Buffer.from(await world.disk.readFile(token.path))
          .toString('utf8')
          .trim()
  const vault = new VaultTransit(
    { address, mount, keyId: key },
    { http: world.http, token: readToken },
  )
  return new SharedKeys(cacheKeys(vault, world), world)
}
