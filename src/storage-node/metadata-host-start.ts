// Start of the metadata on a node: reads what every drive has, decides per partition what holds,
// and brings every replica up to it. Nothing is served before the coordinator knows the outcome.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { LogPosition } from '../metadata/log/contract.ts'
import { BEGINNING, decodeBatch, type EntryHead } from '../metadata/log/entry.ts'
import { planRecovery, type ReplicaEvidence, type ReplicaPlan } from '../metadata/log/recovery.ts'
import type { ClusterState, MetaPartitionState, Replica } from '../placement/coordinator.ts'
import type { OpenLevel } from './drive-lock.ts'
import type { MetaRows } from './meta-rows.ts'
import { openRows, type RowsVerdict } from './meta-rows-open.ts'
import type { Marker, ReplicaStatus } from './meta-rows-status.ts'
import { HostDrive } from './metadata-host-drive.ts'
import {
  DriveLog,
  type DriveLogOptions,
  type FoundRecord,
  type IsNeeded,
} from './metalog/drive-log.ts'
import type { MetaDrive } from './metalog/meta-drive.ts'

export interface StartParts {
  world: World
  log: Log
  openLevel: OpenLevel
}

/** The rows of a drive and what they say. */
export interface StartRows {
  drive: MetaDrive
  rows: MetaRows
  verdict: RowsVerdict
  /** False when its tables are too large to be checked at the start. */
  checked: boolean
  marker: Marker | undefined
  statuses: ReadonlyMap<number, ReplicaStatus>
}

/** A drive and what was found on it. */
export interface StartDrive extends StartRows {
  host: HostDrive
  /** Intact records that may be needed, by incarnation. */
  records: ReadonlyMap<string, FoundRecord[]>
}

/** What holds of each partition. */
export interface Recovered {
  sets: Map<number, Replica[]>
  tips: Map<number, LogPosition>
  lost: Set<number>
}

// How many bytes of batches are applied at once.
const REPLAY_BYTES = 1024 * 1024
// How many entries a replica that lacks them is given at once.
const APPENDED_AT_ONCE = 64

/** Opens the rows of a drive. */
export async function openStartRows(drive: MetaDrive, parts: StartParts): Promise<StartRows> {
  const opened = await openRows({ ...parts, drive })
  if (opened.verdict.kind !== 'whole') {
    parts.log.warn({ drive: drive.id, ...opened.verdict }, 'rows of a drive are not to be trusted')
  }
  const marker = await opened.rows.marker()
  return { drive, ...opened, marker, statuses: await readStatuses(opened) }
}

/** Opens the log of a drive whose rows are open. */
export async function openStartLog(
  start: StartRows,
  { options, isNeeded }: { options: DriveLogOptions; isNeeded: IsNeeded },
  parts: StartParts,
): Promise<StartDrive> {
  const { drive, rows, marker } = start
  const { log, found, rotten } = await DriveLog.open({ ...parts, drive }, options, isNeeded)
  if (rotten > 0) {
    parts.log.warn({ drive: drive.id, rotten }, 'a metadata log has torn or rotten records')
  }
  const host = new HostDrive({ drive, log, rows, marker })
  return { ...start, host, records: groupRecords(found) }
}

/** Which records a start needs: those of in-sync replicas above the lowest position that rows of their partition surely hold. */
export function neededRecords(
  state: ClusterState,
  drives: ReadonlyMap<number, StartRows>,
): IsNeeded {
  const floors = new Map<string, number>()
  for (const [id, partition] of state.metaPartitions.entries()) {
    const bases = partition.inSync.flatMap((replica) => {
      const drive = drives.get(replica.driveId)
      const base = drive && findBase(replica, { id, state: partition }, drive)
      if (base === undefined) return []
      return drive?.verdict.kind === 'replay-all' ? [0] : [base.sequence]
    })
    const floor = bases.length === 0 ? 0 : Math.min(...bases)
    for (const { incarnation } of partition.inSync) floors.set(incarnation, floor)
  }
  return ({ incarnation, sequence }) => {
    const floor = floors.get(incarnation)
    return floor !== undefined && sequence > floor
  }
}

