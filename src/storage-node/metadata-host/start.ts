// Start of the metadata on a node: reads what every drive has, decides per partition what holds,
// and brings every replica up to it. Nothing is served before the coordinator knows the outcome.
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import { planRecovery, type RecoveryPlan } from '../../metadata/log/recovery.ts'
import type { ClusterState, MetaPartitionState, Replica } from '../../placement/coordinator.ts'
import { saysNoSpace } from '../drive-errors.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { noteServing, type RowsCheck } from '../meta-rows/check.ts'
import type { MetaRows } from '../meta-rows/meta-rows.ts'
import { type OpenRowsOptions, openRows, type RowsVerdict } from '../meta-rows/open.ts'
import type { ReplicaStatus } from '../meta-rows/status.ts'
import { DriveLog, type DriveLogOptions } from '../metalog/drive-log.ts'
import type { FoundRecord, IsNeeded } from '../metalog/log-files.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import { HostDrive } from './drive.ts'
import { gatherEvidence, type StartDrive, type StartRows } from './evidence.ts'
import { mendReplica, recordSource } from './replay.ts'

/** What drives are opened with; `log` hears of what is rotten, lost or mended. */
export interface StartParts {
  world: World
  log: Log
  openLevel: OpenLevel
}

/** What holds of each partition. */
export interface Recovered {
  sets: Map<number, Replica[]>
  tips: Map<number, LogPosition>
  lost: Set<number>
  /** Of the lost ones, those of which every in-sync drive is here and works: nothing is left to wait for. */
  gone: Set<number>
}

/**
 * Thrown when no replica of a partition can be made whole for want of room. Nothing was decided: a start that finds room
 * finds everything as it was.
 */
class NoRoomToRecover extends Error {
  override readonly name = 'NoRoomToRecover'
  readonly code = 'ENOSPC'
}

/** Opens the rows of a drive. */
export async function openStartRows(
  { drive, check }: { drive: MetaDrive; check: RowsCheck },
  options: OpenRowsOptions,
  parts: StartParts,
): Promise<StartRows> {
  const opened = await openRows({ ...parts, drive }, check, options)
  if (opened.verdict.kind !== 'whole') {
    parts.log.warn({ drive: drive.id, ...opened.verdict }, 'rows of a drive are not to be trusted')
  }
  await noteServing({ ...parts, drive })
  const marker = await opened.rows.marker()
  const statuses = await readStatuses(opened)
  return { drive, ...opened, checked: check.checked, marker, statuses }
}

