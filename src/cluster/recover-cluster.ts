// The last resort of a cluster, while its nodes run: metadata partitions that lost the majority of their replicas go on with what one that
// lives has, or are made again from dumps and from what shards say of themselves. A partition comes back with one change of its
// record, so that it can be begun again after a crash at any point (docs/decisions/0023-recovering-a-cluster.md).
import { gatherBlobs } from '../embedded/find-blobs.ts'
import { bucketsOf } from '../embedded/recover.ts'
import { Exit } from '../exit.ts'
import { asBuffer, kibibytes } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Row } from '../metadata/commands/decision.ts'
import type { LogPosition } from '../metadata/log/contract.ts'
import { rebuildRows } from '../metadata/rebuild/rebuild-rows.ts'
import type { RebuildReport } from '../metadata/rebuild/remains.ts'
import { RowTable } from '../metadata/rebuild/row-table.ts'
import { reignEpoch } from '../metadata/replication/decision.ts'
import { comparePositions } from '../metadata/replication/log-tail.ts'
import { replicaIdOf } from '../metadata/replication/replica-id.ts'
import { metaPartitionIds, nodeIdsOf } from '../placement/cluster-map.ts'
import type { Coordinator, Replica } from '../placement/coordinator.ts'
import { holdOrphans } from '../placement/coordinator-changes.ts'
import type { PartitionRecord } from '../placement/etcd/leadership.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { replicaDrives } from '../placement/replica-drives.ts'
import type { WholeShard } from '../storage-node/recovery/recovery-messages.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import type { RowsPage } from '../storage-node/replicated/contract.ts'
import { NodeFailed, NodeUnreachable } from '../storage-node/rpc/trouble.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import {
  type LostPartition,
  lookAtPartition,
  type Survivor,
  silentOf,
  survivorOf,
} from './lost-partitions.ts'

/** What is to be done. */
export interface ClusterRecoverRequest {
  /** `plan`: only look what is lost. `rehearse`: make everything but keep nothing. */
  mode: 'plan' | 'rehearse' | 'recover'
  /** What does not answer is gone for good. */
  withoutMissing: boolean
}

export interface ClusterRecoverParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  coordinator: Coordinator
  records: Pick<PartitionRecords, 'get' | 'change'>
  recovery: Pick<
    RemoteRecovery,
    'standings' | 'dumps' | 'readDump' | 'readReplica' | 'shards' | 'install' | 'discard'
  >
}

/**
 * A partition and what becomes of it. `waits`: replicas that do not answer may have everything. `survivor`: what one that
 * lives has is all from now on. `rebuild`: none lives that has more than a dump.
 */
export interface RecoveredOfCluster {
  partition: number
  way: 'waits' | 'survivor' | 'rebuild'
  replicas: { replica: string; node?: string; standing: string; end?: number }[]
  /** When the dump was taken that a rebuild begins with; absent: there is none. */
  dumpMs?: number
  report?: RebuildReport
  /** Whether the record was changed. When it should have been and was not, somebody else changed it meanwhile. */
  isDone?: boolean
}

/** How it ended; no partitions: none was lost. */
export interface ClusterRecoverOutcome {
  mode: ClusterRecoverRequest['mode']
  partitions: RecoveredOfCluster[]
  /** Names of buckets by id, for who reads the report. */
  buckets: Record<number, string>
}

/** Recovers what is lost. Throws Exit when it has to wait for nodes. */
export async function recoverCluster(
  request: ClusterRecoverRequest,
  parts: ClusterRecoverParts,
): Promise<ClusterRecoverOutcome> {
  const state = (await parts.coordinator.refresh?.()) ?? parts.coordinator.state
  const partitions: RecoveredOfCluster[] = []
  for (const partition of metaPartitionIds(state.map)) {
    const record = parts.records.get(partition)
    if (record === undefined) continue
    const nodeOf = nodesOfDrives(parts.coordinator)
    const lost = await lookAtPartition(partition, record, { ...parts, nodeOf })
    if (lost !== undefined) partitions.push(await recoverOne(lost, request, parts))
  }
  const names = Object.values(state.buckets).map(({ id, name }) => [id, name] as const)
  return { mode: request.mode, partitions, buckets: Object.fromEntries(names) }
}

async function recoverOne(
  lost: LostPartition,
  request: ClusterRecoverRequest,
  parts: ClusterRecoverParts,
): Promise<RecoveredOfCluster> {
  const seen = describe(lost)
  if (silentOf(lost).length > 0 && !request.withoutMissing) return { ...seen, way: 'waits' }
  const survivor = survivorOf(lost)
  const nodes = await nodesToAsk(lost.partition, request, parts)
  const isBest = survivor !== undefined && (await goesFurthest(survivor, lost, nodes, parts))
  const found = isBest
    ? await goOn(lost, survivor, request, parts)
    : await rebuild(lost, nodes, request, parts)
  return { ...seen, ...found }
}

