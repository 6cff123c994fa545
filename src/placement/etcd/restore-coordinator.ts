// Puts what nodes remember in the place of what etcd lost: what `kintsugi cluster restore-coordinator` does after etcd was
// restored from a backup, or lost. The generation grows, so every epoch from then on is above all that were ever given.
import { asBuffer } from '../../kit/bytes.ts'
import type { World } from '../../kit/world.ts'
import { DRIVE_ID_MAX } from '../../metadata/records.ts'
import { type Bucket, type ClusterState, CoordinatorUnavailable } from '../coordinator.ts'
import { asBeforeCounting } from '../coordinator-changes.ts'
import { REVISION_GAP } from '../remake-state.ts'
import type { EtcdClient } from './etcd-client.ts'
import type { Change } from './etcd-wire.ts'
import { leadsTo } from './history.ts'
import { type KeyImage, readWhole } from './key-image.ts'
import type { PartitionRecord } from './leadership.ts'
import { DEFAULT_PREFIX, IMAGE } from './mirror.ts'
import { NODE_KEYS } from './node-registry.ts'
import { PARTITION_KEYS } from './partition-records.ts'
import {
  contradict,
  newestRecords,
  type RememberedRecords,
  recordsIn,
  type Witness,
} from './remembered-records.ts'
import {
  type Agreed,
  BUCKET_KEYS,
  changedKeys,
  EPOCHS_OF_GENERATION,
  fromJson,
  HEAD_KEY,
  type Head,
  readAgreed,
  toJson,
} from './state-keys.ts'

/** What one node or gateway knows. The more of them answer, the less can be missing. */
export interface Evidence {
  /** For messages. */
  name: string
  /** Its copy (known-copy.ts). */
  known?: KeyImage
}

/** Where the cluster is in etcd (DEFAULT_PREFIX when left out), and whether what etcd has of it counts. */
export interface RestoreOptions {
  prefix?: string
  /** What was decided in the restored etcd since, by those who did not know better, is given up: decisions and records of partitions. */
  forsakeEtcd?: boolean
}

/**
 * `asOf`: the last decision that is known, and the highest revision of etcd up to which records of partitions are. What others did later is lost
 * where nobody who was asked remembers it, and nothing tells whether there was any.
 */
export type RestoreOutcome =
  | {
      kind: 'restored'
      epoch: number
      from: string
      asOf: { epoch: number; revision: number }
    }
  /** Two histories, both of which may have been acted upon: who knows nothing but what led up to the newest, and the others. */
  | { kind: 'forked'; newest: string[]; others: string[] }
  /** Nobody knows a cluster. */
  | { kind: 'nothing' }
  /** etcd has the cluster `present`, and what is remembered is of `remembered`: nothing of either may be in the other. */
  | { kind: 'other-cluster'; present: string; remembered: string }

interface Source {
  name: string
  image: KeyImage
  agreed: Agreed
  records: RememberedRecords
}

// How far numbers may have gone by decisions which nobody who was asked remembers. They must never be given twice: of those of buckets there
// are plenty, and of drives more than a cluster gets in a while.
const SPARE_BUCKET_IDS = 1_000_000
const SPARE_DRIVE_IDS = 1_000

// etcd takes 128 changes, as many comparisons, and 1.5 MiB at a time; buckets have 64 KiB at most.
const CHANGES_AT_A_TIME = 16

const ETCD = 'etcd'

/**
 * Writes the newest state that anyone knows to etcd. May be run again when it was cut short. Rejects with CoordinatorUnavailable (`contended`) when
 * somebody changed what was read.
 */
export async function restoreCoordinator(
  evidence: readonly Evidence[],
  { prefix = DEFAULT_PREFIX, forsakeEtcd = false }: RestoreOptions,
  parts: { etcd: EtcdClient; world: Pick<World, 'clock' | 'random'> },
): Promise<RestoreOutcome> {
  const { etcd, world } = parts
  const present = await readWhole(etcd, `${prefix}${IMAGE}`)
  const before = headIn(present)
  // Who ends what was cut short finds nothing else there any more.
  const isForsaken = forsakeEtcd || before?.isForsaken === true
  const sources = sourcesOf(evidence, isForsaken ? undefined : present)
  const newest = sources[0]
  if (newest === undefined) return { kind: 'nothing' }
  const there = before?.state.clusterId
  const remembered = newest.agreed.state.clusterId
  if (there !== undefined && there !== remembered)
    return { kind: 'other-cluster', present: there, remembered }
  const sides = await sidesOf(sources, { etcd, prefix })
  if (sides.others.length > 0) return { kind: 'forked', ...sides }
  const generation = Math.max(before?.generation ?? 0, ...sources.map(generationOf)) + 1
  const head: Head = {
    generation,
    epoch: generation * EPOCHS_OF_GENERATION,
    id: asBuffer(world.random.bytes(8)).toString('hex'),
    ancestors: [],
  }
  const nowMs = world.clock.now()
  const state = restoredState(newest.agreed.state, head, { sources, present, nowMs })
  const records = newestRecords([
    ...sources.map((source) => source.records),
    ...(isForsaken ? [] : [recordsIn(present, before?.attempts)]),
  ])
  const wanted = [
    ...changedKeys(undefined, state, head),
    ...recordChanges(records, head),
    ...lostAddresses(newest.image, present),
  ]
  await writeAnew({ prefix, present, wanted, isForsaken }, etcd)
  return { kind: 'restored', epoch: head.epoch, from: newest.name, asOf: asOfSources(sources) }
}

