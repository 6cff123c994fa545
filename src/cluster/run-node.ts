// What a node of a cluster does once it knows who it is, has etcd and can be reached: it opens its drives and its replicas,
// serves them, and does its share of the chores. Sockets are of node.ts; a simulation has a network of its own.
import type { NodeConfig } from '../config-cluster.ts'
import { asBuffer } from '../kit/bytes.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { metaPartitionIds } from '../placement/cluster-map.ts'
import { CoordinatorUnavailable } from '../placement/coordinator.ts'
import type { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { hasMajority } from '../placement/etcd/leadership.ts'
import { type NodeRegistration, NodeRegistry } from '../placement/etcd/node-registry.ts'
import type { ShardLists, StorageNode } from '../storage-node/contract.ts'
import { DrivesOfNodes } from '../storage-node/drives-of-nodes.ts'
import { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import { answerWhatItKnows } from '../storage-node/rpc/knowledge-messages.ts'
import type { NodeService } from '../storage-node/rpc/node-service.ts'
import type { FindLed } from '../storage-node/rpc/partition-seams.ts'
import { answerPings, joinServices, type NodePeers } from '../storage-node/rpc/peers.ts'
import { answerWhomItHears } from '../storage-node/rpc/pulse-messages.ts'
import { VERSIONS } from '../storage-node/rpc/session-format.ts'
import { ShardService } from '../storage-node/rpc/shard-service.ts'
import { UpkeepService } from '../storage-node/rpc/upkeep-service.ts'
import { ScrubPositions } from '../storage-node/upkeep/scrub-position.ts'
import { nodesOfMap, startChores, startPulse } from './chores.ts'
import { DepartureCounts } from './departure-counts.ts'
import { describeDrivesOf } from './departures.ts'
import { drivesThere, nodesOfDrives } from './drive-nodes.ts'
import { Hearsay } from './hearsay.ts'
import { NodeCare } from './node-care.ts'
import { NodeDriveService } from './node-drive-service.ts'
import { startNodeDumps } from './node-dumps.ts'
import { openNodeFiles } from './node-files.ts'
import { type NodeMetadata, openNodeMetadata } from './node-metadata.ts'
import type { NodePulse } from './node-pulse.ts'
import { readinessOfNode } from './node-readiness.ts'
import { openRecoveryService } from './node-recovery.ts'
import { openNodeStorage } from './node-storage.ts'
import type { NodeTuning } from './node-tuning.ts'
import { NodeUpkeep } from './node-upkeep.ts'
import { followOrigins } from './origins.ts'
import { refuseCopies } from './refuse-copies.ts'
import { refuseTwin } from './refuse-twin.ts'
import type { NodeUpkeepOptions } from './running-upkeep.ts'
import { listUnserved } from './unserved-drives.ts'

/** What people set of a node that runs. */
export interface RunNodeOptions extends NodeUpkeepOptions, Pick<NodeConfig, 'directories'> {
  zone?: string | undefined
  /** Dumps of metadata are not older; absent: none are taken. */
  dumpPeriodMs?: number
}

/** What a node runs on. */
export interface RunNodeParts {
  world: World
  log: Log
  registry: Registry
  tuning?: NodeTuning
  nodeId: string
  /** The node had drives before. */
  hasServed?: boolean | undefined
  coordinator: EtcdCoordinator
  /** The ways to the other nodes. */
  openPeers(): NodePeers
  /** Others reach `service` from now on; gives where: `http://10.0.0.7:9100`. Who closes it is who calls runNode(). */
  listen(service: NodeService): Promise<string>
}

/** A node that serves. */
export interface RunningNode {
  /** Where the others reach it. */
  origin: string
  drives: readonly { id: number; path: string }[]
  readiness(): { ready: boolean; degraded: readonly string[] }
  /** Shards on them. */
  shards: StorageNode
  /** What lies on them. */
  lists: ShardLists
  metadata: NodeMetadata
  upkeep: NodeUpkeep
  /** Lets other nodes lead what this one leads, while it can still be asked. Resolves when they do, or when the time is over. */
  handOver(options: { deadlineMs: number }): Promise<void>
}

/** An address is told again so often until etcd has it. */
const REGISTER_EVERY_MS = 5_000

/** Runs until what is on `opened` is closed. Throws Exit with a sentence when the drives can not be served. */
export async function runNode(
  options: RunNodeOptions,
  parts: RunNodeParts,
  opened: ClosingStack,
): Promise<RunningNode> {
  const { world, log, coordinator, nodeId } = parts
  const { zone } = options
  const { mirror } = coordinator
  const nodes = new NodeRegistry(mirror, parts)
  const peers = parts.openPeers()
  opened.defer(() => peers.close())
  const stopFollowing = followOrigins({ nodes, mirror, peers, log }, nodeId)
  opened.defer(async () => stopFollowing())
  // Before anything is decided by what etcd says.
  const hearsay = new Hearsay({
    ...{ world, log, peers, mirror },
    nodes: () => nodesOfMap(coordinator).filter((id) => id !== nodeId),
  })
  opened.defer(() => hearsay.stop())
  await hearsay.look()
  // Before the map is told of any drive.
  await refuseTwin(nodeId, { nodes, openPeers: () => parts.openPeers(), clock: world.clock })
  const storage = await openNodeStorage(options.directories, { nodeId, zone }, parts, opened)
  const pulse = startPulse({ ...parts, peers }, opened)
  const shards = new ShardService(storage.node, { clock: world.clock, log })
  opened.defer(() => shards.close())
  const metadata = await openNodeMetadata(
    { ...parts, storage, peers, graceMs: options.garbageGraceMs },
    opened,
  )
  await refuseCopies(storage.drives.list(), nodeId, { coordinator, peers, clock: world.clock })
  await storage.serve(metadata.host)
  const findLed: FindLed = (id) => metadata.led.find(id)
  const { primaries } = metadata
  const upkeep = new NodeUpkeep()
  const counts = new DepartureCounts({
    ...{ ...parts, ...metadata },
    onNamed: () => upkeep.moveAgain(),
  })
  opened.defer(() => counts.stop())
  const drives = new NodeDriveService({
    ...{ ...parts, storage, peers, home: { nodeId, zone } },
    moves: () => upkeep.progress()?.moves,
    counts: () => counts.counts,
  })
  const recovery = openRecoveryService({ ...parts, ...metadata, storage }, opened)
  const service = joinServices([
    ...[shards, answerPings(world.clock), answerWhomItHears(() => pulse.list())],
    answerWhatItKnows(() => mirror.knowledge),
    ...[...metadata.services, drives, recovery],
    new UpkeepService({ findLed, primaries, upkeep }),
  ])
  const origin = await parts.listen(service)
  const isRemoved = ({ id }: { id: number }): boolean =>
    coordinator.state.map.removed?.includes(id) === true
  const isGone = (): boolean => storage.drives.list().every(isRemoved)
  await register({ nodeId, origin, zone }, { ...parts, nodes, isGone }, opened)
  metadata.start()
  const chores = startChores({ ...parts, peers, pulse }, opened)
  const leadership = chores.lead({
    ...metadata,
    describe: (to, deadlineMs) =>
      to === nodeId ? drives.describe() : describeDrivesOf(to, { peers, deadlineMs }),
  })
  drives.watch(opened)
  const { dumpPeriodMs } = options
  const dumps =
    dumpPeriodMs === undefined
      ? undefined
      : startNodeDumps(
          { dumpPeriodMs },
          {
            ...{ ...parts, ...metadata, world: storage.world, drives: storage.drives },
            recovery: new RemoteRecovery(peers, world),
          },
          opened,
        )
  upkeep.start(
    options,
    {
      ...parts,
      node: drivesOfCluster(storage.node, { ...parts, peers, pulse }, opened),
      findLed,
      files: openNodeFiles({
        ...{ ...parts, ...metadata, world: storage.world, drives: storage.drives, dumps },
        partitions: () => metaPartitionIds(coordinator.state.map),
      }),
      positions: new ScrubPositions({
        ...parts,
        world: storage.world,
        drives: () => storage.drives.list(),
      }),
      orphans: {
        ...{ lists: storage.lists, primaries, transport: peers },
        isMine: (driveId) => storage.drives.list().some(({ id }) => id === driveId),
      },
    },
    opened,
  )
  return {
    origin,
    drives: storage.drives.list(),
    shards: storage.node,
    lists: storage.lists,
    readiness: () => {
      const live = storage.drives.list()
      const own = { nodeId, live, leftOut: storage.leftOut }
      const unserved = listUnserved(coordinator.state.map, own)
      const nodesAway = nodesOfMap(coordinator).filter((id) => pulse.isAway(id))
      const isThere = drivesThere(coordinator.state.map, nodesAway)
      const stuck = metadata.led.list().filter(({ id }) => {
        const record = metadata.records.get(id)
        return record !== undefined && !hasMajority(record, isThere)
      })
      const node = { drives: live, unserved, nodesAway, stuck: stuck.length }
      return readinessOfNode(node, coordinator)
    },
    ...{ metadata, upkeep },
    handOver: (options) => leadership.handOver(options),
  }
}

/** All drives of the cluster; those of this node without a detour. Nobody waits for nodes that are away. */
function drivesOfCluster(
  own: StorageNode,
  {
    nodeId,
    coordinator,
    peers,
    pulse,
    ...parts
  }: Pick<RunNodeParts, 'world' | 'log' | 'nodeId' | 'coordinator'> & {
    peers: NodePeers
    pulse: NodePulse
  },
  opened: ClosingStack,
): StorageNode {
  const nodeOf = nodesOfDrives(coordinator)
  const drives = new DrivesOfNodes((driveId) => {
    const home = nodeOf(driveId)
    if (home === nodeId) return own
    return home === undefined ? undefined : peers.nodeOf(home)
  })
  const care = new NodeCare({ ...parts, coordinator, pulse })
  opened.defer(() => care.stop())
  return care.guard(drives)
}

/** Tells etcd where the node is; while etcd is away, the others go by what was told before. */
async function register(
  { nodeId, origin, zone }: { nodeId: string; origin: string; zone: string | undefined },
  {
    nodes,
    world,
    log,
    isGone,
  }: Pick<RunNodeParts, 'world' | 'log'> & { nodes: NodeRegistry; isGone(): boolean },
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
    // A node whose drives were all removed is one no more.
    if (isGone()) return
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
