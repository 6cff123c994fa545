// The start of an embedded store: looks at the directories, then makes a store or opens the one that is there.
// Whatever can not be is an Exit with one sentence.
import { resolve } from 'node:path'
import type { ServeConfig } from '../config.ts'
import { Exit } from '../exit.ts'
import { asBuffer } from '../kit/bytes.ts'
import { type ErasureCode, MatrixId, nameCode } from '../kit/erasure-code.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { buildMap, codeForDrives } from '../placement/build-map.ts'
import type { ClusterMap } from '../placement/cluster-map.ts'
import { type Change, type ClusterState, CoordinatorUnavailable } from '../placement/coordinator.ts'
import { markActive, setPath } from '../placement/coordinator-changes.ts'
import { isDecisionDraft } from '../placement/coordinator-draft.ts'
import { FileCoordinator } from '../placement/coordinator-file.ts'
import { newMetaPartitions } from '../placement/coordinator-replicas.ts'
import { slotCountFor } from '../placement/rebalance.ts'
import { Drive } from '../storage-node/drive.ts'
import { saysNoSpace } from '../storage-node/drive-errors.ts'
import { type DriveMarker, inspectDrive } from '../storage-node/drive-format.ts'
import { DriveLocked } from '../storage-node/drive-lock.ts'
import { endJoining, isJoining } from '../storage-node/joining.ts'
import { makeRoomToStart } from '../storage-node/space/ballast.ts'
import {
  checkDrives,
  codeMisfit,
  type FoundDrive,
  type Inspected,
  nameDrive,
  planStart,
} from '../storage-node/start-plan.ts'
import { weighDrives } from './drive-weight.ts'
import { type Absent, deepestMessage, gatherDrives, type Reason } from './gather-drives.ts'
import { makeDrive, randomHex } from './make-drive.ts'
import { chooseReducedCode } from './reduced-code.ts'
import { type RememberedDrive, recogniseDrive } from './remembered-drives.ts'
import type { Tuning } from './tuning.ts'

/** Where drives are when nobody says. */
const DEFAULT_DIRECTORIES = [1, 2, 3, 4, 5, 6].map((number) => `data/drive${number}`)

/** What a start begins with. */
export interface StartParts {
  world: World
  log: Log
  tuning?: Tuning
  /** Of the server before this one, when that crashed. */
  remembered?: readonly RememberedDrive[]
  /** Asked before directories become drives of a new store; what it throws leaves them as they are. */
  beforeNew?: () => Promise<void>
}

/** A store whose drives are locked and whose coordinator has decided who is in. */
export interface StartedStore {
  drives: Drive[]
  coordinator: FileCoordinator
  /** Of new objects of the class REDUCED_REDUNDANCY, as the store is now. */
  reducedCode(): ErasureCode
}

/** Makes or opens the store in the configured directories. Throws Exit; closes what it opened then. */
export async function startStore(config: ServeConfig, parts: StartParts): Promise<StartedStore> {
  const inspected = await inspectAll(directoriesOf(config), parts)
  const plan = planStart(inspected)
  if (plan.kind === 'refuse') throw new Exit(4, plan.sentence)
  const isNew = plan.kind === 'create' || (await wasInterrupted(plan.drives, parts.world))
  const found = isNew ? await formatAll(config, inspected, parts) : plan.drives
  const { drives, absent } = await lockDrives(found, { ...parts, mayLack: !isNew })
  try {
    if (plan.kind === 'open' && !isNew) sayUnused(plan.unused, parts.log)
    const coordinator = isNew
      ? await firstDecision(config, drives, parts)
      : await openCoordinator(config, drives, { ...parts, absent })
    // It fitted at the start, and no drive leaves that it needs.
    const reducedCode = (): ErasureCode =>
      chooseReducedCode(config, coordinator.state.map.code, Number.POSITIVE_INFINITY)
    return { drives, coordinator, reducedCode }
  } catch (error) {
    await closeDrives(drives)
    throw error instanceof CoordinatorUnavailable ? new Exit(1, undecidedSentence(error)) : error
  }
}