/** Recovers every partition that has an in-sync replica here. Rows and logs are whole and durable when it resolves. */
export async function recoverPartitions(
  state: ClusterState,
  drives: ReadonlyMap<number, StartDrive>,
  log: Log,
): Promise<Recovered> {
  const recovered: Recovered = { sets: new Map(), tips: new Map(), lost: new Set() }
  for (const [id, partition] of state.metaPartitions.entries()) {
    await recoverPartition({ id, state: partition }, drives, { recovered, log })
  }
  for (const { host } of drives.values()) {
    host.log.endReading()
    await checkpointOrFail(host)
  }
  return recovered
}

async function checkpointOrFail(host: HostDrive): Promise<void> {
  try {
    await host.checkpoint({ force: true })
  } catch (error) {
    // Rows that can not be made durable are of no use, and the coordinator counts on them next.
    host.drive.fail(error)
  }
}

async function readStatuses(opened: {
  rows: MetaRows
  verdict: RowsVerdict
}): Promise<Map<number, ReplicaStatus>> {
  try {
    return await opened.rows.statuses()
  } catch (error) {
    if (opened.verdict.kind !== 'suspect') throw error
    return new Map() // Rotten beyond reading: nothing is claimed.
  }
}

function groupRecords(found: readonly FoundRecord[]): Map<string, FoundRecord[]> {
  const groups = new Map<string, FoundRecord[]>()
  for (const record of found) {
    const group = groups.get(record.incarnation)
    if (group === undefined) groups.set(record.incarnation, [record])
    else group.push(record)
  }
  return groups
}

async function recoverPartition(
  partition: { id: number; state: MetaPartitionState },
  drives: ReadonlyMap<number, StartDrive>,
  { recovered, log }: { recovered: Recovered; log: Log },
): Promise<void> {
  const { id, state } = partition
  const here = state.inSync.filter(({ driveId }) => drives.has(driveId))
  const evidence = here.map((replica) =>
    gatherEvidence(replica, partition, drives.get(replica.driveId)!),
  )
  const plan = planRecovery(evidence)
  if (here.length === 0 || plan.kind === 'lost') {
    log.error(
      { partition: id, ...plan },
      'a metadata partition can not be recovered: it serves nothing',
    )
    recovered.lost.add(id)
    for (const { host } of drives.values()) host.holdBack(id)
    return
  }
  if (plan.doubtful) {
    log.error(
      { partition: id },
      'committed entries of a metadata log are gone: its rows are believed',
    )
  }
  const sources = here.map((replica) => recordSource(replica, drives.get(replica.driveId)!))
  const set: Replica[] = []
  for (const one of plan.replicas) {
    const replica = one.id
    if (one.kind === 'replace') {
      log.warn(
        { partition: id, drive: replica.driveId },
        'a replica is not whole: it is copied anew',
      )
      continue
    }
    const drive = drives.get(replica.driveId)!
    if (await tryToMend({ id, replica, plan: one, chain: plan.chain }, drive, { sources, log })) {
      set.push(replica)
    }
  }
  if (set.length === 0) {
    recovered.lost.add(id)
    for (const { host } of drives.values()) host.holdBack(id)
    return
  }
  recovered.sets.set(id, set)
  recovered.tips.set(id, plan.tip)
}

function gatherEvidence(
  replica: Replica,
  { id, state }: { id: number; state: MetaPartitionState },
  drive: StartDrive,
): ReplicaEvidence<Replica> {
  const status = drive.statuses.get(id)
  const claimed = status?.incarnation === replica.incarnation ? status.applied : undefined
  const entries = drive.records.get(replica.incarnation) ?? []
  const proven = findBase(replica, { id, state }, drive)
  // LevelDB admits to have dropped something: as much as there is is applied again.
  const replayAll = drive.verdict.kind === 'replay-all'
  const base = proven && replayAll ? oldestBefore(proven, entries) : proven
  return { id: replica, base, claimed, entries }
}

function findBase(
  { incarnation }: Replica,
  { id, state }: { id: number; state: MetaPartitionState },
  { marker, verdict }: StartRows,
): LogPosition | undefined {
  if (verdict.kind === 'suspect') return undefined
  const marked = marker?.find((one) => one.partition === id && one.incarnation === incarnation)
  // A partition that was never started is empty, and that is right.
  if (marked === undefined) return state.epoch === 0 ? BEGINNING : undefined
  // The marker before last: LevelDB may have lost what it should not have (storage.md 7.3).
  return marked.previous
}

