// What a cluster tells its root about itself through a gateway, and does on demand: the part of the JSON of /_kintsugi/v1/ that one
// machine has not. Types only, as in admin-api.ts.
import type {
  AdminApi,
  DriveDetails,
  DrivesApi,
  HealBegun,
  HealingStatus,
  MoveStatus,
  OrphansReleased,
} from './admin-api.ts'

/** All drives of a node are to be emptied, or not any more. */
export interface DrainNode {
  nodeId: string
  isCancelled: boolean
  reEncode: boolean
  /** It never comes back: what it had is made again from the others. Refused while it answers. */
  isLost: boolean
}

/** A command about a node was carried out. Sentences are for people. */
export interface NodeDone {
  nodeId: string
  sentence: string
}

/** What a command about a node gave. */
export type NodeOutcome = ({ kind: 'done' } & NodeDone) | { kind: 'refused'; sentence: string }

/** What can be done with the nodes of a cluster while it serves. */
export interface NodesApi {
  drain(request: DrainNode): Promise<NodeOutcome>
  remove(nodeId: string): Promise<NodeOutcome>
}

/** A drive as `kintsugi map` shows it: what the table of slots gives it, and what it still has. */
export interface MappedDrive extends DriveDetails {
  zone?: string
  /** Of the data partitions, how many have a slot of theirs on it, and how many should by weight. */
  slots: number
  idealSlots: number
  /** Partitions whose spare it is. */
  spares: number
  /** Metadata partitions that it leads. */
  leads: number
}

/** Where everything lies in a cluster, and what moves. */
export interface MapView {
  /** Of the decision that made it so. */
  epoch: number
  code: string
  partitions: number
  metaPartitions: number
  drives: readonly MappedDrive[]
  moving?: MoveStatus
  /** Metadata partitions whose replicas are changing. */
  changing: readonly number[]
  /** Ids of drives that were removed. */
  removed: readonly number[]
  /** By data partition: the drives of its slots in order, spares behind. Only when it was asked for. */
  table?: readonly (readonly number[])[]
}

/** A node of a cluster, as the gateway that is asked sees it. */
export interface ClusterNodeStatus {
  id: string
  zone?: string
  /** Where it said it is; absent for one that never registered. */
  address?: string
  /** Absent for one that has no drive of the map: nobody asks it. */
  answers?: boolean
  /** Of one that does not answer: whether etcd heard of it within the last seconds. Absent where nobody knows. */
  isHeardByEtcd?: boolean
  /** Its drives that are not out. */
  drives: number
  /** Metadata partitions that it leads. */
  leads: number
}

/** A drive of a cluster. */
export interface ClusterDriveStatus {
  id: number
  nodeId?: string
  state: 'active' | 'draining' | 'out'
  reason?: string
  /** Whether its node does. */
  answers: boolean
  /** Share of the data, relative to the others. */
  weight: number
  isLeaving: boolean
}

/** Who leads a metadata partition, and who has it: ids of drives. */
export interface ClusterPartitionStatus {
  id: number
  epoch: number
  primary?: number
  /** Whether the node of the primary answers, and the drive is in. */
  isLed: boolean
  replicas: readonly number[]
  /** How many of the replicas are on drives that are in, of nodes that answer. */
  there: number
  /** Whether most of them are: without that, nothing of it can be read or written. */
  hasMajority: boolean
  /** Another set of replicas takes over: both count until it is done. */
  isChanging: boolean
}

/**
 * The worst that is true. `healthy` is only said when every partition is led by a node that answers and that found every
 * blob whole, each byte having been read since it leads it. `serving`: nothing is known to be wrong, but not everything was
 * looked at. `degraded`: something does not answer, is out, or has fewer replicas than it is to have.
 */
export type ClusterHealth = 'healthy' | 'serving' | 'mending' | 'degraded' | 'damaged'

/** How a cluster stands, as far as one gateway knows. */
export interface ClusterStatus {
  kind: 'cluster'
  health: ClusterHealth
  /** One sentence each. */
  reasons: readonly string[]
  clusterId: string
  code: string
  reducedCode: string
  etcd: { kind: 'current' | 'away' | 'restored'; sinceMs?: number; why?: string }
  nodes: readonly ClusterNodeStatus[]
  drives: readonly ClusterDriveStatus[]
  /** Replicas that each partition is to have. */
  replicas: number
  partitions: readonly ClusterPartitionStatus[]
  /** Of all nodes that answer. */
  healing: HealingStatus
}

/** A cluster as its root sees it through a gateway. */
export interface ClusterApi {
  clusterStatus(): Promise<ClusterStatus>
  inspect: AdminApi['inspect']
  healing(): Promise<HealingStatus>
  /** As AdminApi.beginHeal(), by all nodes. */
  beginHeal(): Promise<HealBegun>
  map(options: { withTable: boolean }): Promise<MapView>
  drives: DrivesApi
  nodes: NodesApi
  /** As AdminApi.releaseOrphans(). */
  releaseOrphans(): Promise<OrphansReleased>
}
