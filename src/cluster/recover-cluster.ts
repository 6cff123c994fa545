// The last resort of a cluster, while its nodes run: metadata partitions that lost the majority of their replicas are made again from one
// that lives or from dumps, from what any log has behind that, and from what shards say of themselves. A partition is fenced first and comes back with one change of its
// record, so that it can be begun again after a crash at any point (docs/decisions/0023-recovering-a-cluster.md).
import { gatherBlobs } from '../embedded/find-blobs.ts'
import { bucketsOf } from '../embedded/recover.ts'
import { Exit } from '../exit.ts'
import { rebuildRows } from '../metadata/rebuild/rebuild-rows.ts'
import type { RebuildReport } from '../metadata/rebuild/remains.ts'
import { parseReplicaId } from '../metadata/replication/replica-id.ts'
import { metaPartitionIds } from '../placement/cluster-map.ts'
import { fence } from '../placement/etcd/leadership.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import type { WholeShard } from '../storage-node/recovery/recovery-messages.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import {
  fencePartition,
  isWhole,
  type LostPartition,
  lookAtPartition,
  silentOf,
} from './lost-partitions.ts'
import {
  lookAtDrives,
  type MissingDrive,
  missingFor,
  refuseOthers,
  type SeenDrives,
  sayMissing,
} from './missing-drives.ts'
import { type PutInPlaceParts, putInPlace } from './put-in-place.ts'
import { NotReadableNow } from './read-with-patience.ts'
import { findSources, type Planned, planBase, readBase, type SourceParts } from './recovery-base.ts'
import type { Replay } from './replica-logs.ts'

/** What is to be done. */
export interface ClusterRecoverRequest {
  /** `plan`: only look what is lost. `rehearse`: make everything but keep nothing. */
  mode: 'plan' | 'rehearse' | 'recover'
  /** Drives that are gone for good. One that can be read is refused. */
  withoutMissing: readonly number[]
}

/** What a recovery runs on, as openForRecovery() gives it: etcd, and the nodes by `recovery`. */
export interface ClusterRecoverParts extends PutInPlaceParts, SourceParts {
  records: Pick<PartitionRecords, 'get' | 'change'>
  world: PutInPlaceParts['world']
  recovery: PutInPlaceParts['recovery'] &
    SourceParts['recovery'] &
    Pick<RemoteRecovery, 'drives' | 'shards'>
}

/**
 * A partition and what becomes of it. `waits`: drives that can not be read may have everything. `survivor`: it begins with what one that lives
 * has. `rebuild`: with a dump, or with nothing. `returned`: a majority is back meanwhile, and goes on by itself.
 */
export interface RecoveredOfCluster {
  partition: number
  way: 'waits' | 'survivor' | 'rebuild' | 'returned'
  replicas: { replica: string; node?: string; standing: string; end?: number }[]
  /** When the dump was taken that a rebuild begins with; absent: there is none. */
  dumpMs?: number
  /** What logs have behind that. Absent where it waits, or is not lost any more. */
  replay?: Replay
  report?: RebuildReport
  /** Whether the record was changed. When it should have been and was not, somebody else changed it meanwhile. */
  isDone?: boolean
}

/** How it ended; no partitions: none was lost. */
export interface ClusterRecoverOutcome {
  mode: ClusterRecoverRequest['mode']
  partitions: RecoveredOfCluster[]
  /** What can not be read and was not given up. */
  missing: MissingDrive[]
  /** Drives that were given up. */
  givenUp: readonly number[]
  /** Names of buckets by id, for who reads the report. */
  buckets: Record<number, string>
}

interface Run {
  mode: ClusterRecoverRequest['mode']
  drives: SeenDrives
  givenUp: ReadonlySet<number>
}

/** Recovers what is lost. Throws Exit when a drive was named that is not missing, or one goes while it is read. */
export async function recoverCluster(
  { mode, withoutMissing }: ClusterRecoverRequest,
  parts: ClusterRecoverParts,
): Promise<ClusterRecoverOutcome> {
  const state = (await parts.coordinator.refresh?.()) ?? parts.coordinator.state
  const names = Object.values(state.buckets).map(({ id, name }) => [id, name] as const)
  const lost = await findLost(parts)
  const drives = await lookAtDrives(parts)
  const all = missingFor(drives, lost)
  refuseOthers(withoutMissing, all, parts.coordinator)
  const givenUp = new Set(withoutMissing)
  const missing = lost.length > 0 ? all.filter(({ driveId }) => !givenUp.has(driveId)) : []
  const partitions: RecoveredOfCluster[] = []
  for (const one of lost) {
    const found =
      missing.length > 0
        ? { way: 'waits' as const }
        : await recoverOne(one, { mode, drives, givenUp }, parts).catch(waitIfUnreadable)
    partitions.push({ ...describe(one), ...found })
  }
  return { mode, partitions, missing, givenUp: [...givenUp], buckets: Object.fromEntries(names) }
}

