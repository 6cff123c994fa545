// Who decides what the cluster agrees on: map, in-sync sets of metadata partitions, bucket registry.
// Embedded: a file on every drive (coordinator-file.ts). Clusters: etcd. Objects never wait for it.
import type { ErasureCode } from '../kit/erasure-code.ts'
import type { BucketId } from '../metadata/records.ts'
import type { ClusterMap } from './cluster-map.ts'

/** One copy of a metadata partition: a drive and the incarnation of its log, random at creation. */
export interface Replica {
  driveId: number
  incarnation: string
}

/** Who holds a metadata partition. Embedded, an entry commits when it is durable on every in-sync replica. */
export interface MetaPartitionState {
  /** Grows with every start and every change of the set: fences older writers. */
  epoch: number
  inSync: Replica[]
}

/** Object Lock of a bucket. Once on it stays on. */
export interface BucketLock {
  /** What new versions get that name no retention; exactly one of days and years. */
  defaultRetention?: { mode: 'GOVERNANCE' | 'COMPLIANCE'; days?: number; years?: number }
}

/** How objects of a bucket are encrypted that do not say it themselves. */
export interface BucketEncryption {
  kind: 'SSE-S3' | 'SSE-KMS'
  /** SSE-KMS: absent for the key that the store uses otherwise. */
  keyId?: string
  bucketKey?: boolean
  /** Nobody may encrypt with keys of their own. */
  blocksCustomerKeys?: true
}

/** What owners set on a bucket. Every change is a new revision, which all partitions know before it is answered. */
export interface BucketSettings {
  /** Absent: it was never versioned. */
  versioning?: 'enabled' | 'suspended'
  objectLock?: BucketLock
  encryption?: BucketEncryption
}

/** A bucket of the registry. */
export interface Bucket {
  name: string
  id: BucketId
  createdMs: number
  region: string
  /** Grows with every change of the bucket; partitions refuse lower ones. */
  revision: number
  state: 'live' | 'deleting'
  /** Clusters: every partition found it empty and took nothing more. The deletion is only ever gone on with. */
  isEmpty?: true
  settings?: BucketSettings
}

/** Since when shards that no row names are kept: the first recovery after which nobody released them. */
export interface OrphanHold {
  sinceMs: number
}

/**
 * Why etcd decides nothing. `away`: nothing was changed. `open`: it went away meanwhile, and what was asked for may have
 * been decided or may be still. `restored`: it is older than what was known here. `refused`: it says so, or its state can
 * not be read. `contended`: others were quicker all the time. `full`: embedded, a drive has no room, and none has anything
 * of what was asked for.
 */
export type Undecided = 'away' | 'open' | 'restored' | 'refused' | 'contended' | 'full'

/** Thrown by decide() when nothing can be decided now, or when nobody knows whether it was. */
export class CoordinatorUnavailable extends Error {
  override readonly name = 'CoordinatorUnavailable'
  readonly code = 'COORDINATOR_UNAVAILABLE'
  readonly why: Undecided | undefined

  constructor(message: string, options: ErrorOptions & { why?: Undecided } = {}) {
    super(message, options)
    this.why = options.why
  }
}

/** What was said when a cluster of many machines was made. */
export interface ClusterSettings {
  /** Of so many nodes the drives have to be known before the first map is made. */
  nodesExpected: number
  /** Of new objects, where somebody chose it. Otherwise the number of drives and nodes decides. */
  code?: ErasureCode
  /** What nodes and gateways prove to each other that they belong here with: 32 bytes in hex. */
  secret: string
  /** Layouts are taken in which the loss of one node loses data. */
  allowsUnsafeLayout?: true
}

/** Everything that is agreed on, in one value per epoch. */
export interface ClusterState {
  clusterId: string
  epoch: number
  map: ClusterMap
  /** Embedded. Empty in a cluster: there each partition has a record of its own (etcd/partition-records.ts). */
  metaPartitions: MetaPartitionState[]
  buckets: Record<string, Bucket>
  nextBucketId: BucketId
  nextDriveId: number
  /** The key made at the first start, unless the environment gave one. */
  rootCredentials?: { accessKeyId: string; secretAccessKey: string }
  /** Absent embedded. */
  cluster?: ClusterSettings
  /** While it is here no shard is deleted for want of a row that names it: rows were made again, perhaps not all of them. */
  orphanHold?: OrphanHold
  /** Wrapping keys made by the store itself where no key provider is configured, newest first; base64. */
  wrappingKeys?: { id: string; key: string }[]
}

/**
 * A change computes the next state from the current one (pure); undefined means: nothing to change after all. It may be
 * asked several times, each time with a newer state: the last answer is the one that counts.
 */
export type Change = (state: ClusterState) => Omit<ClusterState, 'epoch'> | undefined

/** The one who decides. */
export interface Coordinator {
  /** The latest decision. */
  readonly state: ClusterState
  /**
   * Applies changes one after the other. Resolves with the state that the change led to, once it is durable as the
   * implementation promises. Rejects with CoordinatorUnavailable.
   */
  decide(change: Change): Promise<ClusterState>
  /**
   * Resolves with a state that has every decision that was acknowledged before the call, whoever asked for it; absent where
   * `state` always has them. Rejects with CoordinatorUnavailable.
   */
  refresh?(): Promise<ClusterState>
  /** Calls back after every decision; returns how to stop. */
  watch(listener: (state: ClusterState) => void): () => void
}