/** By revision etcd itself tells nothing: hints and leases move it on. */
function asOfSources(sources: readonly Source[]): { epoch: number; revision: number } {
  const { generation, epoch } = sources[0]!.agreed.head
  const newest = sources.filter((source) => generationOf(source) === generation)
  const others = newest.filter(({ name }) => name !== ETCD)
  const revisions = (others.length > 0 ? others : newest).map(({ image }) => image.revision)
  return { epoch, revision: Math.max(...revisions) }
}

/** Newest first. A state that somebody was writing when he was cut short is none. */
function sourcesOf(evidence: readonly Evidence[], present: KeyImage | undefined): Source[] {
  const images = evidence.flatMap(({ name, known }) => (known ? [{ name, image: known }] : []))
  if (present && !headIn(present)?.isBeingRestored) images.push({ name: ETCD, image: present })
  const sources = images.flatMap(({ name, image }) => {
    const agreed = readAgreed(image)
    return agreed ? [{ name, image, agreed, records: recordsIn(image) }] : []
  })
  return sources.sort((left, right) => right.agreed.head.epoch - left.agreed.head.epoch)
}

/** Who can have known what led up to the newest, and who knows what can not have. */
async function sidesOf(
  sources: readonly Source[],
  parts: { etcd: EtcdClient; prefix: string },
): Promise<{ newest: string[]; others: string[] }> {
  const newest: Source[] = []
  const others: Source[] = []
  for (const source of sources) {
    const isApart = newest.some((one) => contradict(witnessOf(one), witnessOf(source)))
    const { head } = (newest[0] ?? source).agreed
    const isOn = !isApart && (await isOnTheWay(source.agreed.head, head, parts))
    ;(isOn ? newest : others).push(source)
  }
  const names = (side: readonly Source[]): string[] => side.map(({ name }) => name)
  return { newest: names(newest), others: names(others) }
}

function witnessOf({ image, agreed, records }: Source): Witness {
  return { image, records, head: agreed.head }
}

/** What is of an earlier generation was judged when that ended. */
async function isOnTheWay(
  earlier: Head,
  newest: Head,
  parts: { etcd: EtcdClient; prefix: string },
): Promise<boolean> {
  if (earlier.generation < newest.generation) return true
  if (await leadsTo(earlier, newest, parts)) return true
  // The page that would tell may have been lost with etcd: what is older than all that is named proves nothing.
  const oldest = newest.ancestors[0]?.[0] ?? newest.epoch
  return earlier.epoch < oldest
}

function restoredState(
  state: ClusterState,
  { generation, epoch }: Head,
  { sources, present, nowMs }: { sources: readonly Source[]; present: KeyImage; nowMs: number },
): ClusterState {
  const above = (epochBefore: number): number => epochIn(generation, epochBefore)
  const before = headIn(present)
  // What etcd gave out is in use, also where it is given up. Of what is written in part nothing was given.
  const beyond = (counter: 'nextBucketId' | 'nextDriveId', spare: number): number => {
    const given = (before?.state[counter] ?? 0) + (before?.isBeingRestored ? 0 : spare)
    return Math.max(given, ...sources.map(({ agreed }) => agreed.state[counter] + spare))
  }
  const revisions = highestRevisions(sources, present)
  // Partitions may know of later changes, and refuse who knows less.
  const raise = (bucket: Bucket): Bucket => {
    return { ...bucket, revision: (revisions.get(bucket.id) ?? bucket.revision) + REVISION_GAP }
  }
  return {
    ...state,
    epoch,
    // That nothing names a drive was true then: it may have been taken into service again. Who empties it counts anew.
    map: { ...state.map, drives: state.map.drives.map(asBeforeCounting) },
    nextBucketId: beyond('nextBucketId', SPARE_BUCKET_IDS),
    nextDriveId: Math.min(beyond('nextDriveId', SPARE_DRIVE_IDS), DRIVE_ID_MAX + 1),
    // Who held a partition last may not be known, or had rows made anew: a shard that no row names may be all that is left.
    orphanHold: state.orphanHold ?? { sinceMs: nowMs },
    buckets: Object.fromEntries(
      Object.entries(state.buckets).map(([name, bucket]) => [name, raise(bucket)]),
    ),
    // Epoch 0 says that a partition was never started, and stays.
    metaPartitions: state.metaPartitions.map((partition) =>
      partition.epoch === 0 ? partition : { ...partition, epoch: above(partition.epoch) },
    ),
  }
}

