// Opens what a drive has of metadata: rows first, looked at before LevelDB is let at them, then the log, and what both together
// still have of every replica. A replica that lost anything it may have told others does not begin.
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import type { DurableState } from '../../metadata/replication/effects.ts'
import { positionOf } from '../../metadata/replication/log-tail.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { checkRows, noteServing } from '../meta-rows/check.ts'
import type { MetaRows } from '../meta-rows/meta-rows.ts'
import { openRows, type RowsVerdict } from '../meta-rows/open.ts'
import type { Marker, ReplicaStatus } from '../meta-rows/status.ts'
import { DriveLog, type DriveLogOptions } from '../metalog/drive-log.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import { type LoggedReplica, type LogReading, readLog } from './read-log.ts'
import { findMarked, ReplicaDrive } from './replica-drive.ts'
import type { Remains, ReplicaHistory } from './replica-history.ts'
import type { ReplicaState } from './replica-state.ts'

/** What the metadata of a drive is opened with; `log` hears of what is rotten or lost. */
export interface OpenDriveParts {
  world: Pick<World, 'disk' | 'random'>
  log: Log
  openLevel: OpenLevel
}

/** A replica that may begin. */
export interface FoundReplica {
  partition: number
  incarnation: string
  state: ReplicaState
  durable: DurableState
}

/** A replica that lost something: it is kept, and does not answer. */
export interface DamagedReplica {
  partition: number
  incarnation: string
  /** As it was written last, of what is left. */
  state: ReplicaState
  /** It may have promised this epoch, or any before it. */
  promised: number
  /** Up to which sequence something of it was seen once. */
  reached: number
}

/** A drive and the replicas on it. */
export interface OpenedDrive {
  host: ReplicaDrive
  found: FoundReplica[]
  damaged: DamagedReplica[]
}

interface FoundRows {
  rows: MetaRows
  verdict: RowsVerdict
  marker: Marker
  statuses: ReadonlyMap<number, ReplicaStatus>
}

/** Rejects when rows or log can not be opened: nothing was changed then. */
export async function openDrive(
  drive: MetaDrive,
  options: DriveLogOptions,
  parts: OpenDriveParts,
): Promise<OpenedDrive> {
  const found = await findRows(drive, parts)
  try {
    const reading = await readLog(drive, parts.world, (name) => floorOf(name, found))
    noteRot(drive, reading, parts.log)
    const opened = { ...options, isSealed: true }
    // Read already, in the order that counts here.
    const { log } = await DriveLog.open({ ...parts, drive }, opened, () => false)
    return await conclude(drive, { ...found, log, reading }, parts.log)
  } catch (error) {
    await found.rows.close()
    throw error
  }
}

async function findRows(drive: MetaDrive, parts: OpenDriveParts): Promise<FoundRows> {
  const { world, log } = parts
  const check = await checkRows({ world, drive })
  // What is damaged is nowhere else on this node; other nodes have it.
  const choice = { keepDamaged: false, replaceUnopened: false }
  const { rows, verdict } = await openRows({ ...parts, drive }, check, choice)
  if (verdict.kind !== 'whole') {
    log.warn({ drive: drive.id, ...verdict }, 'rows of a drive are not to be trusted')
  }
  await noteServing({ world, drive })
  return { rows, verdict, marker: (await rows.marker()) ?? [], statuses: await rows.statuses() }
}

/** Up to where the batches of a replica's log are not needed. */
function floorOf(incarnation: string, { marker, verdict }: FoundRows): number {
  const marked = marker.filter((one) => one.incarnation === incarnation)
  if (verdict.kind === 'replay-all' || marked.length === 0) return 0
  return Math.min(...marked.map(({ previous }) => previous.sequence))
}

function noteRot(drive: MetaDrive, { rottenFiles }: LogReading, log: Log): void {
  if (rottenFiles.length === 0) return
  log.error({ drive: drive.id, files: rottenFiles }, 'a metadata log lost what was durable')
}

async function conclude(
  drive: MetaDrive,
  found: FoundRows & { log: DriveLog; reading: LogReading },
  log: Log,
): Promise<OpenedDrive> {
  const begin: FoundReplica[] = []
  const damaged: DamagedReplica[] = []
  const heldBack = new Map<string, number>()
  const examined = examine(found)
  for (const one of examined) {
    const { partition, incarnation, state } = one
    const remains = isMixed(one, examined, found) ? MIXED : one.remains
    if (remains.kind === 'whole') {
      const { durable } = remains
      // Entries were written since the state was.
      const last = positionOf(durable.entries.at(-1) ?? durable.base)
      begin.push({ partition, incarnation, state: { ...state, last }, durable })
    } else {
      heldBack.set(incarnation, state.rows.slot)
      const reached = reachedBy(incarnation, state.rows.slot, found)
      damaged.push({ partition, incarnation, state, promised: promisedBy(one, found), reached })
      const where = { drive: drive.id, partition, incarnation, why: remains.why }
      log.error(where, 'a replica of metadata is damaged: it does not answer any more')
    }
  }
  const slots = new Set([...begin.map(({ state }) => state.rows.slot), ...heldBack.values()])
  const marker = found.marker.filter(({ partition }) => slots.has(partition))
  const host = new ReplicaDrive({ drive, log: found.log, rows: found.rows, marker, heldBack })
  await clearUnused(found, slots)
  await attachAll(host, begin, found)
  return { host, found: begin, damaged }
}