/** Drives with damaged rows that no sound drive has: of some partition all of the in-sync set is damaged. */
export function drivesToKeep(
  state: ClusterState,
  checks: ReadonlyMap<number, { check: RowsCheck }>,
): Set<number> {
  const kept = new Set<number>()
  for (const { inSync } of state.metaPartitions) {
    const here = inSync.map(({ driveId }) => driveId).filter((driveId) => checks.has(driveId))
    const isDamaged = (driveId: number): boolean => checks.get(driveId)!.check.trouble !== undefined
    if (here.every(isDamaged)) for (const driveId of here) kept.add(driveId)
  }
  return kept
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

/** Recovers every partition that has an in-sync replica here. Rows and logs are whole and durable when it resolves. */
export async function recoverPartitions(
  state: ClusterState,
  drives: ReadonlyMap<number, StartDrive>,
  log: Log,
): Promise<Recovered> {
  const recovered: Recovered = {
    ...{ sets: new Map(), tips: new Map() },
    ...{ lost: new Set(), gone: new Set() },
  }
  for (const [id, partition] of state.metaPartitions.entries()) {
    await recoverPartition({ id, state: partition }, drives, { recovered, log })
  }
  const failures = new Map<number, unknown>()
  for (const [driveId, { host }] of drives) {
    host.log.endReading()
    await host.checkpoint({ force: true }).catch((error) => failures.set(driveId, error))
  }
  refuseWithoutRoom(recovered, failures)
  // Rows that can not be made durable are of no use, and the coordinator counts on them next.
  for (const [driveId, error] of failures) drives.get(driveId)!.drive.fail(error)
  return recovered
}

/**
 * Where all that was recovered left the set meanwhile, as their drives failed, the set is of replicas that are not whole:
 * nothing of them is served.
 */
export function loseWhatLeft(
  { metaPartitions }: Pick<ClusterState, 'metaPartitions'>,
  recovered: Recovered,
  { hosts, log }: { hosts: ReadonlyMap<number, Pick<HostDrive, 'holdBack'>>; log: Log },
): void {
  for (const [id, set] of recovered.sets) {
    const isWhole = ({ incarnation }: Replica): boolean =>
      set.some((replica) => replica.incarnation === incarnation)
    if (metaPartitions[id]!.inSync.every(isWhole)) continue
    log.error({ partition: id }, 'what was recovered of a metadata partition failed meanwhile')
    recovered.lost.add(id)
    for (const host of hosts.values()) host.holdBack(id)
  }
}

function refuseWithoutRoom({ sets }: Recovered, failures: ReadonlyMap<number, unknown>): void {
  const cause = [...failures.values()].find(saysNoSpace)
  if (cause === undefined) return
  for (const [id, set] of sets) {
    if (set.every(({ driveId }) => failures.has(driveId)))
      throw new NoRoomToRecover(`metadata partition ${id} can not be made durable`, { cause })
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

/** Decides what holds of one partition and mends its replicas. */
async function recoverPartition(
  partition: { id: number; state: MetaPartitionState },
  drives: ReadonlyMap<number, StartDrive>,
  { recovered, log }: { recovered: Recovered; log: Log },
): Promise<void> {
  const { id, state } = partition
  const here = state.inSync.filter(({ driveId }) => drives.has(driveId))
  const plan = planRecovery(
    here.map((replica) => gatherEvidence(replica, partition, drives.get(replica.driveId)!)),
  )
  const set = plan.kind === 'lost' ? [] : await mendReplicas(id, plan, { here, drives, log })
  if (plan.kind === 'lost' || set.length === 0) {
    log.error(
      { partition: id, ...plan },
      'a metadata partition can not be recovered: it is not served',
    )
    recovered.lost.add(id)
    if (plan.kind === 'lost' && here.length === state.inSync.length) recovered.gone.add(id)
    for (const { host } of drives.values()) host.holdBack(id)
    return
  }
  if (plan.doubtful) {
    log.error(
      { partition: id },
      'committed entries of a metadata log are gone: its rows are believed',
    )
  }
  recovered.sets.set(id, set)
  recovered.tips.set(id, plan.tip)
}

/** Brings replicas to the tip; gives back those that got there. */
async function mendReplicas(
  id: number,
  plan: RecoveryPlan<Replica> & { kind: 'recovered' },
  parts: { here: readonly Replica[]; drives: ReadonlyMap<number, StartDrive>; log: Log },
): Promise<Replica[]> {
  const { here, drives, log } = parts
  const sources = here.map((replica) => recordSource(replica, drives.get(replica.driveId)!))
  const set: Replica[] = []
  let noRoom: unknown
  for (const one of plan.replicas) {
    const replica = one.id
    const where = { partition: id, drive: replica.driveId }
    if (one.kind === 'replace') {
      log.warn(where, 'a replica is not whole: it is copied anew')
      continue
    }
    const { host } = drives.get(replica.driveId)!
    try {
      await mendReplica({ id, replica, plan: one, chain: plan.chain }, host, sources)
      set.push(replica)
    } catch (error) {
      // The others go on without it.
      log.warn({ ...where, error }, 'a replica could not be mended: it is copied anew')
      host.detach(id)
      if (saysNoSpace(error)) noRoom = error
    }
  }
  if (set.length === 0 && noRoom !== undefined)
    throw new NoRoomToRecover(`no replica of metadata partition ${id} has room`, { cause: noRoom })
  return set
}
