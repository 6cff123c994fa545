// The metadata of a node: replicas on its drives, which speak with those of other nodes, and the partitions that it leads.

import { hasRoomForRows, isGrowing } from '../embedded/space.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import { Overloaded } from '../kit/semaphore.ts'
import type { World } from '../kit/world.ts'
import { parseReplicaId } from '../metadata/replication/replica-id.ts'
import type { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { Founder } from '../storage-node/replicated/founder.ts'
import { PeerTransport } from '../storage-node/replicated/peer-transport.ts'
import { RecordDecisions } from '../storage-node/replicated/record-decisions.ts'
import { ReplicaHost } from '../storage-node/replicated/replica-host.ts'
import { ReplicaService } from '../storage-node/replicated/replica-service.ts'
import type { NodeService } from '../storage-node/rpc/node-service.ts'
import type { PrimaryHints } from '../storage-node/rpc/partition-seams.ts'
import { PartitionService } from '../storage-node/rpc/partition-service.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import { closedDriveNamedBy } from './closed-drives.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import { LedPartitions } from './led-partitions.ts'
import type { NodeStorage } from './node-storage.ts'
import type { NodeTuning } from './node-tuning.ts'
import { primaryHints } from './primary-hints.ts'

/** What it is opened with. */
export interface NodeMetadataParts {
  world: World
  log: Log
  coordinator: EtcdCoordinator
  storage: NodeStorage
  peers: NodePeers
  /** Bytes of deleted objects are kept for so long at least. */
  graceMs: number
  tuning?: NodeTuning
}

/** Replicas and partitions of a node. */
export interface NodeMetadata {
  host: ReplicaHost
  led: LedPartitions
  decisions: RecordDecisions
  records: PartitionRecords
  transport: PeerTransport
  /** Who leads partitions, as last heard. */
  primaries: PrimaryHints
  /** What others may ask. */
  services: readonly NodeService[]
  /** Begins, once others can reach this node. */
  start(): void
}

/** Opens the replicas on the drives that work; what is to be closed goes on `opened`. */
export async function openNodeMetadata(
  { world, log, coordinator, storage, peers, graceMs, tuning }: NodeMetadataParts,
  opened: ClosingStack,
): Promise<NodeMetadata> {
  const records = new PartitionRecords(coordinator.mirror, world)
  const decisions = new RecordDecisions(records)
  opened.defer(async () => decisions.close())
  const nodeOf = nodesOfDrives(coordinator)
  const transport = new PeerTransport({ world, log, peers, nodeOf })
  const working = storage.drives.list().filter(({ failure }) => failure === undefined)
  const drives = new Map(working.map((drive) => [drive.id, drive]))
  const host = await ReplicaHost.open(
    { drives, ...(tuning?.replicas ? { limits: tuning.replicas } : {}) },
    {
      ...{ world: storage.world, log, decisions, transport },
      ...(tuning?.openLevel ? { openLevel: tuning.openLevel } : {}),
    },
  )
  opened.defer(() => host.close())
  transport.hear((message) => host.receive(message))
  const replicas = new ReplicaService({ host, world, transport })
  opened.defer(async () => replicas.close())
  const led = new LedPartitions({
    ...{ world, log, replicas: host, graceMs, blobAgeMsMax: tuning?.orphans?.blobAgeMsMax },
    admit: (partition, command) => {
      const closed = closedDriveNamedBy(coordinator.state.map, command)
      if (closed !== undefined) throw new Overloaded(`drive ${closed} is leaving the cluster`)
      if (!isGrowing(command)) return
      const driveId = parseReplicaId(decisions.get(partition)?.primary ?? '')?.driveId
      if (driveId === undefined || hasRoomForRows(storage.space, driveId)) return
      // Whoever asked may be sure that nothing was done, and need not ask again and again.
      throw new Overloaded(`drive ${driveId} has no room for metadata`)
    },
  })
  opened.defer(async () => led.close())
  const primaries = primaryHints(records, nodeOf)
  const partitions = new PartitionService({
    findLed: (id) => led.find(id),
    ...{ primaries, clock: world.clock, log },
  })
  const partitionCount = (): number => coordinator.state.map.metaPartitionCount
  const founder = new Founder({ world, log, records, host, transport, partitionCount })
  opened.defer(() => founder.close())
  return {
    ...{ host, led, decisions, records, transport, primaries },
    services: [replicas, partitions],
    start: () => {
      host.start()
      founder.start()
    },
  }
}
