// S3 on a port, over any object store: the gateway of a whole store in one process, or one of many of a cluster.
import type { GatewaySettings } from './config.ts'
import { Exit, portTaken } from './exit.ts'
import { isBucketName } from './gateway/address.ts'
import type { AdminApi } from './gateway/admin-api.ts'
import { rootCredentials } from './gateway/auth/credentials.ts'
import type { ClusterApi } from './gateway/cluster-api.ts'
import { operations } from './gateway/operations.ts'
import { shareProcessBounds } from './gateway/process-bounds.ts'
import { createGateway, type Gateway } from './gateway/server.ts'
import {
  readTlsKeys,
  type TlsKeys,
  type TlsPaths,
  tlsMisfit,
  watchTlsFiles,
} from './gateway/tls-files.ts'
import type { ClosingStack } from './kit/closing-stack.ts'
import type { Log } from './kit/log.ts'
import type { Registry } from './kit/metrics.ts'
import { originOf } from './kit/origin.ts'
import type { World } from './kit/world.ts'
import type { ObjectStore } from './objects/object-store.ts'

/** What is served. */
export interface ServedStore {
  objects: ObjectStore
  credentials: { accessKeyId: string; secretAccessKey: string }
  /** Absent where nothing is told but S3. */
  admin?: AdminApi | ClusterApi
}

/** What S3 is served with. */
export interface ServeParts {
  world: World
  log: Log
  registry: Registry
  /** Ends what watches files. */
  opened: ClosingStack
  /** Processes that serve the port, this one among them. */
  processes?: number
}

/** S3 that is being served. */
export interface ServedS3 {
  /** http://127.0.0.1:9000 */
  endpoint: string
  close: Gateway['close']
}

/** Listens. Throws Exit with a sentence when that can not be. */
export async function serveS3(
  config: GatewaySettings,
  { objects, credentials, admin }: ServedStore,
  { world, log, registry, opened, processes = 1 }: ServeParts,
): Promise<ServedS3> {
  const tls = config.tls && (await loadTls(config.tls, world))
  shareProcessBounds(processes)
  const gateway = createGateway(
    {
      processes,
      domains: config.domains,
      region: { name: config.region, enforced: config.strictRegion },
      credentials: rootCredentials(credentials.accessKeyId, credentials.secretAccessKey),
      strict: config.strictS3,
      http: config.http,
      ...(tls ? { tls } : {}),
    },
    { world, log, objects, operations, registry, ...(admin ? { admin } : {}) },
  )
  if (config.tls && tls) {
    const watching = watchTlsFiles(config.tls, tls, (keys) => gateway.reloadTls(keys), {
      world,
      log,
    })
    opened.defer(() => watching.stop())
  }
  const { port } = await listen(gateway, config)
  return {
    endpoint: originOf(tls ? 'https' : 'http', { address: config.address, port }),
    close: (options) => gateway.close(options),
  }
}

/** What can be known to be wrong before a store is opened, or made. Throws Exit. */
export async function checkServing(
  { tls, buckets }: Pick<GatewaySettings, 'tls' | 'buckets'>,
  world: World,
): Promise<void> {
  if (tls) await loadTls(tls, world)
  const wrong = buckets.find((name) => !isBucketName(name))
  if (wrong !== undefined)
    throw new Exit(2, `--buckets: "${wrong}" can not be the name of a bucket.`)
}

/** Makes the buckets that the configuration names, all of them names, and that are not there yet. */
export async function createBuckets(
  objects: Pick<ObjectStore, 'createBucket' | 'findBucket'>,
  { buckets, region }: Pick<GatewaySettings, 'buckets' | 'region'>,
): Promise<void> {
  for (const name of buckets) {
    if (objects.findBucket(name) === undefined) await objects.createBucket(name, region)
  }
}

async function loadTls(paths: TlsPaths, world: World): Promise<TlsKeys> {
  const keys = await readTlsKeys(paths, world).catch((error: Error) => {
    throw new Exit(2, `--tls-cert or --tls-key can not be read: ${error.message}`)
  })
  const misfit = tlsMisfit(keys, paths)
  if (misfit) throw new Exit(2, misfit)
  return keys
}

async function listen(
  gateway: Gateway,
  { address, port }: GatewaySettings,
): Promise<{ port: number }> {
  try {
    return await gateway.listen({ address, port })
  } catch (error) {
    throw portTaken(error, { address, port, option: '--port' })
  }
}
