// What the store tells its root about itself, and does on demand, beside S3: the JSON of /_kintsugi/v1/.
// Types only: the store implements them, the gateway serves them, the command line shows them.

/** Begins every path of the admin API. No bucket can have this name. */
export const ADMIN_PREFIX = '/_kintsugi/v1/'

/**
 * `healthy` is only said when a pass that began after the last event verified every byte that was there, nothing is
 * owed, and every drive and every metadata replica is there. `not-verified`: nothing is known to be wrong, but nobody has looked.
 */
export type StoreHealth = 'healthy' | 'not-verified' | 'mending' | 'degraded' | 'damaged'

/** How the store stands. */
export interface StoreStatus {
  health: StoreHealth
  /** One sentence each: why it is not healthy. */
  reasons: readonly string[]
  /** As `4+2`: of new objects, and of those of the class REDUCED_REDUNDANCY. */
  code: string
  reducedCode: string
  drives: readonly DriveStatus[]
  metadata: MetadataStatus
  healing: HealingStatus
  /** Multipart uploads that were neither completed nor aborted, and the bytes of their parts, without parity. */
  uploads: { count: number; bytes: number; oldestMs?: number }
  orphans: OrphanStatus
  /** How often the process was started again since its guard began, and after which signal last; absent when never. */
  restarts?: { count: number; last?: { signal: string; ms: number } }
  /** The one that has the store, then those that serve S3, and how often one of these was started again; absent where one process does it all. */
  processes?: { pids: readonly number[]; restarts: number }
}

/** Shards that no object names. Counts are since the start of the process; `left`: what the last pass did not delete. */
export interface OrphanStatus {
  passes: number
  lastPassMs?: number
  deleted: number
  deletedBytes: number
  adopted: number
  left: { unreadable: number; useless: number; undecided: number; held: number }
  /** Since this recovery none is deleted, nor is an upload aborted; absent where they go as usual. */
  heldSinceMs?: number
}

/** Orphans may be deleted again; without a time they were not held. */
export interface OrphansReleased {
  heldSinceMs?: number
}

/** A drive of the store. `failed`: it failed, and that is not on record yet. */
export interface DriveStatus {
  id: number
  /** Absent for a drive that was not there at the start. */
  path?: string
  state: 'active' | 'draining' | 'out' | 'failed'
  reason?: string
  /** How it does while it is here, unless that is well. One that is `out` with a condition comes back by itself. */
  condition?: 'slow' | 'erroring' | 'hanging'
  /** Nothing names it any more: it can be removed, and is not missed. */
  isVacated?: boolean
  /** Absent for a drive that can not be asked. */
  space?: SpaceStatus
}

/**
 * How full the file system of a drive is; drives may share one. `no-moves`: it takes no shards that are made again or
 * moved. `read-only`: no new data either. `failsafe`: nothing but what deletes need.
 */
export interface SpaceStatus {
  level: 'ample' | 'near-full' | 'no-moves' | 'read-only' | 'failsafe'
  freeBytes: number
  totalBytes: number
  /** Both 0 where inodes have no limit. */
  freeInodes: number
  totalInodes: number
  /** Of what is free, promised to writers. */
  promisedBytes: number
}

/** A drive as `kintsugi drive list` shows it. */
export interface DriveDetails extends DriveStatus {
  /** Clusters: the node that has it. */
  nodeId?: string
  /** Clusters: its node does not say how it is. */
  isUnheard?: true
  /** Share of the data, relative to the others: GiB of its file system. */
  weight: number
  /** It is to be emptied. */
  isLeaving: boolean
  /** Nothing names it any more: it can be removed. */
  isVacated: boolean
  /** Of its file system; absent when the drive does not answer. */
  totalBytes?: number
  freeBytes?: number
  /** Replicas of metadata partitions on it. */
  metadataReplicas: number
  /** Of a drive that is to leave or is out: how many blobs still name it; absent when they were not counted yet. */
  blobs?: number
  /** Of such a drive: copies that moved away and lie there still, for whoever reads them. It is vacated without any. */
  oldCopies?: number
}

/** What moves because drives came or leave. Counts are since the start of the process, what remains as last counted. */
export interface MoveStatus {
  phase: 'idle' | 'counting' | 'moving'
  movedShards: number
  movedBytes: number
  /** Blobs written again with another code, because too few drives stay for theirs; and those still to be. */
  reEncodedBlobs: number
  remainingReEncodes?: number
  remainingShards?: number
  remainingBytes?: number
  bytesPerSecond?: number
  /** Of the remaining shards, those that wait for drives that do not answer. */
  waitingShards?: number
  /** Until all others have moved; absent as long as nobody can tell. */
  leftMs?: number
}

/** All drives of the store. */
export interface DriveList {
  drives: readonly DriveDetails[]
  moving?: MoveStatus
}

/** A directory of the machine that the store runs on, or of a node, is to be a drive. */
export interface AddDrive {
  /** Clusters: the node whose directory it is. */
  nodeId?: string
  /** Absolute. */
  path: string
  /** By the size of its file system when absent. */
  weight?: number
}

/** A directory is to be the drive in place of another one. */
export interface ReplaceDrive extends AddDrive {
  driveId: number
}

/** A drive is to be emptied. */
export interface DrainDrive {
  driveId: number
  /** It is not to be emptied any more. */
  isCancelled: boolean
  /** Objects may be written again with another code when too few drives are left for theirs. */
  reEncode: boolean
}

/** A drive is to have another share of the data. */
export interface WeighDrive {
  driveId: number
  weight: number
}

