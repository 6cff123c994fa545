// A gateway of a cluster: S3 on a port, everything else on the nodes. It keeps nothing but what it last knew of etcd, so
// that any of them serves every key, and starts while etcd is away.
import type { GatewayConfig } from '../config-cluster.ts'
import { prepareDigests } from '../digest/digest.ts'
import { startDigestThreads, usualDigestThreads } from '../digest/digest-passing.ts'
import { askedReducedCode } from '../embedded/reduced-code.ts'
import { Exit } from '../exit.ts'
import { asBuffer } from '../kit/bytes.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import type { World } from '../kit/world.ts'
import { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { checkServing, serveS3 } from '../serve-s3.ts'
import { Peers } from '../storage-node/rpc/peers.ts'
import { awaitEtcd } from './await-etcd.ts'
import { type ClusterReadiness, readinessOfCluster } from './cluster-readiness.ts'
import { openClusterApi } from './cluster-status.ts'
import { openEtcd, readTlsFiles } from './etcd.ts'
import { identityIn } from './identity.ts'
import { lockState } from './lock-state.ts'
import { runGateway } from './run-gateway.ts'
import { makeStateDirectory } from './state-directory.ts'

/** What the outside of a gateway is made of. */
export interface GatewayParts {
  world: World
  log: Log
  registry: Registry
  /** Of each pool of stripes, where it is not what is usual. */
  poolBytes?: number
}

/** A gateway that serves. */
export interface ClusterGateway {
  endpoint: string
  clusterId: string
  readiness(): ClusterReadiness
  close(options: { deadlineMs: number }): Promise<void>
}

/** Opens it; waits for the first map of a cluster that is being made. Throws Exit with a sentence. */
export async function openClusterGateway(
  config: GatewayConfig,
  parts: GatewayParts,
): Promise<ClusterGateway> {
  await checkServing(config, parts.world)
  await prepareDigests()
  const opened = new ClosingStack()
  return await opened.guard(() => openAll(config, parts, opened))
}

async function openAll(
  config: GatewayConfig,
  parts: GatewayParts,
  opened: ClosingStack,
): Promise<ClusterGateway> {
  const { world } = parts
  const { stateDirectory } = config
  // Several processes have the cores for themselves.
  const threads = config.processes > 1 ? 0 : usualDigestThreads()
  const digesting = startDigestThreads(threads, world.clock)
  opened.defer(() => digesting.close())
  if (stateDirectory !== undefined) {
    await makeStateDirectory(stateDirectory, world)
    await lockState(stateDirectory, { what: 'gateway', world, opened })
  }
  const coordinator = await openCoordinator(config, parts)
  opened.defer(() => coordinator.close())
  const tls = config.nodeTls && (await readTlsFiles(config.nodeTls, world))
  const identity = identityIn(coordinator, newGatewayId(world))
  const openPeers = (): Peers => new Peers({ identity, ...(tls ? { tls } : {}) }, world)
  const running = await runGateway(config, { ...parts, coordinator, openPeers }, opened)
  const { store } = running
  const credentials = credentialsOf(config, coordinator)
  const reducedCode = askedReducedCode(config, coordinator.state.map.code)
  const admin = openClusterApi({ ...parts, ...running, coordinator, reducedCode })
  const served = await serveS3(
    config,
    { objects: store.objects, credentials, admin },
    { ...parts, opened, processes: config.processes },
  )
  return {
    endpoint: served.endpoint,
    clusterId: coordinator.state.clusterId,
    readiness: () => readinessOfCluster({ coordinator, ...running }),
    close: async ({ deadlineMs }) => {
      await served.close({ deadlineMs })
      await opened.close()
    },
  }
}

/** Throws Exit when there is no cluster, or nobody knows. */
async function openCoordinator(
  { etcd, stateDirectory }: GatewayConfig,
  { world, log }: GatewayParts,
): Promise<EtcdCoordinator> {
  const options = {
    prefix: etcd.prefix,
    ...(stateDirectory === undefined ? {} : { directory: stateDirectory }),
  }
  try {
    const parts = { world, log, etcd: await openEtcd(etcd, world) }
    return await awaitEtcd(() => EtcdCoordinator.open(options, parts), parts)
  } catch (error) {
    if ((error as { code?: string }).code !== 'COORDINATOR_UNAVAILABLE') throw error
    const sentence = `etcd at ${etcd.endpoints.join(', ')}: ${(error as Error).message}.`
    throw new Exit(1, sentence, { cause: error })
  }
}

/** As a node has one; gateways are not registered, and take another with every start. */
function newGatewayId({ random }: Pick<World, 'random'>): string {
  return asBuffer(random.bytes(8)).toString('hex')
}

function credentialsOf(
  { rootCredentials }: GatewayConfig,
  { state }: Pick<EtcdCoordinator, 'state'>,
): { accessKeyId: string; secretAccessKey: string } {
  const credentials = rootCredentials ?? state.rootCredentials
  if (credentials !== undefined) return credentials
  throw new Exit(
    2,
    'the cluster has no root key: set KINTSUGI_ROOT_ACCESS_KEY_ID and KINTSUGI_ROOT_SECRET_ACCESS_KEY.',
  )
}