async function findLost(parts: ClusterRecoverParts): Promise<LostPartition[]> {
  const lost: LostPartition[] = []
  const nodeOf = nodesOfDrives(parts.coordinator)
  for (const partition of metaPartitionIds(parts.coordinator.state.map)) {
    const record = parts.records.get(partition)
    if (record === undefined) continue
    const found = await lookAtPartition(partition, record, { ...parts, nodeOf })
    if (found !== undefined) lost.push(found)
  }
  return lost
}

type Found = Omit<RecoveredOfCluster, 'partition' | 'replicas'> &
  Partial<Pick<RecoveredOfCluster, 'replicas'>>

async function recoverOne(
  seen: LostPartition,
  run: Run,
  parts: ClusterRecoverParts,
): Promise<Found> {
  if (run.mode !== 'recover') return await remake(seen, run, parts)
  const lost = await fenceOff(seen, parts)
  if (lost === undefined) return { way: 'rebuild', isDone: false }
  const { replicas } = describe(lost)
  if (isWhole(lost)) return { replicas, way: 'returned' }
  // Where one of them can not be told of the fence any more it may be led on, and have more than is found.
  const isSilent = silentOf(lost).some(({ replica }) => {
    return !run.givenUp.has(parseReplicaId(replica)!.driveId)
  })
  if (isSilent) return { replicas, way: 'waits' }
  return { replicas, ...(await remake(lost, run, parts)) }
}

/** What is left of it is where it was, and whoever begins again reads it. */
function waitIfUnreadable(error: unknown): Found {
  if (!(error instanceof NotReadableNow)) throw error
  return { way: 'waits' }
}

/** Nobody leads it from now on without another change of its record. Undefined when somebody else changed that meanwhile. */
async function fenceOff(
  { partition, record }: LostPartition,
  parts: ClusterRecoverParts,
): Promise<LostPartition | undefined> {
  const change = await parts.records.change(partition, (found) =>
    found?.id === record.id ? fence(found) : undefined,
  )
  if (change.kind !== 'changed') return undefined
  const nodeOf = nodesOfDrives(parts.coordinator)
  return await fencePartition(partition, change.record, { ...parts, nodeOf })
}

/** The rows that the partition has from now on, unless it is only planned. */
async function remake(
  lost: LostPartition,
  { mode, drives, givenUp }: Run,
  parts: ClusterRecoverParts,
): Promise<Found> {
  const { partition } = lost
  const sources = await findSources(lost, drives.nodes, parts)
  if (mode === 'plan') return describeBase(await planBase(lost, sources, parts))
  const base = await readBase(lost, sources, parts)
  const found = describeBase(base)
  const hasRows = base.kind !== 'nothing' || base.replay.replayed > 0
  const { rows, report } = await rebuildRows({
    ...(hasRows ? { dump: { takenMs: base.rowsMs, rows: [...base.rows] } } : {}),
    blobs: await gatherBlobs(shardsOfAll(partition, drives, parts)),
    buckets: bucketsOf(parts.coordinator.state),
    nowMs: parts.world.clock.now(),
    absent: givenUp,
    hasWriters: true,
  })
  if (mode !== 'recover') return { ...found, report }
  const sequence = Math.max(base.known, ...sources.map(({ position }) => position.sequence))
  const known = { epoch: lost.record.epoch, sequence }
  const { open } = drives
  return { ...found, report, isDone: await putInPlace(lost, { rows, known, open }, parts) }
}

/** Every shard on every drive that could be read in the beginning. Throws Exit when one of them can not be any more. */
async function* shardsOfAll(
  partition: number,
  { nodes, open }: SeenDrives,
  parts: ClusterRecoverParts,
): AsyncGenerator<WholeShard> {
  const refuseLeft = async (): Promise<void> => {
    const now = await lookAtDrives(parts)
    const left = now.missing.filter(({ driveId }) => open.has(driveId))
    if (left.length > 0)
      throw new Exit(
        4,
        `partition ${partition} is left as it is, for drives went away while they were read:\n${sayMissing(left).join('\n')}`,
      )
  }
  try {
    for (const node of nodes)
      for await (const shards of parts.recovery.shards(node, partition)) yield* shards
  } catch (error) {
    // A drive that failed under the reading is the reason, and can be given up; the node says only that it failed.
    await refuseLeft()
    throw error
  }
  await refuseLeft()
}

function describeBase({
  kind,
  takenMs,
  replay,
}: Planned): Pick<RecoveredOfCluster, 'way' | 'dumpMs' | 'replay'> {
  if (kind === 'replica') return { way: 'survivor', replay }
  return { way: 'rebuild', ...(takenMs === undefined ? {} : { dumpMs: takenMs }), replay }
}

function describe({ partition, replicas }: LostPartition): Omit<RecoveredOfCluster, 'way'> {
  return {
    partition,
    replicas: replicas.map(({ replica, node, standing }) => ({
      replica,
      ...(node === undefined ? {} : { node }),
      standing: standing.kind,
      ...(standing.kind === 'lives' ? { end: standing.end.sequence } : {}),
    })),
  }
}