/** Whether a crash ended the making of these drives: no state was ever decided, so nothing was acknowledged. */
async function wasInterrupted(drives: readonly FoundDrive[], { disk }: World): Promise<boolean> {
  for (const { path } of drives) {
    if (await isJoining(path, { disk })) return false
    for (const directory of ['coordinator', 'metalog', 'seg', 'big']) {
      const names = await disk.list(`${path}/${directory}`).catch(() => [directory])
      if (names.some((name) => !isDecisionDraft(name))) return false
    }
  }
  return true
}

/** Absolute, so that a working directory means nothing later. */
function directoriesOf(config: ServeConfig): string[] {
  const given = config.directories.length > 0 ? config.directories : DEFAULT_DIRECTORIES
  const paths = given.map((path) => resolve(path))
  const twice = paths.find((path, index) => paths.indexOf(path) !== index)
  if (twice) throw new Exit(2, `${twice} is given twice: every drive is a directory of its own.`)
  return paths
}

function inspectAll(paths: readonly string[], parts: StartParts): Promise<Inspected[]> {
  return Promise.all(
    paths.map(async (path) => {
      const found = await inspectOne(path, parts.world)
      return { path, found: await recogniseDrive({ path, found }, parts.remembered ?? [], parts) }
    }),
  )
}

/** A disk that answers with errors is one drive less: the others start without it. */
export async function inspectOne(path: string, world: World): Promise<Inspected['found']> {
  try {
    return await inspectDrive(world, path)
  } catch (error) {
    return { kind: 'broken', what: `it can not be read (${(error as Error).message})` }
  }
}

/** Makes a drive of every directory that is none yet; ids follow the order in which they were given. */
async function formatAll(
  config: ServeConfig,
  inspected: readonly Inspected[],
  { world, beforeNew }: StartParts,
): Promise<FoundDrive[]> {
  const misfit = config.code && codeMisfit(config.code, inspected.length)
  if (misfit) throw new Exit(2, misfit)
  const code = firstCode(config, inspected.length)
  chooseReducedCode(config, code, slotCountFor(inspected.length, code))
  await beforeNew?.()
  const known = inspected.flatMap(({ found }) => (found.kind === 'formatted' ? [found.marker] : []))
  const clusterId = known[0]?.clusterId ?? randomHex(world, 16)
  const used = new Set(known.map(({ driveId }) => driveId))
  const freeIds = inspected.map((_, index) => index + 1).filter((id) => !used.has(id))
  const drives: FoundDrive[] = []
  for (const { path, found } of inspected) {
    if (found.kind === 'formatted') drives.push({ path, marker: found.marker })
    else drives.push({ path, marker: await formatOne(path, clusterId, freeIds.shift()!, world) })
  }
  return drives
}

