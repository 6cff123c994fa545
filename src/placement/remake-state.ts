// The coordinator's state made again when no decision is left on any drive: from the newest copy of it, as far as there is
// one, and from what drives, shards and replicas of metadata say of themselves. Pure. See docs/guides/recovery.md.
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import type { World } from '../kit/world.ts'
import type { BucketId } from '../metadata/records.ts'
import { buildMap, codeForDrives, EMBEDDED_PARTITIONS } from './build-map.ts'
import type { MapDrive } from './cluster-map.ts'
import type { Bucket, ClusterState, MetaPartitionState, Replica } from './coordinator.ts'
import { addDrive, markActive, type NewDrive } from './coordinator-changes.ts'
import { chooseReplicas } from './coordinator-replicas.ts'

/** What shards tell of a bucket. */
export interface BucketTrace {
  /** When the first and the last blob that is left of it was begun, milliseconds since 1970. */
  firstMs: number
  lastMs: number
  /** What the bucket did with versions by the label of the last object; and whether any label says that it kept them. */
  versioned: boolean
  everVersioned: boolean
}

/** Everything that is known. */
export interface StateEvidence {
  clusterId: string
  /** Those that are here. */
  drives: readonly NewDrive[]
  /** The newest copy of the state. */
  source?: ClusterState
  /** `epoch`: of the last entry that it has. */
  replicas: readonly (Replica & { partition: number; epoch: number })[]
  buckets: ReadonlyMap<BucketId, BucketTrace>
  /** Of objects, and how many shards have them; without those of a storage class that has a code of its own. */
  codes: readonly { code: ErasureCode; shards: number }[]
  /** The highest of any decision of which there is a trace. */
  epoch: number
  nowMs: number
  region: string
}

/** What was made, and what can not be known. */
export interface RemadeState {
  state: ClusterState
  /** Drives that the copy does not name: added since, or removed before. */
  addedDrives: number[]
  /** Buckets of which only shards tell: their names are made up. */
  namelessBuckets: string[]
  /** Partitions of which no replica is left. */
  lostPartitions: number[]
  /** Nothing tells the code of larger objects: that of new ones is the usual one of so many drives. */
  isCodeAssumed: boolean
}

// How far numbers may have gone since the last trace of them. They must never be given twice, and there are plenty.
const EPOCH_GAP = 1_000_000
const BUCKET_GAP = 1_000
const DRIVE_GAP = 16

/** How far the revision of a bucket may have gone since its last trace. */
export const REVISION_GAP = 1_000_000

/** Makes the state. The drives of `source` that are not here stay in its map: who opens the store marks them out. */
export function remakeState(evidence: StateEvidence, random: World['random']): RemadeState {
  const base = evidence.source ?? emptyState(evidence, random)
  const { state, addedDrives } = withDrives(
    { ...base, nextDriveId: nextDriveId(base, evidence) },
    evidence,
  )
  const { buckets, namelessBuckets } = remakeBuckets(base, evidence)
  const { metaPartitions, lostPartitions } = remakePartitions(state, evidence, random)
  const highest = Math.max(base.nextBucketId - 1, 0, ...evidence.buckets.keys())
  const made: ClusterState = {
    ...state,
    epoch: Math.max(base.epoch, evidence.epoch) + EPOCH_GAP,
    nextBucketId: highest + BUCKET_GAP,
    orphanHold: base.orphanHold ?? { sinceMs: evidence.nowMs },
    ...{ buckets, metaPartitions },
  }
  const isCodeAssumed = !evidence.source && codeOf(evidence).isAssumed
  return { state: made, addedDrives, namelessBuckets, lostPartitions, isCodeAssumed }
}

/** Of a store whose drives are known and nothing else. */
function emptyState(evidence: StateEvidence, random: World['random']): ClusterState {
  const { clusterId, drives } = evidence
  const members = drives.map((drive): MapDrive => ({ ...drive, state: 'active' }))
  const seed = Buffer.from(random.bytes(8)).readBigUInt64BE(0).toString()
  const map = buildMap(members, codeOf(evidence).code, seed)
  // Drives may have left before all blobs were written again with a code that fits on the others.
  const widestShards = Math.max(0, ...evidence.codes.map(({ code }) => shardCount(code)))
  const isNarrower = widestShards > map.slots[0]!.length
  return {
    ...{ clusterId, epoch: 0, buckets: {}, nextBucketId: 1, nextDriveId: 1 },
    map: { ...map, ...(isNarrower ? { widestShards } : {}) },
    metaPartitions: Array.from({ length: EMBEDDED_PARTITIONS.metaPartitionCount }, () => ({
      epoch: 0,
      inSync: [],
    })),
  }
}

