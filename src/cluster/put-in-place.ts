// Rows that were made again become those of a partition: a new replica has them, durably, and then one change of the record says that it is the
// whole set. Where that does not come to its end the replica is deleted, and nobody ever counts on it.
import { Exit } from '../exit.ts'
import { asBuffer, kibibytes } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { Row } from '../metadata/commands/decision.ts'
import type { LogPosition } from '../metadata/log/contract.ts'
import { reignEpoch } from '../metadata/replication/decision.ts'
import { replicaIdOf } from '../metadata/replication/replica-id.ts'
import type { Coordinator, Replica } from '../placement/coordinator.ts'
import { holdOrphans } from '../placement/coordinator-changes.ts'
import { holds, type PartitionRecord } from '../placement/etcd/leadership.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { replicaDrives } from '../placement/replica-drives.ts'
import type { RemoteRecovery } from '../storage-node/recovery/remote-recovery.ts'
import type { RowsPage } from '../storage-node/replicated/contract.ts'
import { nodesOfDrives } from './drive-nodes.ts'
import { type LostPartition, lookAtPartition } from './lost-partitions.ts'

/** Where new replicas are put, and the record that is changed for them. `random` draws their names. */
export interface PutInPlaceParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  coordinator: Coordinator
  records: Pick<PartitionRecords, 'change'>
  recovery: Pick<RemoteRecovery, 'standings' | 'fence' | 'install' | 'discard'>
}

/** What a partition is to have. */
export interface Remade {
  rows: readonly Row[]
  /** No sequence that is known of it is above this one. */
  known: LogPosition
  /** Drives that answer. */
  open: ReadonlySet<number>
}

/** Makes these rows those of the partition. False when somebody changed its record meanwhile, or its replicas are back. */
export async function putInPlace(
  lost: LostPartition,
  { rows, known, open }: Remade,
  parts: PutInPlaceParts,
): Promise<boolean> {
  const { partition, record } = lost
  await parts.coordinator.decide(holdOrphans(parts.world.clock.now()))
  const position = positionAfter(record, known, parts.world.clock.now())
  const replica = await install({ partition, rows, position, open }, parts)
  const nodeOf = nodesOfDrives(parts.coordinator)
  const look = lookAtPartition(partition, record, { ...parts, nodeOf })
  const isStillLost = await look.catch(async (error) => {
    await discard(partition, replica, parts)
    throw error
  })
  // Where nobody knows whether the record was changed, it may name the replica, which stays then.
  const isDone = isStillLost !== undefined && (await replaceRecord(lost, replica, parts))
  if (!isDone) await discard(partition, replica, parts)
  return isDone
}

/** A log gets fewer entries than this in a millisecond, so the clock is above what it has, whatever was lost. */
const SEQUENCES_OF_MS = 1024
/** Where the clock was wrong: more than anybody can have had beyond what is known. */
const SEQUENCES_BEYOND = 2 ** 32

/** Above all that a lost replica can have reached, in an epoch in which nobody ever led: that of the fence. */
export function positionAfter(
  { epoch }: Pick<PartitionRecord, 'epoch'>,
  known: LogPosition,
  nowMs: number,
): LogPosition {
  const sequence = Math.max(Math.floor(nowMs) * SEQUENCES_OF_MS, known.sequence + SEQUENCES_BEYOND)
  return { epoch: reignEpoch(epoch, 0), sequence }
}

/**
 * Nobody counts on it, and nobody will: where its node does not hear of it, it is never taken for a member of the set. It stays where the record
 * names it, or can not be read: its node may not have heard yet.
 */
async function discard(partition: number, replica: Replica, parts: PutInPlaceParts): Promise<void> {
  const node = nodesOfDrives(parts.coordinator)(replica.driveId)
  if (node === undefined) return
  try {
    const read = await parts.records.change(partition, () => undefined)
    if ('found' in read && names(read.found, replica)) return
    await parts.recovery.discard(node, replicaIdOf(replica))
  } catch (error) {
    parts.log.warn({ replica, node, error: String(error) }, 'a replica for nobody stays for now')
  }
}

function names(record: PartitionRecord | undefined, replica: Replica): boolean {
  return holds([...(record?.replicas ?? []), ...(record?.previous ?? [])], replica)
}

interface NewReplica extends Pick<Remade, 'rows' | 'open'> {
  partition: number
  position: LogPosition
}

/** On a drive that is to hold the partition, or else on any that takes it: from there it goes where it is wanted. */
async function install(
  { partition, rows, position, open }: NewReplica,
  parts: PutInPlaceParts,
): Promise<Replica> {
  const { coordinator, recovery, world, log } = parts
  const nodeOf = nodesOfDrives(parts.coordinator)
  let trouble: unknown = new Error('no drive is there that could hold it')
  const { map } = coordinator.state
  const active = map.drives.flatMap(({ id, state }) => (state === 'active' ? [id] : []))
  for (const driveId of new Set([...replicaDrives(map, partition, []), ...active])) {
    const node = nodeOf(driveId)
    if (node === undefined || !open.has(driveId)) continue
    const incarnation = asBuffer(world.random.bytes(8)).toString('hex')
    const replica = replicaIdOf({ driveId, incarnation })
    try {
      await recovery.install(node, { replica, partition }, pagesOf(rows, position))
      const [standing] = await recovery.standings(node, partition, [replica])
      if (standing?.kind !== 'lives') throw new Error(`it is ${standing?.kind} there`)
      return { driveId, incarnation }
    } catch (error) {
      trouble = error
      await discard(partition, { driveId, incarnation }, parts)
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

/** It leads by itself then. False when the record is not the one any more with which the recovery began. */
async function replaceRecord(
  { partition, record }: LostPartition,
  replica: Replica,
  { records }: PutInPlaceParts,
): Promise<boolean> {
  const change = await records.change(partition, (found) => {
    if (found?.id !== record.id) return undefined
    const { epoch } = found
    return { epoch: epoch + 1, replicas: [replica], restoredFrom: epoch }
  })
  // The answer was lost, and it leads already, or gets others beside it.
  return change.kind === 'changed' || names(change.found, replica)
}
