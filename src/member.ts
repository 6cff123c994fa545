// One process: parts built from config and world, started, closed in reverse order.
// Embedded: gateway, objects, metadata, placement and storage over local directories.
import type { ServeConfig } from './config.ts'
import { prepareDigests } from './digest/digest.ts'
import { type AdminParts, openAdmin } from './embedded/admin.ts'
import { type OpenedStore, openStore } from './embedded/open-store.ts'
import { type RememberedDrive, rememberDrives } from './embedded/remembered-drives.ts'
import type { EmbeddedStorage } from './embedded/storage.ts'
import { Exit, portTaken } from './exit.ts'
import { isBucketName } from './gateway/address.ts'
import { rootCredentials } from './gateway/auth/credentials.ts'
import { operations } from './gateway/operations.ts'
import { createGateway, type Gateway } from './gateway/server.ts'
import { readTlsKeys, type TlsKeys, type TlsPaths, watchTlsFiles } from './gateway/tls-files.ts'
import { ClosingStack } from './kit/closing-stack.ts'
import type { ErasureCode } from './kit/erasure-code.ts'
import type { Log } from './kit/log.ts'
import type { Registry } from './kit/metrics.ts'
import type { World } from './kit/world.ts'
import { watchUploads } from './objects/metrics.ts'
import type { Objects } from './objects/objects.ts'

/** What the outside of a member is made of. */
export interface MemberParts {
  world: World
  log: Log
  registry: Registry
  /** How often the process was started again by its guard. */
  restarts: AdminParts['restarts']
  /** Drives of the server before this one, when that crashed. */
  remembered: readonly RememberedDrive[]
}

/** A running store. */
export interface Member {
  /** http://127.0.0.1:9000 */
  endpoint: string
  drives: readonly { path: string }[]
  /** What the next server should know of them if this one crashes. */
  remember(): Promise<readonly RememberedDrive[]>
  code: ErasureCode
  /** Of new objects of the class REDUCED_REDUNDANCY. */
  reducedCode: ErasureCode
  /** `keptIn`: the file that holds the generated secret; undefined when the environment gave it. */
  credentials: { accessKeyId: string; keptIn?: string | undefined }
  /** True when several drives lie on one file system. */
  sharesDisk: boolean
  readiness(): { ready: boolean; degraded: readonly string[] }
  close(options: { deadlineMs: number }): Promise<void>
}

/** Opens or makes the store and serves it. Throws Exit with a sentence when that can not be. */
export async function openMember(config: ServeConfig, parts: MemberParts): Promise<Member> {
  await prepareDigests()
  const opened = new ClosingStack()
  return await opened.guard(() => openParts(config, parts, opened))
}

async function openParts(
  config: ServeConfig,
  parts: MemberParts,
  opened: ClosingStack,
): Promise<Member> {
  const { storage, objects, orphans } = await openStore(config, parts, opened)
  await createBuckets(objects, config)
  watchUploads({ ...parts, objects, clock: parts.world.clock })
  const gateway = await openGateway(config, { storage, objects, orphans, opened }, parts)
  return {
    endpoint: gateway.endpoint,
    drives: storage.drives.list(),
    remember: () => rememberDrives(storage.drives.list(), parts.world),
    code: storage.coordinator.state.map.code,
    reducedCode: storage.reducedCode(),
    credentials: storage.credentials,
    sharesDisk: storage.sharesDisk,
    readiness: () => storage.readiness(),
    close: async ({ deadlineMs }) => {
      await gateway.close({ deadlineMs })
      await opened.close()
    },
  }
}

async function createBuckets(objects: Objects, { buckets, region }: ServeConfig): Promise<void> {
  for (const name of buckets) {
    if (!isBucketName(name))
      throw new Exit(2, `--buckets: "${name}" can not be the name of a bucket.`)
    await objects.createBucket(name, region)
  }
}

/** What the gateway stands on. */
interface GatewayBase {
  storage: EmbeddedStorage
  objects: Objects
  orphans: OpenedStore['orphans']
  opened: ClosingStack
}

async function openGateway(
  config: ServeConfig,
  { storage, objects, orphans, opened }: GatewayBase,
  { world, log, registry, restarts }: MemberParts,
): Promise<{ endpoint: string; close: Gateway['close'] }> {
  const tls = config.tls && (await loadTls(config.tls, world))
  const { accessKeyId, secretAccessKey } = storage.credentials
  const gateway = createGateway(
    {
      domains: config.domains,
      region: { name: config.region, enforced: config.strictRegion },
      credentials: rootCredentials(accessKeyId, secretAccessKey),
      strict: config.strictS3,
      ...(tls ? { tls } : {}),
    },
    {
      ...{ world, log, objects, operations, registry },
      admin: openAdmin({ storage, objects, orphans, clock: storage.clock, restarts }),
    },
  )
  if (config.tls && tls) {
    const watching = watchTlsFiles(config.tls, tls, (keys) => gateway.reloadTls(keys), {
      world,
      log,
    })
    opened.defer(() => watching.stop())
  }
  const { port } = await listen(gateway, config)
  const host = config.address.includes(':') ? `[${config.address}]` : config.address
  return {
    endpoint: `${tls ? 'https' : 'http'}://${host}:${port}`,
    close: (options) => gateway.close(options),
  }
}

async function loadTls(paths: TlsPaths, world: World): Promise<TlsKeys> {
  try {
    return await readTlsKeys(paths, world)
  } catch (error) {
    throw new Exit(2, `--tls-cert or --tls-key can not be read: ${(error as Error).message}`)
  }
}

async function listen(gateway: Gateway, { address, port }: ServeConfig): Promise<{ port: number }> {
  try {
    return await gateway.listen({ address, port })
  } catch (error) {
    throw portTaken(error, { address, port, option: '--port' })
  }
}
