// What a node does beside serving, put together: it looks who answers, begins the cluster with the others, and once it leads
// partitions brings their replicas where they are wanted, and does the chores of all if it leads the first.
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { PartitionRecords } from '../placement/etcd/partition-records.ts'
import type {
  Decisions,
  Reigning,
  ReplicasOfNode,
  ReplicaTransport,
} from '../storage-node/replicated/contract.ts'
import type { Peers } from '../storage-node/rpc/peers.ts'
import { awaitBeginning } from './begin-cluster.ts'
import { NodePulse } from './node-pulse.ts'
import { ReplicaPlacer } from './place-replicas.ts'
import { STEWARD_PARTITION, Steward } from './steward.ts'

/** What the chores are given. */
export interface ChoreParts {
  nodeId: string
  world: World
  log: Log
  coordinator: EtcdCoordinator
  peers: Pick<Peers, 'ping'>
}

/** Of a node that leads partitions. */
export interface LeadingParts {
  decisions: Pick<Decisions, 'get'>
  replicas: Pick<ReplicasOfNode, 'onReign'>
  transport: Pick<ReplicaTransport, 'prepare'>
}

/** The chores of a node, until what is on `opened` is closed. */
export interface Chores {
  pulse: NodePulse
  /** Begins with what takes replicas. */
  lead(parts: LeadingParts): void
}

/** Begins with what takes no replicas. */
export function startChores(parts: ChoreParts, opened: ClosingStack): Chores {
  const { coordinator, world, nodeId } = parts
  const pulse = startPulse(parts, opened)
  const records = new PartitionRecords(coordinator.mirror, world)
  const beginning = awaitBeginning({ ...parts, records })
  opened.defer(() => beginning.stop())
  const lead = ({ decisions, replicas, transport }: LeadingParts): void => {
    const prepare: ReplicaTransport['prepare'] = (driveId, partition) =>
      transport.prepare(driveId, partition)
    const placer = new ReplicaPlacer({ ...parts, decisions, replicas, prepare })
    placer.start()
    opened.defer(() => placer.stop())
    let charge: Reigning | undefined
    const unwatch = replicas.onReign((reign) => {
      if (reign.partition === STEWARD_PARTITION) charge = reign
    })
    opened.defer(async () => unwatch())
    const isInCharge = (): boolean => charge !== undefined && !charge.ended.aborted
    const steward = new Steward({ ...parts, nodeId, pulse, isInCharge })
    steward.start()
    opened.defer(() => steward.stop())
  }
  return { pulse, lead }
}

/** Asks all other nodes that have drives whether they are there. A gateway is no node, and asks all. */
export function startPulse(
  { coordinator, peers, world, log, nodeId }: Omit<ChoreParts, 'nodeId'> & { nodeId?: string },
  opened: ClosingStack,
): NodePulse {
  const nodes = (): string[] => {
    const ids = coordinator.state.map.drives.flatMap((drive) => drive.nodeId ?? [])
    return [...new Set(ids)].filter((id) => id !== nodeId)
  }
  const ping: Peers['ping'] = (to, deadlineMs) => peers.ping(to, deadlineMs)
  const pulse = new NodePulse({ world, log, nodes, ping })
  pulse.start()
  opened.defer(() => pulse.stop())
  return pulse
}
