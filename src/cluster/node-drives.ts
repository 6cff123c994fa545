// The directories of a node: which of them are drives of the cluster, which become new ones, and what the map is told of
// them. Until the map names a drive nothing depends on it; each step may be cut off by a crash and is done again.
import { resolve } from 'node:path'
import { weighDrives } from '../embedded/drive-weight.ts'
import type { Absent } from '../embedded/gather-drives.ts'
import { makeDrive } from '../embedded/make-drive.ts'
import { inspectOne, lockDrive } from '../embedded/start-store.ts'
import type { Tuning } from '../embedded/tuning.ts'
import { Exit } from '../exit.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { MapDrive } from '../placement/cluster-map.ts'
import {
  type Change,
  type ClusterState,
  type Coordinator,
  CoordinatorUnavailable,
} from '../placement/coordinator.ts'
import {
  addDrives,
  inOrder,
  markActive,
  moveDrive,
  type NewDrive,
  reserveDriveId,
} from '../placement/coordinator-changes.ts'
import type { Drive } from '../storage-node/drive.ts'
import { DriveGone } from '../storage-node/drive-errors.ts'
import type { DriveFound, DriveMarker } from '../storage-node/drive-format.ts'
import { endJoining, isJoining } from '../storage-node/joining.ts'
import type { FoundDrive } from '../storage-node/start-plan.ts'
import { tellUnserved } from './unserved-drives.ts'

/** The node, as its drives are told apart by it. */
export interface DriveHome {
  nodeId: string
  zone?: string | undefined
}

/** What a node takes its drives in with. The coordinator knows the drives, and gives numbers to new ones. */
export interface NodeDriveParts {
  coordinator: Coordinator
  world: World
  log: Log
  tuning?: Tuning
  /** The node had drives before, whether the map names any of them still or not. */
  hasServed?: boolean | undefined
  /** Is told which drives of the map were not opened, and why. */
  leftOut?: Map<number, Error>
}

/**
 * Locks the drives in these directories, and those of this node that are where they were last. Of a node that has none otherwise empty
 * directories become new ones, and missing ones where it never had any. Throws Exit for what is no drive of this cluster, and where
 * none can be opened.
 */
export async function lockNodeDrives(
  directories: readonly string[],
  { nodeId }: DriveHome,
  parts: NodeDriveParts,
): Promise<Drive[]> {
  const leftOut = parts.leftOut ?? new Map<number, Error>()
  const { map } = parts.coordinator.state
  const known = map.drives.flatMap((drive) => (drive.nodeId === nodeId ? (drive.path ?? []) : []))
  const paths = directories.length > 0 ? directories.map((path) => resolve(path)) : unique(known)
  if (paths.length === 0)
    throw new Exit(2, 'kintsugi node takes the directories of the drives that it is to serve.')
  const twice = paths.find((path, index) => paths.indexOf(path) !== index)
  if (twice) throw new Exit(2, `${twice} is given twice: every drive is a directory of its own.`)
  const { found, ...unused } = await findDrives(paths, { ...parts, nodeId, leftOut })
  found.push(...(await findOthers({ paths, found }, { ...parts, nodeId, leftOut })))
  const absent: Absent['absent'] = new Map()
  const drives: Drive[] = []
  const lock = async (one: FoundDrive): Promise<void> => {
    const drive = await lockDrive(one, { ...parts, mayLack: true, absent })
    if (drive !== undefined) drives.push(drive)
  }
  try {
    for (const one of found) await lock(one)
    for (const [id, { sentence }] of absent) leftOut.set(id, new Error(sentence))
    const hasOwn = drives.length > 0
    for (const { path, reason } of unused.free) {
      if (hasOwn) parts.log.warn({ path }, reason)
      else await lock({ path, marker: await makeNew(path, parts) })
    }
    if (drives.length > 0) return drives
    await tellOfNone({ nodeId, leftOut }, parts)
    throw new Exit(4, sayNone(unused, [...absent.values()][0]?.sentence))
  } catch (error) {
    await Promise.allSettled(drives.map((drive) => drive.close()))
    throw error
  }
}

/** Nobody else will: the node ends. What was on its drives is made again on others then, as with those of a node that serves. */
async function tellOfNone(
  { nodeId, leftOut }: { nodeId: string; leftOut: Map<number, Error> },
  { coordinator, log }: NodeDriveParts,
): Promise<void> {
  try {
    await tellUnserved({ nodeId, live: [], leftOut }, { coordinator })
  } catch (error) {
    if (!(error instanceof CoordinatorUnavailable)) throw error
    log.warn({ why: error.message }, 'the map can not be told that no drive is here')
  }
}

/** What is not served. */
interface Unused {
  /** Drives of this cluster that were taken out for ever. */
  removed: FoundDrive[]
  /** Empty directories of a node that has drives: one that has none to serve begins anew with them. */
  free: { path: string; reason: string }[]
  /** Why other directories are none, in words. */
  reasons: string[]
}

