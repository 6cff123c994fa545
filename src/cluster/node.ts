// A storage node: one process that keeps shards and replicas of metadata on its drives, and serves them to the gateways and
// the other nodes of its cluster.
import type { NodeConfig } from '../config-cluster.ts'
import { prepareDigests } from '../digest/prepare.ts'
import { refuseTaken } from '../embedded/refuse-taken.ts'
import { Exit, portTaken } from '../exit.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { originOf } from '../kit/origin.ts'
import type { World } from '../kit/world.ts'
import { CoordinatorUnavailable } from '../placement/coordinator.ts'
import { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { NodeServer } from '../storage-node/rpc/node-server.ts'
import { Peers } from '../storage-node/rpc/peers.ts'
import { awaitEtcd } from './await-etcd.ts'
import { nodesOfMap } from './chores.ts'
import { openEtcd, readTlsFiles } from './etcd.ts'
import { identityIn } from './identity.ts'
import { lockState } from './lock-state.ts'
import { keepNodeFile, type NodeFile, readNodeFile } from './node-file.ts'
import type { NodeTuning } from './node-tuning.ts'
import { runNode } from './run-node.ts'

/** What the outside of a node is made of. */
export interface NodeParts {
  world: World
  log: Log
  registry: Registry
  tuning?: NodeTuning
}

/** A node that serves. */
export interface ClusterNode {
  nodeId: string
  clusterId: string
  /** Where the others reach it: `http://10.0.0.7:9100`. */
  origin: string
  drives: readonly { id: number; path: string }[]
  readiness(): { ready: boolean; degraded: readonly string[] }
  close(options: { deadlineMs: number }): Promise<void>
}

// A compare-and-swap for each partition that is led, all at once. With etcd away it is in vain: then others miss this node, later.
const HAND_OVER_MS = 3_000

/** Opens the drives and serves them. Throws Exit with a sentence when that can not be. */
export async function openNode(config: NodeConfig, parts: NodeParts): Promise<ClusterNode> {
  await prepareDigests()
  const opened = new ClosingStack()
  return await opened.guard(() => openAll(config, parts, opened))
}

async function openAll(
  config: NodeConfig,
  parts: NodeParts,
  opened: ClosingStack,
): Promise<ClusterNode> {
  const { world, log } = parts
  refuseVague(config)
  const file = await readIdentity(config, world)
  await lockState(config.stateDirectory, { what: 'node', world, opened })
  await tryPorts(config)
  const coordinator = await openCoordinator(file, config, parts)
  opened.defer(() => coordinator.close())
  const { nodeId, clusterId, hasServed } = file
  const isServing = (): boolean => nodesOfMap(coordinator).includes(nodeId)
  const keeping = keepNodeFile(config.stateDirectory, file, { ...parts, isServing })
  opened.defer(() => keeping.stop())
  const identity = identityIn(coordinator, nodeId)
  const tls = config.nodeTls && (await readTlsFiles(config.nodeTls, world))
  let server: NodeServer | undefined
  const node = await runNode(
    config,
    {
      ...{ ...parts, coordinator, nodeId, hasServed },
      openPeers: () => new Peers({ identity, tls }, world),
      listen: async (service) => {
        server = new NodeServer({ identity, tls }, { world, log, service })
        return toldOrigin(config, await listen(server, config), tls !== undefined)
      },
    },
    opened,
  )
  return {
    ...node,
    ...{ nodeId, clusterId },
    close: async ({ deadlineMs }) => {
      const untilMs = world.clock.monotonicMs() + deadlineMs
      await node.handOver({ deadlineMs: Math.min(deadlineMs, HAND_OVER_MS) })
      await server?.close({ deadlineMs: Math.max(0, untilMs - world.clock.monotonicMs()) })
      await opened.close()
    },
  }
}

async function readIdentity({ stateDirectory }: NodeConfig, world: World): Promise<NodeFile> {
  const file = await readNodeFile(stateDirectory, world).catch((error: Error) => {
    throw new Exit(2, `${error.message}.`, { cause: error })
  })
  if (file !== undefined) return file
  throw new Exit(
    2,
    `no node was made in ${stateDirectory}: kintsugi node join TOKEN --state ${stateDirectory} does it.`,
  )
}

async function openCoordinator(
  { etcd: where, clusterId }: NodeFile,
  { stateDirectory, etcdAccess }: NodeConfig,
  { world, log }: NodeParts,
): Promise<EtcdCoordinator> {
  const etcd = await openEtcd({ ...where, ...etcdAccess }, world)
  const options = { prefix: where.prefix, directory: stateDirectory }
  const open = () => EtcdCoordinator.open(options, { world, log, etcd })
  const coordinator = await awaitEtcd(open, { world, log }).catch((error) => {
    if (!(error instanceof CoordinatorUnavailable)) throw error
    throw new Exit(1, `${error.message}.`, { cause: error })
  })
  if (coordinator.state.clusterId === clusterId) return coordinator
  await coordinator.close()
  throw new Exit(4, `etcd has another cluster than the one that this node is of (${clusterId}).`)
}

/** An empty directory is a drive of the map before anybody listens: a port that is taken is to be known by then. */
function tryPorts({ listen, adminAddress, adminPort }: NodeConfig): Promise<void> {
  return refuseTaken([
    { ...listen, option: '--listen' },
    { address: adminAddress, port: adminPort, option: '--admin-port' },
  ])
}

async function listen(server: NodeServer, { listen: where }: NodeConfig): Promise<number> {
  try {
    return (await server.listen(where)).port
  } catch (error) {
    throw portTaken(error, { ...where, option: '--listen' })
  }
}

/** Who listens on all addresses has to say which of them the others are to use. */
function refuseVague({ listen: { address, port }, advertise }: NodeConfig): void {
  if (advertise !== undefined || !['0.0.0.0', '::'].includes(address)) return
  throw new Exit(
    2,
    `--listen ${address}:${port} is every address of this machine: --advertise HOST:PORT says which one the others use.`,
  )
}

/** What others are told. */
function toldOrigin(
  { listen: { address }, advertise }: NodeConfig,
  port: number,
  isTls: boolean,
): string {
  const scheme = isTls ? 'https' : 'http'
  return advertise === undefined ? originOf(scheme, { address, port }) : `${scheme}://${advertise}`
}
