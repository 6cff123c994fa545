// Opens meta.db with suspicion: LevelDB passes over damage in silence (storage.md 7.3), so its own log
// and its tables are looked at before its rows are believed.
import { Level } from 'level'
import { kibibytes, mebibytes } from '../kit/bytes.ts'
import { isMissing, type World } from '../kit/world.ts'
import type { BytesLevel, OpenLevel } from './drive-lock.ts'
import { MetaRows } from './meta-rows.ts'
import { checkTables, tablesIn } from './meta-rows-tables.ts'
import type { MetaDrive } from './metalog/meta-drive.ts'

/** How far the rows of a drive can be believed. */
export type RowsVerdict =
  | { kind: 'whole' }
  /** LevelDB dropped something of its own log: everything that our log retains is applied again. */
  | { kind: 'replay-all'; detail: string }
  /** It could not be opened, or tables are rotten: its rows are only good when there are no better ones. */
  | { kind: 'suspect'; detail: string }

interface RowsParts {
  world: Pick<World, 'disk'>
  drive: MetaDrive
  openLevel: OpenLevel
}

/** The LevelDB of rows. Not compressed: its tables are checked block by block (meta-rows-tables.ts). */
export const openRowsLevel: OpenLevel = async (path, sizes) => {
  const level = new Level<Uint8Array, Uint8Array>(path, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: sizes.writeBufferBytes,
    cacheSize: sizes.cacheBytes,
    blockSize: kibibytes(16),
    maxFileSize: mebibytes(8),
  } as object)
  await level.open()
  return level as unknown as BytesLevel
}

const SIZES = { writeBufferBytes: mebibytes(4), cacheBytes: mebibytes(8) }
// More than this is checked in the background rather than while everyone waits for the start.
const CHECK_AT_START_BYTES = mebibytes(64)

/** Where the rows of a drive are. */
export function rowsPath(drive: MetaDrive): string {
  return `${drive.path}/meta.db`
}

/** Opens the rows of a drive; what can not be opened is put aside and an empty LevelDB takes its place. */
export async function openRows(
  parts: RowsParts,
): Promise<{ rows: MetaRows; verdict: RowsVerdict; checked: boolean }> {
  const path = rowsPath(parts.drive)
  await makeDirectory(parts, path)
  try {
    // Listed before LevelDB is at work: these are complete, or no longer needed and removed by it.
    const names = tablesIn(await parts.drive.run(() => parts.world.disk.list(path)))
    const rows = await openLevelOn(parts, path)
    return { rows, ...(await judge(parts, path, names)) }
  } catch (error) {
    if (parts.drive.failure !== undefined || isLocked(error)) throw error
    const detail = `meta.db can not be opened: ${error instanceof Error ? error.message : error}`
    const rows = await replaceRows(parts)
    return { rows, verdict: { kind: 'suspect', detail }, checked: true }
  }
}

/** Puts the directory of closed rows aside, where a person may still look at it, and opens empty ones. */
export async function replaceRows(parts: RowsParts): Promise<MetaRows> {
  const { world, drive } = parts
  const path = rowsPath(drive)
  const aside = `${path}.suspect`
  await drive.run(() => world.disk.removeTree(aside))
  await drive.run(() => world.disk.rename(path, aside))
  await drive.syncDirectory(drive.path)
  await makeDirectory(parts, path)
  return openLevelOn(parts, path)
}

/** Removes what replaceRows() put aside: the replicas are whole again elsewhere. */
export async function removeAside(parts: Pick<RowsParts, 'world' | 'drive'>): Promise<void> {
  const { world, drive } = parts
  await drive.run(() => world.disk.removeTree(`${rowsPath(drive)}.suspect`))
}

async function openLevelOn(parts: RowsParts, path: string): Promise<MetaRows> {
  const level = await parts.drive.run(() => parts.openLevel(path, SIZES))
  return new MetaRows(level, parts.drive)
}

/** Not left to LevelDB, which would also make the drive's own directory again. */
async function makeDirectory({ world, drive }: RowsParts, path: string): Promise<void> {
  if ((await drive.run(() => world.disk.stat(path))) !== undefined) return
  await drive.run(() => world.disk.makeDirectory(path))
  await drive.syncDirectory(drive.path)
}

function isLocked(error: unknown): boolean {
  return (error as { cause?: { code?: string } } | undefined)?.cause?.code === 'LEVEL_LOCKED'
}

async function judge(
  parts: RowsParts,
  directory: string,
  names: readonly string[],
): Promise<{ verdict: RowsVerdict; checked: boolean }> {
  const { world, drive } = parts
  const complaint = await drive.run(() => findComplaint(world, directory))
  const checked = (await tableBytes(parts, directory, names)) <= CHECK_AT_START_BYTES
  const trouble = checked
    ? await checkTables(parts, { directory, names }, async () => {})
    : undefined
  if (trouble !== undefined) return { verdict: { kind: 'suspect', detail: trouble }, checked }
  if (complaint !== undefined)
    return { verdict: { kind: 'replay-all', detail: complaint }, checked }
  return { verdict: { kind: 'whole' }, checked }
}

async function tableBytes(
  { world, drive }: RowsParts,
  directory: string,
  names: readonly string[],
): Promise<number> {
  let bytes = 0
  for (const name of names) {
    bytes += (await drive.run(() => world.disk.stat(`${directory}/${name}`)))?.bytes ?? 0
  }
  return bytes
}

/** The line in which LevelDB admits that it dropped something. */
async function findComplaint(
  { disk }: Pick<World, 'disk'>,
  path: string,
): Promise<string | undefined> {
  try {
    const text = Buffer.from(await disk.readFile(`${path}/LOG`)).toString('utf8')
    return text.split('\n').find((line) => /dropping|Corruption/.test(line))
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
