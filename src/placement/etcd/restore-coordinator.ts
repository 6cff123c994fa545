// Puts what nodes remember in the place of what etcd lost: what `kintsugi cluster restore-coordinator` does after etcd was
// restored from a backup, or lost. The generation grows, so every epoch from then on is above all that were ever given.
import { asBuffer } from '../../kit/bytes.ts'
import type { World } from '../../kit/world.ts'
import type { Bucket, ClusterState } from '../coordinator.ts'
import type { EtcdClient } from './etcd-client.ts'
import type { Change } from './etcd-wire.ts'
import { leadsTo } from './history.ts'
import { type ImageValue, type KeyImage, readWhole } from './key-image.ts'
import type { PartitionRecord } from './leadership.ts'
import { DEFAULT_PREFIX, IMAGE } from './mirror.ts'
import { NODE_KEYS } from './node-registry.ts'
import { PARTITION_KEYS } from './partition-records.ts'
import {
  type Agreed,
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
  /** Ids of drives that it has. */
  driveIds?: readonly number[]
  /** By bucket id: the highest revision that its partitions heard of. */
  bucketRevisions?: Readonly<Record<number, number>>
  /** By partition: the highest epoch that its replicas promised. */
  promisedEpochs?: Readonly<Record<number, number>>
}

/** Where the cluster is in etcd (DEFAULT_PREFIX when left out), and whether what etcd has of it counts. */
export interface RestoreOptions {
  prefix?: string
  /** What was decided in the restored etcd since, by those who did not know better, is given up. */
  forsakeEtcd?: boolean
}

/** `doubts`: what nobody who was asked remembers, in sentences. */
export type RestoreOutcome =
  | { kind: 'restored'; epoch: number; from: string; doubts: string[] }
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
}

// Ids that were given by decisions which nobody who was asked remembers are passed over.
const SPARE_BUCKET_IDS = 1_000
const SPARE_DRIVE_IDS = 16

// etcd takes 128 changes and 1.5 MiB at a time; buckets have 64 KiB at most.
const CHANGES_AT_A_TIME = 16

const ETCD = 'etcd'

/** Writes the newest state that anyone knows to etcd. May be run again when it was cut short. */
export async function restoreCoordinator(
  evidence: readonly Evidence[],
  { prefix = DEFAULT_PREFIX, forsakeEtcd = false }: RestoreOptions,
  parts: { etcd: EtcdClient; world: Pick<World, 'random'> },
): Promise<RestoreOutcome> {
  const { etcd, world } = parts
  const present = await readWhole(etcd, `${prefix}${IMAGE}`)
  const sources = sourcesOf(evidence, forsakeEtcd ? undefined : present)
  const newest = newestOf(sources)
  if (newest === undefined) return { kind: 'nothing' }
  const there = clusterIdIn(present)
  const remembered = newest.agreed.state.clusterId
  if (there !== undefined && there !== remembered)
    return { kind: 'other-cluster', present: there, remembered }
  const sides = { newest: [] as string[], others: [] as string[] }
  for (const { name, agreed } of sources) {
    const isOn = await isOnTheWay(agreed.head, newest.agreed.head, { etcd, prefix })
    sides[isOn ? 'newest' : 'others'].push(name)
  }
  if (sides.others.length > 0) return { kind: 'forked', ...sides }
  const generation = Math.max(generationIn(present), ...sources.map(generationOf)) + 1
  const head: Head = {
    generation,
    epoch: generation * EPOCHS_OF_GENERATION,
    id: asBuffer(world.random.bytes(8)).toString('hex'),
    ancestors: [],
  }
  const state = restoredState(newest.agreed.state, head, { evidence, sources })
  const images = [...sources.map(({ image }) => image), present]
  const records = newestRecords(images, attemptsIn(present))
  const wanted = [
    ...changedKeys(undefined, state, head),
    ...recordChanges(records, head),
    ...lostAddresses(newest.image, present),
  ]
  await writeAnew({ prefix, present, wanted }, etcd)
  const doubts = doubtsOf(newest, records, evidence)
  return { kind: 'restored', epoch: head.epoch, from: newest.name, doubts }
}

/** A state that somebody was writing when he was cut short is none. */
function sourcesOf(evidence: readonly Evidence[], present: KeyImage | undefined): Source[] {
  const images = evidence.flatMap(({ name, known }) => (known ? [{ name, image: known }] : []))
  if (present && !isHalfWritten(present)) images.push({ name: ETCD, image: present })
  return images.flatMap(({ name, image }) => {
    const agreed = readAgreed(image)
    return agreed ? [{ name, image, agreed }] : []
  })
}

function newestOf(sources: readonly Source[]): Source | undefined {
  return [...sources].sort((left, right) => right.agreed.head.epoch - left.agreed.head.epoch)[0]
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
  { evidence, sources }: { evidence: readonly Evidence[]; sources: readonly Source[] },
): ClusterState {
  const above = (epochBefore: number): number => epochIn(generation, epochBefore)
  const nextBucketId = Math.max(...sources.map(({ agreed }) => agreed.state.nextBucketId))
  const nextDriveId = Math.max(
    ...sources.map(({ agreed }) => agreed.state.nextDriveId),
    ...evidence.flatMap(({ driveIds = [] }) => driveIds.map((id) => id + 1)),
  )
  const raise = (bucket: Bucket): Bucket => {
    const known = Math.max(0, ...evidence.map((found) => found.bucketRevisions?.[bucket.id] ?? 0))
    return known <= bucket.revision ? bucket : { ...bucket, revision: known + 1 }
  }
  return {
    ...state,
    epoch,
    nextBucketId: nextBucketId + SPARE_BUCKET_IDS,
    nextDriveId: nextDriveId + SPARE_DRIVE_IDS,
    buckets: Object.fromEntries(
      Object.entries(state.buckets).map(([name, bucket]) => [name, raise(bucket)]),
    ),
    // Epoch 0 says that a partition was never started, and stays.
    metaPartitions: state.metaPartitions.map((partition) =>
      partition.epoch === 0 ? partition : { ...partition, epoch: above(partition.epoch) },
    ),
  }
}