/** Whether it has more than every dump: one that was away for long, or never had anything, has less. */
async function goesFurthest(
  { end }: Survivor,
  { partition }: LostPartition,
  nodes: readonly string[],
  parts: ClusterRecoverParts,
): Promise<boolean> {
  const dump = await readNewest(partition, nodes, parts, false)
  return dump === undefined ? end.sequence > 0 : comparePositions(end, dump.position) >= 0
}

type Found = Omit<RecoveredOfCluster, 'partition' | 'replicas'>

/**
 * Under another name and in another place of the log: those that were lost may have acknowledged what this one does not have, and must never
 * take its log for the beginning of theirs.
 */
async function goOn(
  lost: LostPartition,
  { node, replica, end }: Survivor,
  { mode }: ClusterRecoverRequest,
  parts: ClusterRecoverParts,
): Promise<Found> {
  const way = 'survivor'
  if (mode !== 'recover') return { way }
  const rows = new RowTable()
  for await (const { changes } of parts.recovery.readReplica(node, lost.partition, replica)) {
    for (const { key, value } of changes) {
      if (value === undefined) rows.delete(key)
      else rows.put(key, value)
    }
  }
  return { way, isDone: await putInPlace(lost, { rows: [...rows], known: end }, parts) }
}

async function rebuild(
  lost: LostPartition,
  nodes: readonly string[],
  request: ClusterRecoverRequest,
  parts: ClusterRecoverParts,
): Promise<Found> {
  const { partition } = lost
  const dump = await readNewest(partition, nodes, parts, request.mode !== 'plan')
  const way = 'rebuild'
  const dumped = dump === undefined ? {} : { dumpMs: dump.takenMs }
  if (request.mode === 'plan') return { way, ...dumped }
  const { state } = parts.coordinator
  const { rows, report } = await rebuildRows({
    ...(dump ? { dump } : {}),
    blobs: await gatherBlobs(shardsOfAll(partition, nodes, parts)),
    buckets: bucketsOf(state),
    nowMs: parts.world.clock.now(),
  })
  if (request.mode !== 'recover') return { way, ...dumped, report }
  const known = dump?.position ?? NOWHERE
  return { way, ...dumped, report, isDone: await putInPlace(lost, { rows, known }, parts) }
}

/** Makes these rows those of the partition. False when somebody changed it meanwhile, or its replicas are back. */
async function putInPlace(
  lost: LostPartition,
  { rows, known }: { rows: readonly Row[]; known: LogPosition },
  parts: ClusterRecoverParts,
): Promise<boolean> {
  const { partition, record } = lost
  await parts.coordinator.decide(holdOrphans(parts.world.clock.now()))
  const position = positionAfter(record, known, parts.world.clock.now())
  const replica = await install({ partition, rows, position }, parts)
  const nodeOf = nodesOfDrives(parts.coordinator)
  const look = lookAtPartition(partition, record, { ...parts, nodeOf })
  const isStillLost = await look.catch(async (error) => {
    await discard(replica, parts)
    throw error
  })
  // Where nobody knows whether the record was changed, it may name the replica, which stays then.
  const isDone = isStillLost !== undefined && (await replaceRecord(lost, replica, parts))
  if (!isDone) await discard(replica, parts)
  return isDone
}

/** Nobody counts on it, and nobody will: where its node does not hear of it, it is never taken for a member of the set. */
async function discard(replica: Replica, parts: ClusterRecoverParts): Promise<void> {
  const node = nodesOfDrives(parts.coordinator)(replica.driveId)
  if (node === undefined) return
  await parts.recovery.discard(node, replicaIdOf(replica)).catch((error: unknown) => {
    parts.log.warn({ replica, node, error: String(error) }, 'a replica for nobody stays for now')
  })
}

/** Every node may have the newest dump, and shards that nobody else has. */
async function nodesToAsk(
  partition: number,
  { mode, withoutMissing }: ClusterRecoverRequest,
  parts: ClusterRecoverParts,
): Promise<string[]> {
  const { drives } = parts.coordinator.state.map
  const nodes = nodeIdsOf(drives)
  const silent: string[] = []
  for (const node of nodes) {
    try {
      await parts.recovery.standings(node, partition, [])
    } catch (error) {
      if (!(error instanceof NodeUnreachable)) throw error
      silent.push(node)
    }
  }
  if (silent.length > 0 && !withoutMissing && mode !== 'plan') {
    throw new Exit(
      4,
      `partition ${partition} is to be made again from dumps and shards, and ${silent.join(', ')} may have some: bring ${silent.length === 1 ? 'that node' : 'those nodes'} back first, or add --without-missing.`,
    )
  }
  return nodes.filter((node) => !silent.includes(node))
}