interface Examined {
  partition: number
  incarnation: string
  state: ReplicaState
  history: ReplicaHistory
  remains: Remains
}

const MIXED: Remains = { kind: 'rotten', why: 'its rows are mixed with those of another replica' }

/** All that were made and are not deleted, each by itself. */
function examine(found: FoundRows & { reading: LogReading }): Examined[] {
  return [...found.reading.replicas.values()].flatMap((replica) => {
    const { partition, incarnation, history } = replica
    const { state } = history
    if (state === undefined || state.isGone) return []
    return [{ partition, incarnation, state, history, remains: remainsOf(replica, state, found) }]
  })
}

/**
 * Whether other rows may be among those of a replica: two had one slot. One that was damaged before and is not needed any more may have had it
 * first, and then all that is there says whose it is now.
 */
function isMixed(
  { incarnation, state }: Examined,
  examined: readonly Examined[],
  { marker, statuses }: FoundRows,
): boolean {
  const { slot } = state.rows
  const others = examined.filter(
    (other) => other.incarnation !== incarnation && other.state.rows.slot === slot,
  )
  if (others.length === 0) return false
  const marked = marker.filter(({ partition }) => partition === slot)
  const owners = [statuses.get(slot)?.incarnation ?? incarnation]
  for (const one of marked) owners.push(one.incarnation)
  const isOwn = owners.every((owner) => owner === incarnation)
  return !isOwn || others.some(({ remains }) => remains.kind === 'whole')
}

/** Copies that were never put in place, and rows of replicas that are gone. */
async function clearUnused(
  { rows, statuses }: FoundRows,
  slots: ReadonlySet<number>,
): Promise<void> {
  for (const slot of statuses.keys()) if (!slots.has(slot)) await rows.clear(slot)
}

async function attachAll(
  host: ReplicaDrive,
  begin: readonly FoundReplica[],
  { rows, marker }: FoundRows,
): Promise<void> {
  for (const { incarnation, state, durable } of begin) {
    const { slot } = state.rows
    // Nobody ever said that the slot was empty, and it must be.
    if (findMarked(marker, slot, incarnation) === undefined) await rows.clear(slot)
    host.attach(incarnation, slot, durable.base)
  }
}

function remainsOf(
  { incarnation, history }: LoggedReplica,
  { rows }: ReplicaState,
  found: FoundRows,
): Remains {
  const { marker, verdict } = found
  const marked = findMarked(marker, rows.slot, incarnation)
  if (marked === undefined && rows.position.sequence > 0) {
    return { kind: 'rotten', why: 'its rows are lost' }
  }
  // The marker before last: LevelDB may have lost what it should not have (docs/formats/metadata-log.md, meta.db).
  const proven = later(marked?.previous, rows.position)
  const reached = reachedBy(incarnation, rows.slot, found)
  const base = verdict.kind === 'replay-all' ? oldest(proven, history.first, rows) : proven
  return history.conclude(base, reached)
}

/** What rows or their marker say that there was. */
function reachedBy(incarnation: string, slot: number, { marker, statuses }: FoundRows): number {
  const status = statuses.get(slot)
  const claimed = status?.incarnation === incarnation ? status.applied.sequence : 0
  return Math.max(claimed, findMarked(marker, slot, incarnation)?.current.sequence ?? 0)
}

/** What it promised may be lost: what it has of later epochs tells of it. */
function promisedBy(
  { incarnation, state, history }: Examined,
  { marker, statuses }: FoundRows,
): number {
  const { slot, position } = state.rows
  const status = statuses.get(slot)
  const claimed = status?.incarnation === incarnation ? status.applied.epoch : 0
  const marked = findMarked(marker, slot, incarnation)?.current.epoch ?? 0
  const written = Math.max(state.last.epoch, position.epoch, history.last?.epoch ?? 0)
  return Math.max(state.promised, written, claimed, marked)
}

/** LevelDB admits to have dropped something: as much as there is is applied again. */
function oldest(
  proven: LogPosition,
  first: LogPosition | undefined,
  { position }: { position: LogPosition },
): LogPosition {
  if (first === undefined || first.sequence >= proven.sequence) return proven
  return later(first, position)
}

function later(one: LogPosition | undefined, other: LogPosition): LogPosition {
  return one !== undefined && one.sequence > other.sequence ? one : other
}
