// Decides from what lies in the given directories whether to make a store, open one, or refuse. Pure.
// Drives are known by their markers, never by path or order; nothing here formats a drive of a known store.
import { counted } from '../kit/counted.ts'
import type { ErasureCode } from '../kit/erasure-code.ts'
import { nameCode } from '../kit/erasure-code.ts'
import type { MapDrive } from '../placement/cluster-map.ts'
import type { ClusterState } from '../placement/coordinator.ts'
import type { DriveFound, DriveMarker } from './drive-format.ts'

/** A directory and what was found in it. */
export interface Inspected {
  path: string
  found: DriveFound
}

/** A drive that can be opened. */
export interface FoundDrive {
  path: string
  marker: DriveMarker
}

/** What a start is to do with the directories that it was given. */
export type StartPlan =
  | { kind: 'create'; paths: string[] }
  /** `unused`: directories that are no drives of this store, with the reason. */
  | { kind: 'open'; drives: FoundDrive[]; unused: { path: string; why: string }[] }
  /** One sentence for the user. */
  | { kind: 'refuse'; sentence: string }

/** What to do with these directories. */
export function planStart(inspected: readonly Inspected[]): StartPlan {
  const strange = inspected.find(({ found }) => isRefused(found))
  if (strange) return { kind: 'refuse', sentence: refusalOf(strange) }
  const drives = inspected.flatMap(({ path, found }) =>
    found.kind === 'formatted' ? [{ path, marker: found.marker }] : [],
  )
  const broken = inspected.find(({ found }) => found.kind === 'broken')
  if (drives.length === 0 && broken) return { kind: 'refuse', sentence: brokenSentence(broken) }
  if (drives.length === 0) return { kind: 'create', paths: inspected.map(({ path }) => path) }
  const conflict = findConflict(drives)
  if (conflict) return { kind: 'refuse', sentence: conflict }
  return { kind: 'open', drives, unused: inspected.flatMap(unusedReason) }
}

/** Drives that the map knows and nobody gave: undefined drives are no error, too many are. */
export type DriveCheck =
  | { kind: 'enough'; missing: MapDrive[] }
  | { kind: 'refuse'; sentence: string }

/** Holds the drives against the map of the store. `reasons`: why others are not among them, by their ids, where that is known. */
export function checkDrives(
  state: ClusterState,
  drives: readonly FoundDrive[],
  reasons: ReadonlyMap<number, string>,
): DriveCheck {
  const { map } = state
  const stranger = drives.find(
    ({ marker }) =>
      !map.drives.some(({ id, uuid }) => id === marker.driveId && uuid === marker.uuid),
  )
  if (stranger) {
    return {
      kind: 'refuse',
      sentence: `${stranger.path} holds a drive that this store does not know (${stranger.marker.uuid}).`,
    }
  }
  const missing = map.drives.filter(
    (drive) => !isDispensable(drive) && !drives.some(({ marker }) => marker.driveId === drive.id),
  )
  const allowed = map.code.parityCount
  if (missing.length <= allowed) return { kind: 'enough', missing }
  const which = missing.map((drive) => describeMissing(drive, reasons.get(drive.id))).join('; ')
  return {
    kind: 'refuse',
    sentence:
      `${missing.length} of ${map.drives.length} drives are missing (${which}), ` +
      `but a ${nameCode(map.code)} store can do without ${allowed} at most: bring them back, or give the directories where they are now.`,
  }
}

function describeMissing(drive: MapDrive, reason: string | undefined): string {
  const place = drive.path === undefined ? '' : `, last at ${drive.path}`
  return `${nameDrive(drive)}${place}${reason === undefined ? '' : `: ${reason}`}`
}

/** Nothing names it any more: whether it is there does not matter. */
export function isDispensable({ state, isVacated }: MapDrive): boolean {
  return isVacated === true && state !== 'active'
}

/** How the log and the start lines call a drive. */
export function nameDrive(drive: { id: number; uuid: string }): string {
  return `drive ${drive.id} (${drive.uuid.slice(0, 8)})`
}

/** Says why a code does not fit these drives; undefined when it does. */
export function codeMisfit(
  code: Pick<ErasureCode, 'dataCount' | 'parityCount'>,
  driveCount: number,
): string | undefined {
  const needed = code.dataCount + code.parityCount
  if (needed <= driveCount) return undefined
  return `--code ${code.dataCount}+${code.parityCount} needs ${counted(needed, 'drive')}, but ${driveCount} ${driveCount === 1 ? 'was' : 'were'} given.`
}

function isRefused(found: DriveFound): boolean {
  return found.kind === 'foreign' || found.kind === 'wrong-format'
}

function refusalOf({ path, found }: Inspected): string {
  if (found.kind === 'wrong-format') {
    return `${path} was written in format ${found.format}, which this version of kintsugi can not read.`
  }
  const what = found.kind === 'foreign' ? found.what : found.kind
  return `${path} is neither empty nor a kintsugi drive: ${what}.`
}

function brokenSentence({ path, found }: Inspected): string {
  return `${path} can not be recognised: ${found.kind === 'broken' ? found.what : found.kind}.`
}

/** Drives of two stores, or two directories that claim to be the same drive. Ids of drives mean something within a store only. */
function findConflict(drives: readonly FoundDrive[]): string | undefined {
  const [first] = drives
  const stranger = drives.find(({ marker }) => marker.clusterId !== first!.marker.clusterId)
  if (stranger) return `${stranger.path} belongs to another store than ${first!.path}.`
  for (const drive of drives) {
    const twin = drives.find(
      (other) => other !== drive && other.marker.driveId === drive.marker.driveId,
    )
    if (twin) return twinSentence(drive, twin)
  }
  return undefined
}

function twinSentence({ path, marker }: FoundDrive, twin: FoundDrive): string {
  return marker.uuid === twin.marker.uuid
    ? `${path} and ${twin.path} are copies of the same drive: give one of them.`
    : `${path} and ${twin.path} both say that they are drive ${marker.driveId} of this store: give the one that is.`
}

function unusedReason({ path, found }: Inspected): { path: string; why: string }[] {
  switch (found.kind) {
    case 'empty':
      return [
        {
          path,
          why: `it is empty, and no drive of the store: kintsugi drive add ${path} makes it one`,
        },
      ]
    case 'missing':
      return [{ path, why: `it does not exist: kintsugi drive add ${path} makes it a drive` }]
    case 'broken':
      return [{ path, why: found.what }]
    default:
      return []
  }
}