interface NewestDump {
  takenMs: number
  rows: Row[]
  position: LogPosition
}

/** The newest dump that can be read to its end; without `whole` its rows are left out, and nobody looks whether they can be read. */
async function readNewest(
  partition: number,
  nodes: readonly string[],
  { recovery, log }: ClusterRecoverParts,
  whole: boolean,
): Promise<NewestDump | undefined> {
  const found: { node: string; takenMs: number }[] = []
  for (const node of nodes)
    for (const takenMs of await recovery.dumps(node, partition)) found.push({ node, takenMs })
  found.sort((left, right) => right.takenMs - left.takenMs)
  for (const { node, takenMs } of found) {
    try {
      const rows = new RowTable()
      let position = NOWHERE
      for await (const page of recovery.readDump(node, partition, takenMs)) {
        position = page.position
        if (!whole) break
        for (const { key, value } of page.rows) rows.put(key, value)
      }
      return { takenMs, rows: [...rows], position }
    } catch (error) {
      if (!(error instanceof NodeFailed)) throw error
      log.warn({ partition, node, takenMs }, 'a dump is damaged: another one is taken')
    }
  }
  return undefined
}

const NOWHERE: LogPosition = { epoch: 0, sequence: 0 }

async function* shardsOfAll(
  partition: number,
  nodes: readonly string[],
  { recovery }: ClusterRecoverParts,
): AsyncGenerator<WholeShard> {
  for (const node of nodes)
    for await (const shards of recovery.shards(node, partition)) yield* shards
}

/** A log gets fewer entries than this in a millisecond, so the clock is above what it has, whatever was lost. */
const SEQUENCES_OF_MS = 1024
/** Where the clock was wrong: more than anybody can have had beyond what is known. */
const SEQUENCES_BEYOND = 2 ** 32

/** Above all that a lost replica can have reached, in an epoch in which nobody ever led. */
export function positionAfter(
  { epoch }: Pick<PartitionRecord, 'epoch'>,
  known: LogPosition,
  nowMs: number,
): LogPosition {
  const sequence = Math.max(Math.floor(nowMs) * SEQUENCES_OF_MS, known.sequence + SEQUENCES_BEYOND)
  return { epoch: reignEpoch(epoch + 1, 0), sequence }
}

/** On the first drive of those that are to hold the partition whose node takes it. */
async function install(
  { partition, rows, position }: { partition: number; rows: readonly Row[]; position: LogPosition },
  parts: ClusterRecoverParts,
): Promise<Replica> {
  const { coordinator, recovery, world, log } = parts
  const nodeOf = nodesOfDrives(parts.coordinator)
  let trouble: unknown = new Error('no drive is there that could hold it')
  for (const driveId of replicaDrives(coordinator.state.map, partition, [])) {
    const node = nodeOf(driveId)
    if (node === undefined) continue
    const incarnation = asBuffer(world.random.bytes(8)).toString('hex')
    const replica = replicaIdOf({ driveId, incarnation })
    try {
      await recovery.install(node, { replica, partition }, pagesOf(rows, position))
      const [standing] = await recovery.standings(node, partition, [replica])
      if (standing?.kind !== 'lives') throw new Error(`it is ${standing?.kind} there`)
      return { driveId, incarnation }
    } catch (error) {
      trouble = error
      await discard({ driveId, incarnation }, parts)
      log.warn({ partition, node, driveId, error: String(error) }, 'rows could not be put there')
    }
  }
  throw new Exit(1, `partition ${partition} could not be put on any drive: ${trouble}.`)
}

const PAGE_BYTES = kibibytes(256)

function* pagesOf(rows: readonly Row[], position: LogPosition): Generator<RowsPage> {
  let page: Row[] = []
  let bytes = 0
  for (const row of rows) {
    page.push(row)
    bytes += row.key.length + row.value.length
    if (bytes < PAGE_BYTES) continue
    yield { position, rows: page }
    page = []
    bytes = 0
  }
  yield { position, rows: page }
}

/** It leads by itself then. False when the record is not the one any more that was looked at. */
async function replaceRecord(
  { partition, record }: LostPartition,
  replica: Replica,
  { records }: ClusterRecoverParts,
): Promise<boolean> {
  const { kind } = await records.change(partition, (found) => {
    if (found?.id !== record.id) return undefined
    const { epoch } = found
    return { epoch: epoch + 1, replicas: [replica], restoredFrom: epoch }
  })
  return kind === 'changed'
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