/** The oldest position from which the log leads to `position` without a hole. */
function oldestBefore(position: LogPosition, entries: readonly EntryHead[]): LogPosition {
  const bySequence = new Map(entries.map((entry) => [entry.sequence, entry]))
  let oldest = position
  for (;;) {
    const entry = bySequence.get(oldest.sequence)
    if (entry === undefined || entry.epoch !== oldest.epoch) return oldest
    oldest = { epoch: entry.prevEpoch, sequence: entry.sequence - 1 }
  }
}

/** Gives batches of one replica's log. */
interface RecordSource {
  driveId: number
  read(entry: EntryHead): Promise<Uint8Array> | undefined
}

function recordSource(replica: Replica, { host, records }: StartDrive): RecordSource {
  const found = records.get(replica.incarnation) ?? []
  const byPosition = new Map(found.map((record) => [`${record.epoch}/${record.sequence}`, record]))
  return {
    driveId: replica.driveId,
    read: ({ epoch, sequence }) => {
      const record = byPosition.get(`${epoch}/${sequence}`)
      return record && host.log.readFound(record)
    },
  }
}

interface Mending {
  id: number
  replica: Replica
  plan: ReplicaPlan<Replica> & { kind: 'mend' }
  chain: readonly EntryHead[]
}

/** False when the drive or its rows failed on the way: the others go on without it. */
async function tryToMend(
  mending: Mending,
  drive: StartDrive,
  { sources, log }: { sources: readonly RecordSource[]; log: Log },
): Promise<boolean> {
  try {
    await mend(mending, drive, sources)
    return true
  } catch (error) {
    const where = { partition: mending.id, drive: mending.replica.driveId }
    log.warn({ ...where, error }, 'a replica could not be mended: it is copied anew')
    drive.host.detach(mending.id)
    return false
  }
}

async function mend(
  what: Mending,
  { host }: StartDrive,
  sources: readonly RecordSource[],
): Promise<void> {
  const { id, replica, plan, chain } = what
  const own = sources.filter(({ driveId }) => driveId === replica.driveId)
  const ordered = [...own, ...sources.filter(({ driveId }) => driveId !== replica.driveId)]
  for (let at = 0; at < plan.lacks.length; at += APPENDED_AT_ONCE) {
    const group = plan.lacks.slice(at, at + APPENDED_AT_ONCE)
    await Promise.all(
      group.map(async (entry) =>
        host.log.append(
          { ...bare(entry), partition: id, incarnation: replica.incarnation },
          await readBatch(entry, ordered),
        ),
      ),
    )
  }
  if (plan.from.sequence === 0) await host.rows.clear(id)
  host.attach(id, replica.incarnation, plan.from)
  const missing = chain.filter(({ sequence }) => sequence > plan.from.sequence)
  await replay({ id, replica, host }, missing, (entry) => readBatch(entry, ordered))
}

/** Without what else an object that stands for an entry may carry. */
function bare({ epoch, sequence, prevEpoch, committed }: EntryHead): EntryHead {
  return { epoch, sequence, prevEpoch, committed }
}

async function replay(
  { id, replica, host }: { id: number; replica: Replica; host: HostDrive },
  entries: readonly EntryHead[],
  read: (entry: EntryHead) => Promise<Uint8Array>,
): Promise<void> {
  let group: Uint8Array[] = []
  let bytes = 0
  for (const [index, entry] of entries.entries()) {
    const batch = await read(entry)
    group.push(batch)
    bytes += batch.length
    if (bytes < REPLAY_BYTES && index < entries.length - 1) continue
    const applied = { epoch: entry.epoch, sequence: entry.sequence }
    const { incarnation } = replica
    await host.apply(id, { incarnation, applied }, { batches: group.map(decodeBatch), bytes })
    group = []
    bytes = 0
  }
}

async function readBatch(entry: EntryHead, sources: readonly RecordSource[]): Promise<Uint8Array> {
  let failure: unknown
  for (const source of sources) {
    try {
      const batch = await source.read(entry)
      if (batch !== undefined) return batch
    } catch (error) {
      failure = error // Another replica may have it.
    }
  }
  throw new Error(`entry ${entry.epoch}/${entry.sequence} can not be read`, { cause: failure })
}