/** The others are served without those that are not. */
async function findDrives(
  paths: readonly string[],
  { nodeId, ...parts }: NodeDriveParts & DriveHome,
): Promise<Unused & { found: FoundDrive[] }> {
  const found: FoundDrive[] = []
  const removed: FoundDrive[] = []
  const free: Unused['free'] = []
  const reasons: string[] = []
  for (const path of paths) {
    const one = await findDrive(path, await inspectOne(path, parts.world), { ...parts, nodeId })
    if ('reason' in one) {
      if (one.isFree) free.push({ path, reason: one.reason })
      else reasons.push(one.reason)
      continue
    }
    const { marker } = one
    if (!wasRemoved(marker, parts)) {
      found.push({ path, marker })
      continue
    }
    removed.push({ path, marker })
    parts.log.warn({ path }, `${sayRemoved({ path, marker })}: it is not served`)
  }
  return { found, removed, free, reasons }
}

/** A drive that the map merely lacks was not removed: etcd may be older than the drive is. */
function wasRemoved(
  { driveId }: DriveMarker,
  { coordinator }: Pick<NodeDriveParts, 'coordinator'>,
): boolean {
  return coordinator.state.map.removed?.includes(driveId) === true
}

function sayRemoved({ path, marker }: FoundDrive): string {
  return `${path} was drive ${marker.driveId}, which was removed and never comes back`
}

/** Why there is nothing to serve. `why`: of a drive that could not be opened. */
function sayNone({ removed, reasons }: Unused, why: string | undefined): string {
  const [first] = removed
  if (why !== undefined || first === undefined)
    return `no drive can be opened (${why ?? reasons[0] ?? 'none is there'}). Another directory becomes a new one if it is there and empty.`
  const more = removed.length === 1 ? '' : `, and so were all others`
  return (
    `${sayRemoved(first)}${more}: this node was taken out of the cluster. It has nothing to serve; with an empty directory it ` +
    'can be one of the cluster again.'
  )
}

/** Drives that came in while the node served, where they were last: whoever starts it may name only the others. */
async function findOthers(
  { paths, found }: { paths: readonly string[]; found: readonly FoundDrive[] },
  { coordinator, world, log, nodeId, leftOut }: NodeDriveParts & DriveHome,
): Promise<FoundDrive[]> {
  const { clusterId, map } = coordinator.state
  const others: FoundDrive[] = []
  for (const { id: driveId, uuid, path, nodeId: home } of map.drives) {
    const isFound = found.some(({ marker }) => marker.driveId === driveId)
    if (home !== nodeId || path === undefined || paths.includes(path) || isFound) continue
    const one = await inspectOne(path, world)
    const marker = one.kind === 'formatted' ? one.marker : undefined
    if (marker?.driveId === driveId && marker.uuid === uuid && marker.clusterId === clusterId) {
      log.info({ path }, `drive ${driveId} is where it was last, and is used`)
      others.push({ path, marker })
    } else leftOut?.set(driveId, new DriveGone('it is not where it was last'))
  }
  return others
}

/** What a directory is to the node that is started with it. */
type FoundHere = { marker: DriveMarker } | { reason: string; isFree?: true }

async function findDrive(
  path: string,
  found: DriveFound,
  parts: NodeDriveParts & DriveHome,
): Promise<FoundHere> {
  switch (found.kind) {
    case 'formatted':
      await refuseStranger(path, found.marker, parts)
      return { marker: found.marker }
    case 'empty':
    case 'missing':
      return whyNotNew(path, found, parts) ?? { marker: await makeNew(path, parts) }
    case 'foreign':
      throw new Exit(4, `${path} is neither empty nor a kintsugi drive: ${found.what}.`)
    case 'wrong-format':
      throw new Exit(4, `${path} was written in format ${found.format}, which is not read here.`)
    case 'broken':
      parts.log.error({ path, reason: found.what }, 'a drive is left out')
      leaveOut(path, new Error(found.what), parts)
      return { reason: found.what }
  }
}

async function refuseStranger(
  path: string,
  marker: DriveMarker,
  { coordinator, world }: NodeDriveParts,
): Promise<void> {
  const { clusterId, driveId, uuid } = marker
  const { state } = coordinator
  if (clusterId !== state.clusterId)
    throw new Exit(4, `${path} is a drive of another cluster or store.`)
  const known = state.map.drives.find(({ id }) => id === driveId)
  if (known !== undefined && known.uuid !== uuid)
    throw new Exit(4, `${path} calls itself drive ${driveId}, but is another one.`)
  if (known !== undefined || wasRemoved(marker, { coordinator })) return
  if (!(await isJoining(path, world))) {
    throw new Exit(
      4,
      `${path} is drive ${driveId} of this cluster, which etcd does not know and never removed. Was etcd restored from an older backup? kintsugi cluster restore-coordinator tells it what nodes remember. Nothing was changed.`,
    )
  }
}