/** By id of a bucket. */
function highestRevisions(sources: readonly Source[], present: KeyImage): Map<number, number> {
  const there = [...present.keys]
    .filter(([key]) => key.startsWith(BUCKET_KEYS))
    .map(([, { value }]) => fromJson(value) as Bucket)
  const buckets = sources.flatMap(({ agreed }) => Object.values(agreed.state.buckets))
  const highest = new Map<number, number>()
  for (const { id, revision } of [...there, ...buckets])
    highest.set(id, Math.max(revision, highest.get(id) ?? 0))
  return highest
}

/** The first epoch of a partition in a generation: above all before, and in their order. */
function epochIn(generation: number, epochBefore: number): number {
  return generation * EPOCHS_OF_GENERATION + (epochBefore % EPOCHS_OF_GENERATION) + 1
}

/** Nobody leads until he was elected in the new generation. */
function recordChanges(records: ReadonlyMap<number, PartitionRecord>, head: Head): Change[] {
  return [...records].map(([partitionId, { primary: _primary, id: _id, ...record }]) => {
    const restored: PartitionRecord = {
      ...record,
      epoch: epochIn(head.generation, record.epoch),
      id: head.id,
      restoredFrom: record.epoch,
    }
    const value = toJson(restored)
    return { kind: 'put', key: `${PARTITION_KEYS}${partitionId}`, value }
  })
}

/** Where nodes are that said so to an etcd which is no more: they say it again, but others look for them before. */
function lostAddresses({ keys }: KeyImage, present: KeyImage): Change[] {
  return [...keys]
    .filter(([key]) => key.startsWith(NODE_KEYS) && !present.keys.has(key))
    .map(([key, { value }]) => ({ kind: 'put', key, value }))
}

interface Anew {
  prefix: string
  present: KeyImage
  wanted: readonly Change[]
  isForsaken: boolean
}

/**
 * The head first, so that nobody believes the rest; the head last, so that everybody does. What somebody changed since it was read is not
 * overwritten: a node that did not hear yet may count on it.
 */
async function writeAnew(
  { prefix, present, wanted, isForsaken }: Anew,
  etcd: EtcdClient,
): Promise<void> {
  const under = `${prefix}${IMAGE}`
  const [headChange, ...others] = wanted
  const whole = fromJson((headChange as { value: Uint8Array }).value) as object
  const attempts = [...(headIn(present)?.attempts ?? []), (whole as Head).id]
  const marks = { isBeingRestored: true, attempts, ...(isForsaken ? { isForsaken } : {}) }
  const half = toJson({ ...whole, ...marks })
  let onRevision = revisionIn(present, HEAD_KEY)
  const write = async (changes: readonly Change[]): Promise<void> => {
    const read = changes.map(({ key }) => key).filter((key) => key !== HEAD_KEY)
    const { succeeded, revision } = await etcd.txn({
      compare: [
        { key: `${under}${HEAD_KEY}`, modRevision: onRevision },
        ...read.map((key) => ({ key: `${under}${key}`, modRevision: revisionIn(present, key) })),
      ],
      changes: changes.map((change) => ({ ...change, key: `${under}${change.key}` })),
    })
    if (!succeeded)
      throw new CoordinatorUnavailable(
        'somebody else wrote to the cluster in etcd meanwhile, and nobody believes etcd until this comes to its end: run it again',
        { why: 'contended' },
      )
    if (changes.some(({ key }) => key === HEAD_KEY)) onRevision = revision
  }
  await write([{ kind: 'put', key: HEAD_KEY, value: half }])
  const kept = new Set(wanted.map(({ key }) => key))
  const stale = [...present.keys.keys()].filter((key) => isOfState(key) && !kept.has(key))
  const rest = [...others, ...stale.map((key): Change => ({ kind: 'delete', key }))]
  for (let from = 0; from < rest.length; from += CHANGES_AT_A_TIME) {
    await write(rest.slice(from, from + CHANGES_AT_A_TIME))
  }
  await write([{ kind: 'put', key: HEAD_KEY, value: toJson(whole) }])
}

function revisionIn({ keys }: KeyImage, key: string): number {
  return keys.get(key)?.modRevision ?? 0
}

/** Nodes say themselves where they are: what they said last stays. */
function isOfState(key: string): boolean {
  return key.startsWith(BUCKET_KEYS) || key.startsWith(PARTITION_KEYS)
}

/** The head as it is in etcd, also of a state that was written in part. */
interface PresentHead extends Head {
  state: Pick<ClusterState, 'clusterId' | 'nextBucketId' | 'nextDriveId'>
  /** Ids of the attempts that wrote parts of the state, since the last that was believed. */
  attempts?: string[]
  /** One of them gave up what was there before. */
  isForsaken?: true
}

function headIn({ keys }: KeyImage): PresentHead | undefined {
  const value = keys.get(HEAD_KEY)?.value
  return value && (fromJson(value) as PresentHead)
}

function generationOf({ agreed }: Source): number {
  return agreed.head.generation
}
