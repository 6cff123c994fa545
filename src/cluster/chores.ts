// What a node does beside serving, put together: it looks who answers, begins the cluster with the others, and once it leads
// partitions brings their replicas where they are wanted, and does the chores of all if it leads the first.
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import { repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { hasTable, nodeIdsOf } from '../placement/cluster-map.ts'
import type { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { replicaDrives } from '../placement/replica-drives.ts'
import type { Decisions, Reigning, ReplicasOfNode } from '../storage-node/replicated/contract.ts'
import { ReplicaKeeper } from '../storage-node/replicated/replica-keeper.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import { askWhomItHears } from '../storage-node/rpc/pulse-messages.ts'
import { awaitBeginning } from './begin-cluster.ts'
import { type DepartureParts, seeDrivesOut } from './departures.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import { Leadership } from './leadership.ts'
import { NodePulse } from './node-pulse.ts'
import type { NodeTuning } from './node-tuning.ts'
import { STEWARD_PARTITION, Steward, USUAL_STEWARD } from './steward.ts'

/** What the chores are given. */
export interface ChoreParts {
  nodeId: string
  world: World
  log: Log
  coordinator: EtcdCoordinator
  peers: Pick<NodePeers, 'ask'>
  pulse: NodePulse
  tuning?: NodeTuning
}

/** Of a node that leads partitions. */
export interface LeadingParts {
  decisions: Pick<Decisions, 'get'>
  describe: DepartureParts['describe']
  host: Pick<ReplicasOfNode, 'onReign' | 'make'>
}

/** The chores of a node, until what is on `opened` is closed. */
export interface Chores {
  /** Begins with what takes replicas; gives how to let others lead. */
  lead(parts: LeadingParts): Pick<Leadership, 'handOver'>
}

/** Begins with what takes no replicas. */
export function startChores(parts: ChoreParts, opened: ClosingStack): Chores {
  const { coordinator, world, nodeId, pulse, peers } = parts
  const records = new PartitionRecords(coordinator.mirror, world)
  const beginning = awaitBeginning({ ...parts, records })
  opened.defer(() => beginning.stop())
  const nodeOf = nodesOfDrives(coordinator)
  const lead = ({ decisions, host, describe }: LeadingParts): Pick<Leadership, 'handOver'> => {
    const keeper = new ReplicaKeeper({
      ...{ ...parts, decisions },
      host: {
        onReign: (listener) => host.onReign(listener),
        // Others wait behind it.
        make: async (driveId, partition) => {
          if (!pulse.isAway(nodeOf(driveId) ?? '')) return await host.make(driveId, partition)
          throw new Error(`the node of drive ${driveId} does not answer`)
        },
      },
      wantedDrives: (partition, current) => {
        const { map } = coordinator.state
        return hasTable(map) ? replicaDrives(map, partition, current) : current
      },
    })
    keeper.start()
    opened.defer(() => keeper.close())
    let charge: Reigning | undefined
    const unwatch = host.onReign((reign) => {
      if (reign.partition === STEWARD_PARTITION) charge = reign
    })
    opened.defer(async () => unwatch())
    const isInCharge = (): boolean => charge !== undefined && !charge.ended.aborted
    const times = { ...USUAL_STEWARD, ...parts.tuning?.steward }
    const steward = new Steward(
      {
        ...{ ...parts, isInCharge },
        nodes: () => nodesOfMap(coordinator),
        askWhomItHears: (to, deadlineMs) => askWhomItHears(to, { peers, deadlineMs }),
      },
      times,
    )
    steward.start()
    opened.defer(() => steward.stop())
    const seeOut = async (): Promise<void> => {
      if (isInCharge()) await seeDrivesOut({ ...parts, records, nodeOf, describe })
    }
    const { everyMs } = times
    const seeing = repeat('see-drives-out', everyMs, seeOut, { clock: world.clock, log: parts.log })
    opened.defer(() => seeing.stop())
    const leadership = new Leadership({
      ...{ ...parts, decisions, host, nodeOf },
      fitNodes: () =>
        nodesInService(coordinator).filter((id) => id === nodeId || pulse.answers(id)),
      partitionCount: () => coordinator.state.map.metaPartitionCount,
    })
    leadership.start()
    opened.defer(() => leadership.stop())
    return leadership
  }
  return { lead }
}

/** Nodes with a drive that works and is to stay. */
function nodesInService({ state }: Pick<EtcdCoordinator, 'state'>): string[] {
  const working = state.map.drives.filter((drive) => drive.state === 'active' && !drive.isLeaving)
  return nodeIdsOf(working)
}

/** Ids of the nodes that have drives. */
export function nodesOfMap({ state }: Pick<EtcdCoordinator, 'state'>): string[] {
  return nodeIdsOf(state.map.drives)
}

/** Of whoever asks. */
export interface PulseOfNodesParts extends Pick<ChoreParts, 'coordinator' | 'world' | 'log'> {
  peers: Pick<NodePeers, 'ping' | 'heardMs'>
  /** A gateway is no node. */
  nodeId?: string
}

/** Asks all other nodes that have drives whether they are there. */
export function startPulse(
  { coordinator, peers, world, log, nodeId }: PulseOfNodesParts,
  opened: ClosingStack,
): NodePulse {
  const nodes = (): string[] => nodesOfMap(coordinator).filter((id) => id !== nodeId)
  const ping: NodePeers['ping'] = (to, deadlineMs) => peers.ping(to, deadlineMs)
  const heardMs = (id: string): number | undefined => peers.heardMs?.(id)
  const pulse = new NodePulse({ world, log, nodes, ping, heardMs })
  pulse.start()
  opened.defer(() => pulse.stop())
  return pulse
}