async function formatOne(
  path: string,
  clusterId: string,
  driveId: number,
  world: World,
): Promise<DriveMarker> {
  try {
    return await makeDrive(path, { clusterId, driveId }, world)
  } catch (error) {
    throw new Exit(2, `${path} can not be made a drive: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Drives that were locked, and why the others of the store could not be, by their ids. */
interface LockedDrives extends Absent {
  drives: Drive[]
}

/** Locks what can be. A drive in use stops the start; one that is read-only or broken is one drive less where that may be. */
async function lockDrives(
  found: readonly FoundDrive[],
  parts: StartParts & { mayLack: boolean },
): Promise<LockedDrives> {
  const drives: Drive[] = []
  const absent: Absent['absent'] = new Map()
  try {
    for (const one of found) {
      const drive = await lockDrive(one, { ...parts, absent })
      if (drive !== undefined) drives.push(drive)
    }
  } catch (error) {
    await closeDrives(drives)
    throw error
  }
  if (drives.length === 0 && isSomeFull(absent)) throw new Exit(1, NO_ROOM_TO_START)
  if (drives.length === 0)
    throw new Exit(4, `no drive can be opened (${[...absent.values()][0]?.sentence}).`)
  return { drives, absent }
}

/**
 * Opens a drive and locks it, once it is free. Undefined where it can not be opened and `mayLack` is true: that is logged, and
 * noted in `absent`. Throws Exit 3 for one that stays in use; where it must not lack, Exit 1 for want of room or the error.
 */
export async function lockDrive(
  { path, marker }: FoundDrive,
  { world, log, tuning, mayLack, absent }: StartParts & { mayLack: boolean } & Absent,
): Promise<Drive | undefined> {
  const options = tuning?.openLevel === undefined ? {} : { openLevel: tuning.openLevel }
  try {
    await makeRoomToStart(path, world)
    return await openWhenFree(() => Drive.open(world, path, marker, options), world)
  } catch (error) {
    if (error instanceof DriveLocked) throw new Exit(3, `${error.message}.`, { cause: error })
    if (!mayLack && saysNoSpace(error)) throw new Exit(1, NO_ROOM_TO_START, { cause: error })
    if (!mayLack) throw error
    const reason = whyUnopened(error)
    absent.set(marker.driveId, reason)
    log.error({ path, reason: reason.sentence }, `drive ${marker.driveId} is left out`)
    return undefined
  }
}

/** What is said of a drive that is there. */
export function whyUnopened(error: unknown): Reason {
  const sentence = `it can not be opened: ${deepestMessage(error)}`
  return { sentence, isFull: saysNoSpace(error) }
}

/** How long a drive in use is waited for: the process that was killed a moment ago may still be on its way out. */
const LOCK_WAIT_MS = 1_500
const LOCK_LOOK_MS = 50

async function openWhenFree(open: () => Promise<Drive>, { clock }: World): Promise<Drive> {
  const untilMs = clock.monotonicMs() + LOCK_WAIT_MS
  for (;;) {
    try {
      return await open()
    } catch (error) {
      if (!(error instanceof DriveLocked) || clock.monotonicMs() >= untilMs) throw error
    }
    await clock.sleep(LOCK_LOOK_MS)
  }
}

/** What is said where not even a lock can be taken, or a log be replayed. */
export const NO_ROOM_TO_START =
  'the drives are so full that the store can not start: free a few MiB on each, then start again.'

async function closeDrives(drives: readonly Drive[]): Promise<void> {
  await Promise.allSettled(drives.map((drive) => drive.close()))
}

/** Goes on from the decision that holds; drives that are not here are out from then on. */
async function openCoordinator(
  config: ServeConfig,
  drives: Drive[],
  parts: StartParts & Absent,
): Promise<FileCoordinator> {
  const lock = (found: FoundDrive): Promise<Drive | undefined> =>
    lockDrive(found, { ...parts, mayLack: true })
  const { decision, members } = await gatherDrives(drives, { ...parts, lock })
  refuseMisfits(config, decision.state.map, { members, log: parts.log })
  refuseTooFew(decision.state, members, parts.absent)
  const coordinator = await FileCoordinator.open(decision, {
    ...{ ...parts, drives: members },
    absent: sentencesOf(parts.absent),
  })
  await welcomeBack(coordinator, members, parts.log)
  await rememberPaths(coordinator, members)
  for (const drive of members) await settleIn(drive, parts)
  return coordinator
}

function sentencesOf(absent: Absent['absent']): Map<number, string> {
  return new Map([...absent].map(([id, { sentence }]) => [id, sentence]))
}

function isSomeFull(absent: Absent['absent']): boolean {
  return [...absent.values()].some(({ isFull }) => isFull)
}

/**
 * Throws Exit where more drives are missing than the code can do without: what is acknowledged could not be read.
 * Where some only lack room there is something better to say than that they are missing.
 */
export function refuseTooFew(
  state: ClusterState,
  drives: readonly FoundDrive[],
  absent: Absent['absent'],
): void {
  const check = checkDrives(state, drives, sentencesOf(absent))
  if (check.kind === 'refuse')
    throw isSomeFull(absent) ? new Exit(1, NO_ROOM_TO_START) : new Exit(4, check.sentence)
}

/** The map names it. A drive that can not be written to keeps its file: it is judged later, and the next start settles it. */
async function settleIn({ id, path }: Drive, { world, log }: StartParts): Promise<void> {
  try {
    await endJoining(path, world)
  } catch (error) {
    log.warn({ path, error }, `drive ${id} keeps the mark of a drive that joins`)
  }
}

/** Where drives are now: the next start finds them there, whoever names their directories or not. */
async function rememberPaths(
  coordinator: FileCoordinator,
  drives: readonly Drive[],
): Promise<void> {
  const setPaths: Change = (state) => {
    let edited: ClusterState | undefined
    for (const { id, path } of drives) {
      const next = setPath(id, path)(edited ?? state)
      if (next !== undefined) edited = { ...next, epoch: state.epoch }
    }
    return edited
  }
  await coordinator.decide(setPaths)
}

/** The state of a new store. */
async function firstDecision(
  config: ServeConfig,
  drives: readonly Drive[],
  parts: StartParts,
): Promise<FileCoordinator> {
  const map = await firstMap(config, drives, parts)
  const replicaCount = map.code.parityCount + 1
  const state = {
    clusterId: drives[0]!.marker.clusterId,
    epoch: 1,
    map,
    metaPartitions: newMetaPartitions(map, replicaCount, parts.world.random),
    buckets: {},
    nextBucketId: 1,
    nextDriveId: drives.length + 1,
  }
  return await FileCoordinator.create(state, { ...parts, drives })
}

async function firstMap(
  config: ServeConfig,
  drives: readonly Drive[],
  { world, tuning }: StartParts,
): Promise<ClusterMap> {
  const code = firstCode(config, drives.length)
  const paths = drives.map(({ path }) => path)
  const weights = await weighDrives(paths, world)
  const mapDrives = drives.map(({ id, marker: { uuid }, path }, index) => {
    const weight = weights[index]!
    return { id, uuid, weight, state: 'active' as const, path }
  })
  const seed = asBuffer(world.random.bytes(8)).readBigUInt64BE(0).toString()
  return buildMap(mapDrives, code, seed, tuning?.partitions)
}

/** What the user says, or what suits so many drives. */
function firstCode({ code }: ServeConfig, driveCount: number): ErasureCode {
  return code ? { ...code, matrix: MatrixId.CentredVandermonde } : codeForDrives(driveCount)
}

function refuseMisfits(
  config: ServeConfig,
  map: ClusterMap,
  { members: drives, log }: { members: readonly Drive[]; log: Log },
): void {
  chooseReducedCode(config, map.code, map.slots[0]!.length)
  const { code } = config
  if (!code) return
  const same = code.dataCount === map.code.dataCount && code.parityCount === map.code.parityCount
  if (same) return
  // Drives were drained with --re-encode, and nobody had to change the command line for that.
  if (map.widestShards !== undefined && code.parityCount === map.code.parityCount) {
    log.warn({}, `the store has code ${nameCode(map.code)} since drives left: --code is not used`)
    return
  }
  throw new Exit(
    2,
    `the store at ${drives[0]!.path} was made with code ${nameCode(map.code)}: --code can not change it.`,
  )
}

/** Drives that were out and are here again are written to again; what they owe stays owed. */
async function welcomeBack(
  coordinator: FileCoordinator,
  drives: readonly Drive[],
  log: Log,
): Promise<void> {
  for (const drive of drives) {
    const known = coordinator.state.map.drives.find(({ id }) => id === drive.id)
    if (known?.state !== 'out') continue
    await coordinator.decide(markActive(drive.id))
    log.warn(
      { path: drive.path },
      `${nameDrive(known)} is back: what was written meanwhile is not on it`,
    )
  }
}

function sayUnused(unused: readonly { path: string; why: string }[], log: Log): void {
  for (const { path, why } of unused) log.warn({ path }, `this directory is not used: ${why}`)
}

function undecidedSentence(error: CoordinatorUnavailable): string {
  const why = error.cause instanceof Error ? error.cause.message : error.message
  return `the drives can not remember that the store starts (${why}): is there room on them?`
}