/** A command about drives was carried out. Sentences are for people. */
export interface DriveDone {
  driveId: number
  sentence: string
  warnings: readonly string[]
}

/** What a command about drives gave. */
export type DriveOutcome = ({ kind: 'done' } & DriveDone) | { kind: 'refused'; sentence: string }

/** The drives of the store, and what can be done with them while it runs. */
export interface DrivesApi {
  list(): Promise<DriveList>
  add(request: AddDrive): Promise<DriveOutcome>
  replace(request: ReplaceDrive): Promise<DriveOutcome>
  drain(request: DrainDrive): Promise<DriveOutcome>
  weigh(request: WeighDrive): Promise<DriveOutcome>
  remove(driveId: number): Promise<DriveOutcome>
}

/** How many partitions of metadata have all their replicas. */
export interface MetadataStatus {
  partitions: number
  inSync: number
  /** Replicas that each is to have. */
  replicas: number
}

/** A pass over all blobs that is under way. A check looks for missing shards, a scrub reads every byte. */
export interface PassStatus {
  kind: 'check' | 'scrub'
  startedMs: number
  blobs: number
  /**
   * How many it will be in all, about, and how long it takes: by its schedule where it is spread over a time, else at the
   * pace so far. Absent as long as nobody can tell.
   */
  blobsExpected?: number
  leftMs?: number
  bytes: number
  mendedShards: number
}

/** A blob of which too few shards are left, or that could not be looked at. */
export interface UnrepairableStatus {
  bucket?: string
  key?: string
  uid: string
  part: number
  good?: number
  needed?: number
  error?: string
}

/** How it stands with mending. Counts are since the start of the process. */
export interface HealingStatus {
  /** A scrub that began after the last event left nothing owed, and nothing is known to be owed now. */
  verified: boolean
  lastVerifiedMs?: number
  /** The last start, change of a drive or damage that a reader found. Clusters: 0, they have many. */
  lastEventMs: number
  queued: number
  /** Blobs that owe shards for which there is no drive. */
  waiting: number
  passes: readonly PassStatus[]
  ended: { check: number; scrub: number }
  /** Clusters: scrubs that ended, by node; one that does not answer is not among them. */
  endedScrubs?: Readonly<Record<string, number>>
  /** What moves because drives came or leave. */
  moves?: MoveStatus
  checkedBlobs: number
  mendedShards: number
  bytesRead: number
  bytesWritten: number
  /** Files that are no shards: rows and logs of metadata, indexes, decisions, markers. */
  checkedFiles: number
  damagedFiles: number
  /** Clusters: shards that no object names, deleted by the nodes since their starts. */
  orphans?: { deleted: number; deletedBytes: number }
  unrepairableCount: number
  /** The first of them. */
  unrepairable: readonly UnrepairableStatus[]
}

/** A verified pass was asked for. */
export interface HealBegun {
  askedMs: number
  /** It is over when so many scrubs have ended. */
  scrubsEnded: number
  /** Clusters: by node that was told; it is over when each of them has ended so many. */
  nodes?: Readonly<Record<string, number>>
  /** Clusters: nodes that did not answer in time. Perhaps they heard it all the same. */
  silent?: readonly string[]
}

/** Which object to look at; parts with numbers above `afterPart`. */
export interface InspectRequest {
  bucket: string
  key: string
  /** An id or `null`; absent for the current version. */
  versionId?: string
  afterPart: number
}

/** What a look at one slot of a blob gave; every byte of a `whole` shard was just read and verified. */
export type SlotState =
  | 'whole'
  | 'missing'
  | 'corrupt'
  | 'out'
  | 'awaited'
  | 'unwritten'
  | 'unreachable'

/** One slot: `drive` is absent where nothing was ever written. */
export interface SlotStatus {
  slot: number
  drive?: number
  path?: string
  state: SlotState
}

/** The bytes of one part, 1 for an object that is not multipart. `short`: fewer whole shards than bytes need. */
export interface PartStatus {
  number: number
  bytes: number
  code: string
  uid: string
  health: 'whole' | 'degraded' | 'short'
  slots: readonly SlotStatus[]
}

/** A version of an object and its parts, page by page. */
export interface InspectedObject {
  bucket: string
  key: string
  versionId: string
  modifiedMs: number
  deleteMarker: boolean
  bytes: number
  etag?: string
  checksum?: { algorithm: string; type: string; value: string }
  storageClass?: string
  /** Made from shards alone by `kintsugi recover`: perhaps it was refused or deleted before. */
  unconfirmed?: true
  encryption: 'none' | 'SSE-S3' | 'SSE-KMS' | 'SSE-C'
  partCount: number
  parts: readonly PartStatus[]
  /** Ask again after this part; absent when these were the last. */
  nextAfterPart?: number
}

/** What a look at an object gave. */
export type InspectOutcome =
  | { kind: 'inspected'; object: InspectedObject }
  | { kind: 'no-bucket' | 'no-key' | 'no-version' }

/** The store as its root sees it. */
export interface AdminApi {
  status(): Promise<StoreStatus>
  healing(): HealingStatus | Promise<HealingStatus>
  /** Begins a pass that reads every byte, without the leisure of the usual ones. */
  beginHeal(): HealBegun | Promise<HealBegun>
  /** Lets shards be deleted again that no object names, after a recovery. */
  releaseOrphans(): Promise<OrphansReleased>
  inspect(request: InspectRequest, signal: AbortSignal): Promise<InspectOutcome>
  drives: DrivesApi
}