/** The first epoch of a partition in a generation: above all before, and in their order. */
function epochIn(generation: number, epochBefore: number): number {
  return generation * EPOCHS_OF_GENERATION + (epochBefore % EPOCHS_OF_GENERATION) + 1
}

/** By partition: the record of the highest epoch that anyone has. */
function newestRecords(
  images: readonly KeyImage[],
  attempts: readonly string[],
): Map<number, PartitionRecord> {
  const newest = new Map<number, PartitionRecord>()
  for (const { keys } of images) {
    for (const [key, { value }] of keys) {
      if (!key.startsWith(PARTITION_KEYS)) continue
      const id = Number(key.slice(PARTITION_KEYS.length))
      const record = asBefore(fromJson(value) as PartitionRecord, attempts)
      const known = newest.get(id)
      if (known === undefined || isNewer(record, known)) newest.set(id, record)
    }
  }
  return newest
}

/** What an attempt that was cut short wrote stands for what it was made of: it may have known less than we do. */
function asBefore(record: PartitionRecord, attempts: readonly string[]): PartitionRecord {
  const { restoredFrom, ...rest } = record
  if (restoredFrom === undefined || !attempts.includes(record.id)) return rest
  return { ...rest, epoch: restoredFrom }
}

/** Epochs below the first generation are of it: in order with all others. */
function orderOf(epoch: number): number {
  return epoch < EPOCHS_OF_GENERATION ? epoch + EPOCHS_OF_GENERATION : epoch
}

/** Of the same epoch, the one that still asks for both sets: more than is needed does no harm. */
function isNewer(record: PartitionRecord, known: PartitionRecord): boolean {
  const [order, knownOrder] = [orderOf(record.epoch), orderOf(known.epoch)]
  if (order !== knownOrder) return order > knownOrder
  return record.previous !== undefined && known.previous === undefined
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

/** The head first, so that nobody believes the rest; the head last, so that everybody does. */
async function writeAnew(
  { prefix, present, wanted }: { prefix: string; present: KeyImage; wanted: readonly Change[] },
  etcd: EtcdClient,
): Promise<void> {
  const under = `${prefix}${IMAGE}`
  const [headChange, ...others] = wanted
  const whole = fromJson((headChange as { value: Uint8Array }).value) as object
  const attempts = [...attemptsIn(present), (whole as Head).id]
  const half = toJson({ ...whole, isBeingRestored: true, attempts })
  let onRevision = present.keys.get(HEAD_KEY)?.modRevision ?? 0
  const write = async (changes: readonly Change[]): Promise<void> => {
    const { succeeded, revision } = await etcd.txn({
      compare: [{ key: `${under}${HEAD_KEY}`, modRevision: onRevision }],
      changes: changes.map((change) => ({ ...change, key: `${under}${change.key}` })),
    })
    if (!succeeded) throw new Error('somebody else writes to the cluster in etcd: run it again')
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

/** Nodes say themselves where they are: what they said last stays. */
function isOfState(key: string): boolean {
  return key.startsWith('bucket/') || key.startsWith(PARTITION_KEYS)
}

function doubtsOf(
  newest: Source,
  records: ReadonlyMap<number, PartitionRecord>,
  evidence: readonly Evidence[],
): string[] {
  const doubts: string[] = []
  const drives = new Set(newest.agreed.state.map.drives.map(({ id }) => id))
  const ids = new Set(Object.values(newest.agreed.state.buckets).map(({ id }) => id))
  for (const { name, driveIds = [], bucketRevisions = {}, promisedEpochs = {} } of evidence) {
    for (const id of driveIds)
      if (!drives.has(id)) doubts.push(`${name} has drive ${id}, which the map does not know`)
    for (const id of Object.keys(bucketRevisions))
      if (!ids.has(Number(id)))
        doubts.push(`${name} knows a bucket with id ${id}, whose name is lost`)
    for (const [partition, epoch] of Object.entries(promisedEpochs)) {
      const known = records.get(Number(partition))?.epoch ?? 0
      if (orderOf(epoch) > orderOf(known))
        doubts.push(
          `${name} promised epoch ${epoch} of partition ${partition}; its set is known as of ${known}`,
        )
    }
  }
  return doubts
}

function isHalfWritten({ keys }: { keys: ReadonlyMap<string, ImageValue> }): boolean {
  const value = keys.get(HEAD_KEY)?.value
  return value !== undefined && (fromJson(value) as Head).isBeingRestored === true
}

/** Also of a state that was written in part. */
function clusterIdIn({ keys }: KeyImage): string | undefined {
  const value = keys.get(HEAD_KEY)?.value
  return value && (fromJson(value) as { state: Pick<ClusterState, 'clusterId'> }).state.clusterId
}

/** Ids of the attempts that wrote parts of the present state, since the last that was believed. */
function attemptsIn({ keys }: KeyImage): string[] {
  const value = keys.get(HEAD_KEY)?.value
  return value ? ((fromJson(value) as { attempts?: string[] }).attempts ?? []) : []
}

/** Also of a state that was written in part. */
function generationIn({ keys }: KeyImage): number {
  const value = keys.get(HEAD_KEY)?.value
  return value ? (fromJson(value) as Head).generation : 0
}

function generationOf({ agreed }: Source): number {
  return agreed.head.generation
}
