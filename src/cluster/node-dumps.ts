// Dumps of metadata that a node keeps on its drives: of the partitions that fall to it (placement/dump-nodes.ts), with rows from
// whoever leads them, here or elsewhere. So a dump is as of one position of a log that counted just before.
import type { LiveDrives } from '../embedded/live-drives.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { Registry } from '../kit/metrics.ts'
import { repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { parseReplicaId } from '../metadata/replication/replica-id.ts'
import { MetadataUnavailable } from '../metadata/unavailable.ts'
import { metaPartitionIds } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { type DumpNodes, dumpNodes } from '../placement/dump-nodes.ts'
import { compareMoments, type DumpMoment } from '../storage-node/dump/dump-order.ts'
import { type DumpPlan, inOrder, stayingOf } from '../storage-node/dump/dump-plan.ts'
import { listDumpMetrics, MetadataDumps } from '../storage-node/dump/metadata-dumps.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import type {
  Decisions,
  ReplicasOfNode,
  ReplicaTransport,
} from '../storage-node/replicated/contract.ts'

/** What they are made with. */
export interface NodeDumpParts {
  nodeId: string
  world: World
  log: Log
  registry: Registry
  coordinator: Pick<Coordinator, 'state'>
  decisions: Pick<Decisions, 'get'>
  host: Pick<ReplicasOfNode, 'lives' | 'serveRows'>
  transport: Pick<ReplicaTransport, 'copyRows'>
  drives: Pick<LiveDrives, 'list'>
  /** The other nodes. */
  recovery: Pick<RemoteRecovery, 'dumps' | 'readDump'>
}

/** Dumps are days old: who looks more often finds nothing. */
const LOOK_EVERY_MS = 10 * 60_000
/** Looks in the time that a dump is to be renewed, where that is short. */
const LOOKS = 50
const LOOK_MS_MIN = 500

/** Takes dumps from time to time until what is on `opened` is closed. */
export function startNodeDumps(
  { dumpPeriodMs }: { dumpPeriodMs: number },
  parts: NodeDumpParts,
  opened: ClosingStack,
): MetadataDumps {
  const { world, log, drives, registry } = parts
  const bornMs = Math.min(...drives.list().map(({ marker }) => marker.createdMs))
  const dumps = new MetadataDumps(
    { everyMs: dumpPeriodMs, bornMs },
    { ...parts, plan: planOfNode(parts), drives: () => drives.list() },
  )
  const everyMs = Math.min(LOOK_EVERY_MS, Math.max(LOOK_MS_MIN, dumpPeriodMs / LOOKS))
  const take = (signal: AbortSignal): Promise<void> => dumps.takeDue(signal)
  const taking = repeat('dump-metadata', everyMs, take, { clock: world.clock, log })
  opened.defer(() => taking.stop())
  listDumpMetrics(dumps, registry)
  return dumps
}

/** The partitions of this node: nobody else writes on its drives. */
export function planOfNode(parts: Omit<NodeDumpParts, 'registry' | 'drives'>): DumpPlan {
  const { nodeId, coordinator, decisions, recovery } = parts
  const replicasOf = (partition: number): number[] =>
    (decisions.get(partition)?.replicas ?? []).flatMap((id) => parseReplicaId(id)?.driveId ?? [])
  const nodesOf = (partition: number): DumpNodes =>
    dumpNodes(coordinator.state.map, partition, replicasOf(partition))
  return {
    partitions: () =>
      metaPartitionIds(coordinator.state.map).filter((id) => nodesOf(id).nodes.includes(nodeId)),
    drivesFor: (partition, roomy) => {
      const { nodes, copiesOfEach } = nodesOf(partition)
      if (!nodes.includes(nodeId)) return []
      const replicas = new Set(replicasOf(partition))
      const { map } = coordinator.state
      return inOrder(partition, roomy, { map, replicas }).slice(0, copiesOfEach)
    },
    staying: (drives) => stayingOf(drives, coordinator.state.map),
    rows: (partition, signal) => rowsOfLeader(partition, signal, parts),
    haveNewer: async (partition, than) => {
      const others = nodesOf(partition).nodes.filter((node) => node !== nodeId)
      const asked = others.map((node) => hasNewer(node, partition, than, recovery))
      const answers = await Promise.allSettled(asked)
      return answers.some((answer) => answer.status === 'fulfilled' && answer.value)
    },
  }
}

/** By the log: the clock of a node may have been wrong when it took its dumps. */
async function hasNewer(
  node: string,
  partition: number,
  than: DumpMoment,
  recovery: NodeDumpParts['recovery'],
): Promise<boolean> {
  for (const takenMs of await recovery.dumps(node, partition)) {
    // The first page tells the position. One that is damaged is none.
    const pages = recovery.readDump(node, partition, takenMs)[Symbol.asyncIterator]()
    const first = await pages.next().catch(() => undefined)
    await pages.return?.(undefined)
    if (first === undefined || first.done) continue
    if (compareMoments({ position: first.value.position, takenMs }, than) > 0) return true
  }
  return false
}

/** A replica that leads has every row that counts; one that does not may be far behind, or suspected. */
function rowsOfLeader(
  partition: number,
  signal: AbortSignal,
  { decisions, host, transport }: Pick<NodeDumpParts, 'decisions' | 'host' | 'transport'>,
): ReturnType<DumpPlan['rows']> {
  const primary = decisions.get(partition)?.primary
  if (primary === undefined) throw new MetadataUnavailable(`nobody leads partition ${partition}`)
  if (host.lives(primary, partition)) return host.serveRows(primary, partition, signal)
  return transport.copyRows(primary, partition, signal)
}
