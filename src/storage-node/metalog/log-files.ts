// The files of a drive's log as a start finds them: what they hold, and what of it is still needed.
// Layout: docs/formats/metadata-log.md.
import type { World } from '../../kit/world.ts'
import type { MetaDrive } from './meta-drive.ts'
import { type LogRecord, RecordKind } from './record.ts'
import { type FileScan, parseLogFileName, type RecordPlace, scanFile } from './scan-file.ts'

/** An intact record found at the start, and where its batch is. */
export interface FoundRecord extends LogRecord {
  file: string
  salt: bigint
  at: number
  bytes: number
}

/** Whether a record is still needed. */
export type IsNeeded = (record: {
  partition: number
  incarnation: string
  sequence: number
}) => boolean

/** Highest sequence of every replica in a file, by its incarnation. */
export type HighestRecords = Map<
  string,
  { partition: number; incarnation: string; sequence: number }
>

/** A file that is not written any more. */
export interface SealedFile {
  path: string
  bytes: number
  highest: HighestRecords
}

/** Where the files of a drive's log lie. */
export function logDirectoryOf({ path }: Pick<MetaDrive, 'path'>): string {
  return `${path}/metalog`
}

/** The salt of the file at `path`, which its name says. */
export function saltOf(path: string): bigint {
  return parseLogFileName(path.slice(path.lastIndexOf('/') + 1))!.salt
}

/** Makes the directory, durably, where there is none yet. */
export async function openLogDirectory(
  world: Pick<World, 'disk'>,
  drive: MetaDrive,
): Promise<string> {
  const directory = logDirectoryOf(drive)
  if ((await drive.run(() => world.disk.stat(directory))) === undefined) {
    await drive.run(() => world.disk.makeDirectory(directory))
    await drive.syncDirectory(drive.path)
  }
  return directory
}

/** Reads all files of earlier starts, in their order. Files that hold nothing go; what was reserved behind the last record is given back. */
export async function readLogFiles(
  world: Pick<World, 'disk'>,
  drive: MetaDrive,
  isNeeded: IsNeeded,
): Promise<{ sealed: SealedFile[]; found: FoundRecord[]; rotten: number; lastNumber: number }> {
  const directory = logDirectoryOf(drive)
  const sealed: SealedFile[] = []
  const found: FoundRecord[] = []
  let rotten = 0
  let lastNumber = 0
  for (const name of (await drive.run(() => world.disk.list(directory))).sort()) {
    const parsed = parseLogFileName(name)
    if (parsed === undefined) continue
    const file = { path: `${directory}/${name}`, salt: parsed.salt }
    lastNumber = parsed.number
    const scan = await readFile(world, drive, file)
    if (scan === undefined) continue
    rotten += scan.rotten
    sealed.push({ path: file.path, bytes: scan.bytes, highest: highestOf(scan.places) })
    for (const { record, at, bytes } of scan.places) {
      if (isNeeded(record)) found.push({ ...record, file: file.path, salt: file.salt, at, bytes })
    }
  }
  return { sealed, found, rotten, lastNumber }
}

/**
 * Reads one file, makes what it has durable and gives its unused end back; undefined when it held nothing at all and is gone now. A process that
 * was killed may have left records that were never synced: from now on they count.
 */
async function readFile(
  { disk }: Pick<World, 'disk'>,
  drive: MetaDrive,
  { path, salt }: { path: string; salt: bigint },
): Promise<(FileScan & { bytes: number }) | undefined> {
  const bytes = await drive.run(() => disk.readFile(path))
  const scan = scanFile(bytes, salt)
  const last = scan.places.at(-1)
  if (last === undefined && scan.rotten === 0) {
    await drive.run(() => disk.remove(path))
    return undefined
  }
  // All before a seal was durable when that was written.
  const isSynced = last?.record.kind === RecordKind.Seal
  // Where something else stands than records it is left as it is.
  const used = last === undefined || scan.rotten > 0 ? bytes.length : last.at + last.bytes
  const keeps = used < bytes.length ? used : undefined
  if (!isSynced || keeps !== undefined) await settle(disk, drive, { path, keeps, isSynced })
  return { ...scan, bytes: used }
}

async function settle(
  disk: World['disk'],
  drive: MetaDrive,
  { path, keeps, isSynced }: { path: string; keeps: number | undefined; isSynced: boolean },
): Promise<void> {
  const file = await drive.run(() => disk.open(path, 'write'))
  try {
    if (keeps !== undefined) await drive.run(() => file.truncate(keeps))
    if (!isSynced) await drive.syncFile(file, path)
  } finally {
    await file.close()
  }
}

function highestOf(places: readonly RecordPlace[]): HighestRecords {
  const highest: HighestRecords = new Map()
  for (const { record } of places) noteHighest(highest, record)
  return highest
}

/** Notes a record, if it is the highest of its replica so far. */
export function noteHighest(
  highest: HighestRecords,
  { kind, partition, incarnation, sequence }: LogRecord,
): void {
  if (kind === RecordKind.Seal) return // Of no replica.
  const known = highest.get(incarnation)
  if (known === undefined) highest.set(incarnation, { partition, incarnation, sequence })
  else if (known.sequence < sequence) known.sequence = sequence
}
