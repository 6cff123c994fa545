// A start of a store that exists: which drives are its own, wherever they lie. Those whose directories nobody gave are
// looked for where they were last; those that were removed, or never quite came in, are left alone.
import { Exit } from '../exit.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { ClusterMap } from '../placement/cluster-map.ts'
import type { Decision } from '../placement/coordinator-format.ts'
import {
  type Choice,
  chooseState,
  type History,
  readHistory,
} from '../placement/coordinator-history.ts'
import type { Drive } from '../storage-node/drive.ts'
import { saysNoSpace } from '../storage-node/drive-errors.ts'
import { type DriveFound, type DriveMarker, inspectDrive } from '../storage-node/drive-format.ts'
import { isJoining } from '../storage-node/joining.ts'
import { type FoundDrive, nameDrive } from '../storage-node/start-plan.ts'

/** What gathering needs. */
export interface GatherParts extends Absent {
  world: World
  log: Log
  /** Locks a drive; undefined when it can not be used and the others go on without it. Throws Exit. */
  lock(found: FoundDrive): Promise<Drive | undefined>
}

/** Why drives can not be used that were found, by their ids. */
export interface Absent {
  absent: Map<number, Reason>
}

/** `isFull`: with some room on the drive there would be nothing wrong. */
export interface Reason {
  sentence: string
  isFull: boolean
}

/** What was found. */
export interface Gathered {
  /** The decision that holds. */
  decision: Decision
  /** Drives that its map names by id. */
  members: Drive[]
}

interface Opened {
  drive: Drive
  history: History
}

/** Goes on from locked drives. What it locks itself goes on `drives`; those that are no members are closed. Throws Exit. */
export async function gatherDrives(drives: Drive[], parts: GatherParts): Promise<Gathered> {
  const opened: Opened[] = []
  for (const drive of drives) await readOne(drive, opened, parts)
  const copy = await findCopy(choose(opened).state.map, drives, parts)
  if (copy !== undefined) {
    const data = { path: copy.path }
    parts.log.warn(
      data,
      'this is a copy of a drive: directories that are not given are not looked for',
    )
  }
  // Each round finds a drive that was not there before, so there are no more rounds than drives.
  for (;;) {
    const decision = choose(opened)
    const found = copy ? [] : await findElsewhere(decision.state.map, drives, parts)
    if (found.length === 0) {
      await sayWhyMissing(decision.state.map, drives, parts)
      await keepMembers(decision, drives, parts)
      return { decision, members: drives.filter(({ failure }) => failure === undefined) }
    }
    for (const one of found) {
      const drive = await parts.lock(one)
      if (drive === undefined) continue
      drives.push(drive)
      await readOne(drive, opened, parts)
      const data = { path: one.path }
      parts.log.info(data, `${nameDrive(markerId(one.marker))} is where it was last, and is used`)
    }
  }
}

/** A drive whose decisions can not be read fails: the others go on without it. */
async function readOne(
  drive: Drive,
  opened: Opened[],
  { world, log, absent }: GatherParts,
): Promise<void> {
  try {
    opened.push({ drive, history: await readHistory(world, drive.path) })
  } catch (error) {
    const reason = `its decisions can not be read: ${deepestMessage(error)}`
    absent.set(drive.id, { sentence: reason, isFull: saysNoSpace(error) })
    drive.fail(new Error(reason))
    log.error({ path: drive.path, reason }, `drive ${drive.id} is left out`)
  }
}

/** LevelDB says what is wrong in the cause of its errors. */
export function deepestMessage(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: unknown }
  return cause === undefined ? String(message ?? error) : deepestMessage(cause)
}

/** The decision that holds. Drives that know themselves that they are no members have no say in it. */
function choose(opened: readonly Opened[]): Decision {
  const voters = opened.filter((one) => !knowsThatItLeft(one))
  const first = chooseState(historiesOf(voters))
  if (first.kind !== 'chosen') throw new Exit(4, refusal(first, opened))
  // A removal that did not come to hold is known to the drive alone.
  const { map } = first.decision.state
  const again = opened.filter((one) => voters.includes(one) || isNamed(map, one.drive.marker))
  const choice = chooseState(historiesOf(again))
  if (choice.kind !== 'chosen') throw new Exit(4, refusal(choice, opened))
  return choice.decision
}

function historiesOf(opened: readonly Opened[]): Map<number, History> {
  return new Map(opened.map(({ drive, history }) => [drive.id, history]))
}

function knowsThatItLeft({ drive, history }: Opened): boolean {
  const last = history.decisions.at(-1)
  return last !== undefined && !isNamed(last.state.map, drive.marker)
}

