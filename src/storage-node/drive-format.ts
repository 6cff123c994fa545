// What makes a directory a drive: its marker, what lies beside it, and how it is told from a directory that is none.
// Layout: docs/formats/drive.md.
import { crc32 } from 'node:zlib'
import { assert } from '../kit/assert.ts'
import { removeIfThere, replaceFile } from '../kit/files.ts'
import { isMissing, type World } from '../kit/world.ts'
import { JOINING_FILE } from './joining.ts'

/** What `format.json` says: which drive of which cluster this directory is, wherever it is mounted. */
export interface DriveMarker {
  format: number
  clusterId: string
  driveId: number
  uuid: string
  createdMs: number
}

/** What a directory turned out to be. `what` is half a sentence for people. */
export type DriveFound =
  | { kind: 'formatted'; marker: DriveMarker }
  | { kind: 'empty' }
  | { kind: 'missing' }
  | { kind: 'foreign'; what: string }
  | { kind: 'wrong-format'; format: number }
  | { kind: 'broken'; what: string }

/** The number of the layout that this program reads and writes. */
export const DRIVE_FORMAT = 4

/** The marker file, and its draft. */
export const MARKER = 'format.json'
/** The marker is written and synced under this name first; what a crash leaves of it makes no drive. */
export const MARKER_DRAFT = 'format.json.tmp'

/** Files beside the directories, made when they are first needed. */
export const LATER_FILES = {
  serving: 'meta.serving',
  scrubPosition: 'scrub-position',
  stateCopy: 'coordinator.copy',
  probe: 'probe',
} as const

const DIRECTORIES = ['lock', 'coordinator', 'metalog', 'meta.db', 'shards.db', 'seg', 'big']
/** Made when it is first needed. */
const LATER_DIRECTORIES = ['dump']
// What a store writes that does not know yet that an empty directory took the place of its drive.
const WRITTEN_TOO_LATE = Object.values(LATER_FILES).flatMap((name) => [name, `${name}.tmp`])
// And what file systems put into a new directory, what an interrupted format leaves, and what holds nothing.
const HARMLESS = new Set(['lost+found', MARKER_DRAFT, JOINING_FILE, ...WRITTEN_TOO_LATE])
const BALLAST = /^ballast(-\d+)?\.bin$/

/** Looks at a directory without changing it. */
export async function inspectDrive(world: Pick<World, 'disk'>, path: string): Promise<DriveFound> {
  const stat = await world.disk.stat(path)
  if (stat === undefined) return { kind: 'missing' }
  if (stat.kind !== 'directory') return { kind: 'foreign', what: 'it is not a directory' }
  const names = await world.disk.list(path)
  if (names.includes(MARKER)) return parseMarker(await world.disk.readFile(`${path}/${MARKER}`))
  for (const name of names) {
    if (HARMLESS.has(name) || BALLAST.test(name)) continue
    if (![...DIRECTORIES, ...LATER_DIRECTORIES].includes(name))
      return { kind: 'foreign', what: `it holds ${name}` }
    if (await holdsSomething(world, `${path}/${name}`)) {
      return { kind: 'broken', what: `it holds ${name} but no ${MARKER}` }
    }
  }
  return { kind: 'empty' }
}

/** Turns an empty, existing directory into a drive. The marker comes last, so a crash leaves it empty still. */
export async function formatDrive(
  world: Pick<World, 'disk'>,
  path: string,
  marker: DriveMarker,
): Promise<void> {
  const { disk } = world
  assert(marker.format === DRIVE_FORMAT, 'a drive is made in the current format')
  assert((await inspectDrive(world, path)).kind === 'empty', 'only an empty directory is formatted')
  // What they say is not of this drive.
  for (const name of WRITTEN_TOO_LATE) await removeIfThere(world, `${path}/${name}`)
  for (const name of DIRECTORIES) {
    if ((await disk.stat(`${path}/${name}`)) === undefined) {
      await disk.makeDirectory(`${path}/${name}`)
    }
    await disk.syncDirectory(`${path}/${name}`)
  }
  await disk.syncDirectory(path)
  const draft = `${path}/${MARKER_DRAFT}`
  await replaceFile(world, { path: `${path}/${MARKER}`, draft, bytes: markerBytes(marker) })
}

async function holdsSomething(world: Pick<World, 'disk'>, path: string): Promise<boolean> {
  try {
    return (await world.disk.list(path)).length > 0
  } catch (error) {
    if (isMissing(error)) return true // A file that has the name of one of our directories.
    throw error
  }
}

/** The bytes of `format.json`. */
export function markerBytes(marker: DriveMarker): Uint8Array {
  return Buffer.from(`${JSON.stringify({ ...marker, check: markerCheck(marker) }, null, 2)}\n`)
}

function markerCheck(marker: DriveMarker): string {
  const { format, clusterId, driveId, uuid, createdMs } = marker
  const text = JSON.stringify([format, clusterId, driveId, uuid, createdMs])
  return crc32(text).toString(16).padStart(8, '0')
}

function parseMarker(bytes: Uint8Array): DriveFound {
  const found = parseObject(Buffer.from(bytes).toString('utf8'))
  if (found === undefined) return { kind: 'broken', what: `${MARKER} is not JSON` }
  const { format, clusterId, driveId, uuid, createdMs, check } = found
  const isWhole =
    typeof format === 'number' &&
    typeof clusterId === 'string' &&
    typeof driveId === 'number' &&
    typeof uuid === 'string' &&
    typeof createdMs === 'number'
  const marker = { format: DRIVE_FORMAT, clusterId, driveId, uuid, createdMs } as DriveMarker
  const isOurs = isWhole && check === markerCheck(marker)
  // Where all else is as we write it, it is the number that rotted: one drive less, and no store of another version.
  if (typeof format === 'number' && format !== DRIVE_FORMAT && !isOurs)
    return { kind: 'wrong-format', format }
  if (!isWhole) return { kind: 'broken', what: `${MARKER} lacks a field` }
  if (format !== DRIVE_FORMAT || !isOurs) return { kind: 'broken', what: `${MARKER} is damaged` }
  return { kind: 'formatted', marker }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined // JSON.parse has no other way to say that the text is none.
  }
}