/** A drive that was replaced in its own directory is known there as well, until it is removed. */
function unique(paths: readonly string[]): string[] {
  return [...new Set(paths)]
}

/** Gives the drive of this node that was there last. */
function leaveOut(
  path: string,
  why: Error,
  { coordinator, nodeId, leftOut }: NodeDriveParts & DriveHome,
): MapDrive | undefined {
  const { drives } = coordinator.state.map
  // Two, where one took the place of the other and that one is not removed yet.
  const lost = drives.filter((drive) => drive.path === path && drive.nodeId === nodeId)
  for (const { id } of lost) leftOut?.set(id, why)
  return lost.at(-1)
}

/**
 * Says why a directory with nothing in it does not become a drive. Its disk may only not be mounted: one of a drive that the map has here, or of
 * one that was removed, of which nobody knows any more where it was.
 */
function whyNotNew(
  path: string,
  { kind }: DriveFound,
  parts: NodeDriveParts & DriveHome,
): { reason: string; isFree?: true } | undefined {
  const { coordinator, log, nodeId, hasServed } = parts
  const lost = leaveOut(path, new DriveGone(`its directory is ${kind}`), parts)
  if (lost !== undefined) {
    log.error({ path }, `the directory of drive ${lost.id} is ${kind}: it is not made a new drive`)
    return { reason: `the directory of drive ${lost.id}, ${path}, is ${kind}` }
  }
  const isAtHome = coordinator.state.map.drives.some((drive) => drive.nodeId === nodeId)
  const what = `${path} is ${kind}, and no drive of this node`
  const reason = isAtHome
    ? `${what}: kintsugi drive add ${path} --node ${nodeId} makes it one`
    : `${what}: make it, if it is to be a new one`
  if (kind === 'empty') return isAtHome ? { reason, isFree: true } : undefined
  if (!isAtHome && !hasServed) return undefined
  log.warn({ path }, reason)
  return { reason }
}

/** Rejects with CoordinatorUnavailable: who has no drive waits for etcd, which gives it its number. */
async function makeNew(path: string, { coordinator, world }: NodeDriveParts): Promise<DriveMarker> {
  const { clusterId, nextDriveId } = await coordinator.decide(reserveDriveId())
  try {
    const marker = { clusterId, driveId: nextDriveId - 1, isJoining: true }
    return await makeDrive(path, marker, world)
  } catch (error) {
    const why = (error as Error).message
    throw new Exit(2, `${path} can not be made a drive: ${why}`, { cause: error })
  }
}

/**
 * Tells the map of drives that it does not name, or that are elsewhere than it says. Those that can not be taken in as the
 * map is now are given back: later it may be possible. Rejects with CoordinatorUnavailable.
 */
export async function enterMap(
  drives: readonly Drive[],
  home: DriveHome,
  { coordinator, world }: Pick<NodeDriveParts, 'coordinator' | 'world'>,
): Promise<Drive[]> {
  const working = drives.filter(({ failure }) => failure === undefined)
  if (!working.every((drive) => isAtHome(drive, home, coordinator.state))) {
    const entries = await describeDrives(working, home, world)
    await coordinator.decide(enterAll(entries))
  }
  const { map } = coordinator.state
  const isNamed = ({ id }: Drive): boolean => map.drives.some((known) => known.id === id)
  for (const drive of working.filter(isNamed)) await endJoining(drive.path, world)
  return working.filter((drive) => !isNamed(drive))
}

/** These drives were out and serve again. Rejects with CoordinatorUnavailable. */
export async function markServing(
  driveIds: readonly number[],
  { coordinator }: Pick<NodeDriveParts, 'coordinator'>,
): Promise<void> {
  const isOut = (id: number): boolean =>
    coordinator.state.map.drives.some((drive) => drive.id === id && drive.state === 'out')
  if (driveIds.some(isOut)) await coordinator.decide(inOrder(driveIds.map(markActive)))
}

function isAtHome(
  { id, path }: Drive,
  { nodeId, zone }: DriveHome,
  { map }: Pick<ClusterState, 'map'>,
): boolean {
  const known: MapDrive | undefined = map.drives.find((drive) => drive.id === id)
  return known?.nodeId === nodeId && known.zone === zone && known.path === path
}

async function describeDrives(
  drives: readonly Drive[],
  { nodeId, zone }: DriveHome,
  world: World,
): Promise<NewDrive[]> {
  const weights = await weighDrives(
    drives.map(({ path }) => path),
    world,
  )
  return drives.map(({ id, marker: { uuid }, path }, index) => ({
    ...{ id, uuid, path, weight: weights[index]!, nodeId },
    ...(zone === undefined ? {} : { zone }),
  }))
}

function enterAll(entries: readonly NewDrive[]): Change {
  return inOrder([addDrives(entries), ...entries.map((entry) => moveDrive(entry.id, entry))])
}