function isNamed({ drives }: ClusterMap, { driveId, uuid }: DriveMarker): boolean {
  return drives.some((drive) => drive.id === driveId && drive.uuid === uuid)
}

function refusal(choice: Exclude<Choice, { kind: 'chosen' }>, opened: readonly Opened[]): string {
  const paths = (some: readonly Opened[]): string => some.map(({ drive }) => drive.path).join(', ')
  if (choice.kind === 'forked') {
    const strangers = opened.filter(({ drive }) => choice.drives.includes(drive.id))
    return `${paths(strangers)} went on without the other drives: the two histories are never merged.`
  }
  const others = opened.filter(knowsThatItLeft)
  if (others.length > 0)
    return `${paths(others)}: no drive of the store is among these, only such as were removed or not added to the end.`
  return `${paths(opened) || 'the drives'}: no intact state of the store is left on any of them. What can be made again is made by: kintsugi recover with all drives.`
}

/**
 * A drive that is where it was last as well. A store of copies is another one than that of the originals: to take the
 * rest of its drives from there would tear those out of theirs.
 */
async function findCopy(
  { drives }: ClusterMap,
  given: readonly Drive[],
  { world }: GatherParts,
): Promise<Drive | undefined> {
  for (const drive of given) {
    const last = drives.find(({ id, uuid }) => id === drive.id && uuid === drive.marker.uuid)?.path
    if (last === undefined || last === drive.path) continue
    // What can not be looked at is no original that could be harmed.
    const original = await inspectDrive(world, last).catch(() => undefined)
    const isTwin = original?.kind === 'formatted' && original.marker.uuid === drive.marker.uuid
    if (isTwin && !(await isSame(last, drive.path, world))) return drive
  }
  return undefined
}

/** Two names of one directory. */
async function isSame(left: string, right: string, { disk }: World): Promise<boolean> {
  const [one, other] = [await disk.stat(left), await disk.stat(right)]
  return one?.inode === other?.inode && one?.device === other?.device
}

/** Drives of the map that nobody gave, where they were last. What can not be looked at is missing. */
async function findElsewhere(
  { drives }: ClusterMap,
  known: readonly Drive[],
  { world, log, absent }: GatherParts,
): Promise<FoundDrive[]> {
  const found: FoundDrive[] = []
  const clusterId = known[0]?.marker.clusterId
  for (const { id, uuid, path } of drives) {
    const isKnown = known.some((drive) => drive.id === id || drive.path === path)
    if (path === undefined || isKnown || absent.has(id)) continue
    const one = await inspectDrive(world, path).catch((error) => {
      log.warn({ path, error: String(error) }, 'a drive can not be looked for where it was last')
    })
    if (one?.kind !== 'formatted') continue
    const { marker } = one
    const isIt = marker.driveId === id && marker.uuid === uuid && marker.clusterId === clusterId
    if (isIt) found.push({ path, marker })
  }
  return found
}

/** What is in the place of those that are missing: the start and the status say it. Nothing where nothing is known. */
async function sayWhyMissing(
  { drives }: ClusterMap,
  known: readonly Drive[],
  { world, absent }: GatherParts,
): Promise<void> {
  for (const { id, path } of drives) {
    if (path === undefined || absent.has(id) || known.some((drive) => drive.id === id)) continue
    const what = whatIsThere(await inspectDrive(world, path).catch((error) => error as Error))
    if (what !== undefined) absent.set(id, { sentence: what, isFull: false })
  }
}

function whatIsThere(found: DriveFound | Error): string | undefined {
  if (found instanceof Error) return `its directory can not be read: ${deepestMessage(found)}`
  switch (found.kind) {
    case 'missing':
      return undefined
    case 'empty':
      return 'its directory is empty'
    case 'formatted':
      return 'another drive is in its directory'
    case 'wrong-format':
      return `its directory was written in format ${found.format}, which is not read here`
    default:
      return `its directory can not be recognised: ${found.what}`
  }
}

/** Closes drives that the map does not name, and says so. */
async function keepMembers(
  { state }: Decision,
  drives: Drive[],
  { world, log }: GatherParts,
): Promise<void> {
  const members = drives.filter((drive) => state.map.drives.some(({ id }) => id === drive.id))
  for (const drive of drives) {
    if (members.includes(drive)) continue
    const { path, id } = drive
    const why = (await isJoining(path, world))
      ? `drive ${id} was not added to the end: kintsugi drive add ${path} does it`
      : `drive ${id} was removed from the store: the directory can be taken away`
    log.warn({ path }, `this directory is not used: ${why}`)
    await drive.close()
  }
  drives.splice(0, drives.length, ...members)
}

function markerId({ driveId, uuid }: DriveMarker): { id: number; uuid: string } {
  return { id: driveId, uuid }
}
