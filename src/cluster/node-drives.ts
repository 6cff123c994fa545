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

/** The node, as its drives are told apart by it. */
export interface DriveHome {
  nodeId: string
  zone?: string | undefined
}

export interface NodeDriveParts {
  coordinator: Coordinator
  world: World
  log: Log
  tuning?: Tuning
  /** Is told which drives of the map were not opened, and why. */
  leftOut?: Map<number, Error>
}

/**
 * Locks the drives in these directories, and those of this node that are where they were last; empty and missing directories
 * become new drives. Throws Exit for what is no drive of this cluster, and where none can be opened.
 */
export async function lockNodeDrives(
  directories: readonly string[],
  { nodeId }: DriveHome,
  parts: NodeDriveParts,
): Promise<Drive[]> {
  const { map } = parts.coordinator.state
  const known = map.drives.flatMap((drive) => (drive.nodeId === nodeId ? (drive.path ?? []) : []))
  const paths = directories.length > 0 ? directories.map((path) => resolve(path)) : unique(known)
  if (paths.length === 0)
    throw new Exit(2, 'kintsugi node takes the directories of the drives that it is to serve.')
  const twice = paths.find((path, index) => paths.indexOf(path) !== index)
  if (twice) throw new Exit(2, `${twice} is given twice: every drive is a directory of its own.`)
  const { found, removed } = await findDrives(paths, { ...parts, nodeId })
  found.push(...(await findOthers({ paths, found }, { ...parts, nodeId })))
  const absent: Absent['absent'] = new Map()
  const drives: Drive[] = []
  try {
    for (const one of found) {
      const drive = await lockDrive(one, { ...parts, mayLack: true, absent })
      if (drive !== undefined) drives.push(drive)
    }
    for (const [id, { sentence }] of absent) parts.leftOut?.set(id, new Error(sentence))
    if (drives.length > 0) return drives
    throw new Exit(4, sayNone(removed, [...absent.values()][0]?.sentence))
  } catch (error) {
    await Promise.allSettled(drives.map((drive) => drive.close()))
    throw error
  }
}

/** `removed`: drives of this cluster that were taken out for ever. The others are served without them. */
async function findDrives(
  paths: readonly string[],
  { nodeId, ...parts }: NodeDriveParts & DriveHome,
): Promise<{ found: FoundDrive[]; removed: FoundDrive[] }> {
  const found: FoundDrive[] = []
  const removed: FoundDrive[] = []
  for (const path of paths) {
    const marker = await findDrive(path, await inspectOne(path, parts.world), { ...parts, nodeId })
    if (marker === undefined) continue
    if (!wasRemoved(marker, parts)) {
      found.push({ path, marker })
      continue
    }
    removed.push({ path, marker })
    parts.log.warn({ path }, `${sayRemoved({ path, marker })}: it is not served`)
  }
  return { found, removed }
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
function sayNone(removed: readonly FoundDrive[], why: string | undefined): string {
  const [first] = removed
  if (why !== undefined || first === undefined)
    return `no drive can be opened (${why ?? 'none is there'}).`
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

async function findDrive(
  path: string,
  found: DriveFound,
  parts: NodeDriveParts & DriveHome,
): Promise<DriveMarker | undefined> {
  switch (found.kind) {
    case 'formatted':
      await refuseStranger(path, found.marker, parts)
      return found.marker
    case 'empty':
    case 'missing':
      return await makeNew(path, found, parts)
    case 'foreign':
      throw new Exit(4, `${path} is neither empty nor a kintsugi drive: ${found.what}.`)
    case 'wrong-format':
      throw new Exit(4, `${path} was written in format ${found.format}, which is not read here.`)
    case 'broken':
      parts.log.error({ path, reason: found.what }, 'a drive is left out')
      leaveOut(path, new Error(found.what), parts)
      return undefined
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

/** A directory where a drive of this node was is no new drive: its disk may only not be mounted. */
async function makeNew(
  path: string,
  { kind }: DriveFound,
  parts: NodeDriveParts & DriveHome,
): Promise<DriveMarker | undefined> {
  const { coordinator, world, log } = parts
  const { clusterId } = coordinator.state
  const lost = leaveOut(path, new DriveGone(`its directory is ${kind}`), parts)
  if (lost !== undefined) {
    log.error({ path }, `the directory of drive ${lost.id} is ${kind}: it is not made a new drive`)
    return undefined
  }
  const driveId = await reserveId(path, parts)
  if (driveId === undefined) return undefined
  try {
    return await makeDrive(path, { clusterId, driveId, isJoining: true }, world)
  } catch (error) {
    const why = (error as Error).message
    throw new Exit(2, `${path} can not be made a drive: ${why}`, { cause: error })
  }
}

/** Without etcd there are no new ids: drives that the node has already are served all the same. Undefined then. */
async function reserveId(
  path: string,
  { coordinator, log, nodeId }: Pick<NodeDriveParts, 'coordinator' | 'log'> & DriveHome,
): Promise<number | undefined> {
  try {
    return (await coordinator.decide(reserveDriveId())).nextDriveId - 1
  } catch (error) {
    const isAtHome = coordinator.state.map.drives.some((drive) => drive.nodeId === nodeId)
    if (!(error instanceof CoordinatorUnavailable) || !isAtHome) throw error
    log.error(
      { path, why: error.message },
      'a new directory is left out: etcd has to name its drive',
    )
    return undefined
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