/** That of most shards. Small objects are copies whatever the code is: these alone tell only how many drives may be lost. */
function codeOf({ codes, drives }: StateEvidence): { code: ErasureCode; isAssumed: boolean } {
  const fitting = codes
    .filter(({ code }) => shardCount(code) <= drives.length)
    .sort((left, right) => right.shards - left.shards)
  const most = fitting.find(({ code }) => code.dataCount > 1)
  if (most) return { code: most.code, isAssumed: false }
  const usual = codeForDrives(drives.length)
  const parityCount = fitting[0]?.code.parityCount ?? usual.parityCount
  if (parityCount === usual.parityCount) return { code: usual, isAssumed: true }
  const dataCount = Math.max(1, drives.length - parityCount)
  return { code: { ...usual, dataCount, parityCount }, isAssumed: true }
}

function nextDriveId({ nextDriveId }: ClusterState, { drives }: StateEvidence): number {
  return Math.max(nextDriveId, ...drives.map(({ id }) => id + 1)) + DRIVE_GAP
}

/** Drives that are here are in, those that are not are out. */
function withDrives(
  base: ClusterState,
  { drives }: StateEvidence,
): { state: ClusterState; addedDrives: number[] } {
  const isHere = (uuid: string): boolean => drives.some((drive) => drive.uuid === uuid)
  const known = base.map.drives.map(({ isVacated, ...drive }): MapDrive => {
    // That a drive was empty was true then.
    if (isHere(drive.uuid)) return drive
    return { ...drive, state: 'out', reason: 'it was not here when the state was made again' }
  })
  let state: ClusterState = { ...base, map: { ...base.map, drives: known } }
  const addedDrives: number[] = []
  for (const drive of drives) {
    const isKnown = known.some(({ uuid }) => uuid === drive.uuid)
    const changed = (isKnown ? markActive(drive.id) : addDrive(drive))(state)
    if (changed === undefined) continue
    state = { ...changed, epoch: state.epoch }
    if (!isKnown) addedDrives.push(drive.id)
  }
  return { state, addedDrives }
}

function remakeBuckets(
  { buckets, nextBucketId }: ClusterState,
  evidence: StateEvidence,
): { buckets: Record<string, Bucket>; namelessBuckets: string[] } {
  const made: Record<string, Bucket> = {}
  // Partitions may know of later changes, and refuse who knows less.
  for (const [name, bucket] of Object.entries(buckets)) {
    const trace = evidence.buckets.get(bucket.id)
    made[name] = { ...withVersions(bucket, trace), revision: bucket.revision + REVISION_GAP }
  }
  const namelessBuckets: string[] = []
  for (const [id, trace] of evidence.buckets) {
    // The copy knows all that were made before it: of these the shards are garbage.
    if (id < nextBucketId) continue
    const name = `recovered-${id}`
    namelessBuckets.push(name)
    const bucket: Bucket = {
      ...{ name, id, createdMs: trace.firstMs, region: evidence.region },
      ...{ revision: REVISION_GAP, state: 'live' },
    }
    made[name] = withVersions(bucket, trace)
  }
  return { buckets: made, namelessBuckets }
}

/** What labels show of versions counts only where the copy does not know of them: they may have been enabled since. */
function withVersions(bucket: Bucket, trace: BucketTrace | undefined): Bucket {
  if (!trace?.everVersioned || bucket.settings?.versioning !== undefined) return bucket
  const versioning = trace.versioned ? 'enabled' : 'suspended'
  return { ...bucket, settings: { ...bucket.settings, versioning } }
}

/**
 * Every set is that of the replicas with the highest epoch: an epoch begins when the set changes, and every member of the
 * new set has what was acknowledged before. The others are stale.
 */
function remakePartitions(
  { map, metaPartitions }: ClusterState,
  { replicas }: StateEvidence,
  random: World['random'],
): { metaPartitions: MetaPartitionState[]; lostPartitions: number[] } {
  const lostPartitions: number[] = []
  const made = metaPartitions.map((before, partition): MetaPartitionState => {
    const found = replicas.filter((replica) => replica.partition === partition)
    const last = Math.max(before.epoch, 1, ...found.map(({ epoch }) => epoch))
    const highest = Math.max(...found.map(({ epoch }) => epoch))
    const inSync = found
      .filter(({ epoch }) => epoch === highest)
      .map(({ driveId, incarnation }) => ({ driveId, incarnation }))
    if (inSync.length > 0) return { epoch: last + 1, inSync }
    lostPartitions.push(partition)
    return {
      epoch: last + 1,
      inSync: chooseReplicas(map, partition, map.code.parityCount + 1, random),
    }
  })
  return { metaPartitions: made, lostPartitions }
}
