// A storage node: one process that keeps shards and replicas of metadata on its drives, and serves them to the gateways and
// the other nodes of its cluster.
import type { NodeConfig } from '../config-cluster.ts'
import { prepareDigests } from '../digest/prepare.ts'
import type { Tuning } from '../embedded/tuning.ts'
import { Exit, portTaken } from '../exit.ts'
import { asBuffer } from '../kit/bytes.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { CoordinatorUnavailable } from '../placement/coordinator.ts'
import { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { type NodeRegistration, NodeRegistry } from '../placement/etcd/node-registry.ts'
import type { StorageNode } from '../storage-node/contract.ts'
import { DriveLocked, lockDrive, openLevelDb } from '../storage-node/drive-lock.ts'
import { DrivesOfNodes } from '../storage-node/drives-of-nodes.ts'
import { NodeServer } from '../storage-node/rpc/node-server.ts'
import { answerPings, joinServices, Peers } from '../storage-node/rpc/peers.ts'
import { VERSIONS } from '../storage-node/rpc/session-format.ts'
import { ShardService } from '../storage-node/rpc/shard-service.ts'
import { type Chores, startChores } from './chores.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import { openEtcd, readTlsFiles } from './etcd.ts'
import { identityIn } from './identity.ts'
import { NodeCare } from './node-care.ts'
import { type NodeFile, readNodeFile } from './node-file.ts'
import { openNodeMetadata } from './node-metadata.ts'
import { readinessOfNode } from './node-readiness.ts'
import { openNodeStorage } from './node-storage.ts'
import { startNodeUpkeep } from './node-upkeep.ts'
import { followOrigins } from './origins.ts'

/** What the outside of a node is made of. */
export interface NodeParts {
  world: World
  log: Log
  registry: Registry
  tuning?: Tuning
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

/** An address is told again so often until etcd has it. */
const REGISTER_EVERY_MS = 5_000

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
  await lockState(config.stateDirectory, world, opened)
  const coordinator = await openCoordinator(file, config, parts)
  opened.defer(() => coordinator.close())
  const { nodeId, clusterId } = file
  const identity = identityIn(coordinator, nodeId)
  const tls = config.nodeTls && (await readTlsFiles(config.nodeTls, world))
  const home = { nodeId, zone: config.zone }
  const storage = await openNodeStorage(config.directories, home, { ...parts, coordinator }, opened)
  const nodes = new NodeRegistry(coordinator.mirror, parts)
  const peers = new Peers({ identity, tls }, world)
  opened.defer(() => peers.close())
  const stopFollowing = followOrigins({ nodes, mirror: coordinator.mirror, peers }, nodeId)
  opened.defer(async () => stopFollowing())
  const shards = new ShardService(storage.node, { clock: world.clock, log })
  opened.defer(() => shards.close())
  const metadata = await openNodeMetadata(
    { ...parts, coordinator, storage, peers, graceMs: config.garbageGraceMs },
    opened,
  )
  await storage.serve(metadata.host)
  const service = joinServices([shards, answerPings(), ...metadata.services])
  const server = new NodeServer({ identity, tls }, { world, log, service })
  const port = await listen(server, config)
  const origin = originOf(config, port, tls !== undefined)
  await register({ nodeId, origin, zone: config.zone }, { ...parts, nodes }, opened)
  metadata.start()
  const chores = startChores({ ...parts, nodeId, coordinator, peers }, opened)
  chores.lead(metadata)
  startNodeUpkeep(
    config,
    {
      ...{ ...parts, coordinator },
      node: drivesOfCluster(storage.node, { ...parts, nodeId, coordinator, peers, chores }, opened),
      findLed: (id) => metadata.led.find(id),
    },
    opened,
  )
  return {
    ...{ nodeId, clusterId, origin },
    drives: storage.drives.list(),
    readiness: () => readinessOfNode(storage.drives.list(), coordinator),
    close: async ({ deadlineMs }) => {
      await server.close({ deadlineMs })
      await opened.close()
    },
  }
}

/** All drives of the cluster; those of this node without a detour. Nobody waits for nodes that are away. */
function drivesOfCluster(
  own: StorageNode,
  {
    nodeId,
    coordinator,
    peers,
    chores,
    ...parts
  }: Pick<NodeParts, 'world' | 'log'> & {
    nodeId: string
    coordinator: EtcdCoordinator
    peers: Peers
    chores: Chores
  },
  opened: ClosingStack,
): StorageNode {
  const nodeOf = nodesOfDrives(coordinator)
  const drives = new DrivesOfNodes((driveId) => {
    const home = nodeOf(driveId)
    if (home === nodeId) return own
    return home === undefined ? undefined : peers.nodeOf(home)
  })
  const care = new NodeCare({ ...parts, coordinator, pulse: chores.pulse })
  opened.defer(() => care.stop())
  return care.guard(drives)
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

/** Two processes with one name would answer for each other. */
async function lockState(directory: string, world: World, opened: ClosingStack): Promise<void> {
  try {
    const lock = await lockDrive(world, directory, openLevelDb)
    opened.defer(() => lock.close())
  } catch (error) {
    if (!(error instanceof DriveLocked)) throw error
    throw new Exit(3, `the node of ${directory} runs already.`, { cause: error })
  }
}

async function openCoordinator(
  { etcd: where, clusterId }: NodeFile,
  { stateDirectory, etcdAccess }: NodeConfig,
  { world, log }: NodeParts,
): Promise<EtcdCoordinator> {
  const etcd = await openEtcd({ ...where, ...etcdAccess }, world)
  const options = { prefix: where.prefix, directory: stateDirectory }
  const coordinator = await EtcdCoordinator.open(options, { world, log, etcd }).catch((error) => {
    if (!(error instanceof CoordinatorUnavailable)) throw error
    throw new Exit(1, `${error.message}.`, { cause: error })
  })
  if (coordinator.state.clusterId === clusterId) return coordinator
  await coordinator.close()
  throw new Exit(4, `etcd has another cluster than the one that this node is of (${clusterId}).`)
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
function originOf(
  { listen: { address }, advertise }: NodeConfig,
  port: number,
  isTls: boolean,
): string {
  const host = address.includes(':') ? `[${address}]` : address
  const scheme = isTls ? 'https' : 'http'
  return `${scheme}://${advertise ?? `${host}:${port}`}`
}

/** Tells etcd where the node is; while etcd is away, the others go by what was told before. */
async function register(
  { nodeId, origin, zone }: { nodeId: string; origin: string; zone: string | undefined },
  { nodes, world, log }: Pick<NodeParts, 'world' | 'log'> & { nodes: NodeRegistry },
  opened: ClosingStack,
): Promise<void> {
  const node: NodeRegistration = {
    ...{ id: nodeId, address: origin, protocol: VERSIONS.newest },
    ...(zone === undefined ? {} : { zone }),
    bootId: asBuffer(world.random.bytes(8)).toString('hex'),
  }
  const { bootId } = node
  // An etcd that was restored may have forgotten it.
  const tell = async (): Promise<void> => {
    const isTold = nodes.list().some((known) => known.id === nodeId && known.bootId === bootId)
    if (!isTold) await nodes.register(node)
  }
  await tell().catch((error) => {
    if (!(error instanceof CoordinatorUnavailable)) throw error
    log.warn({ why: error.message }, 'etcd can not be told yet where this node is')
  })
  const telling = repeat('register', REGISTER_EVERY_MS, tell, { clock: world.clock, log })
  opened.defer(() => telling.stop())
  const ending = new AbortController()
  const signs = nodes.showSigns(nodeId, ending.signal)
  opened.defer(async () => {
    ending.abort()
    await signs
  })
}
