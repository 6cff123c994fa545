// Opens meta.db with suspicion: LevelDB passes over damage in silence (storage.md 7.3), so its own log
// and its tables are looked at before its rows are believed.
import { Level } from 'level'
import { kibibytes, mebibytes } from '../kit/bytes.ts'
import { isMissing, type World } from '../kit/world.ts'
import type { BytesLevel, OpenLevel } from './drive-lock.ts'
import { MetaRows } from './meta-rows.ts'
import { type Manifest, readManifest } from './meta-rows-manifest.ts'
import { checkTables } from './meta-rows-tables.ts'
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
const CHECK_AT_START_BYTES = mebibytes(256)

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
    // Before LevelDB is at work: it would compact rotten tables into fresh ones.
    const { trouble, checked } = await checkAtRest(parts, path)
    const rows = await openLevelOn(parts, path)
    const complaint = await parts.drive.run(() => findComplaint(parts.world, path))
    return { rows, verdict: judge(trouble, complaint), checked }
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

function judge(trouble: string | undefined, complaint: string | undefined): RowsVerdict {
  if (trouble !== undefined) return { kind: 'suspect', detail: trouble }
  if (complaint !== undefined) return { kind: 'replay-all', detail: complaint }
  return { kind: 'whole' }
}

/** Checks the tables of a LevelDB that is not open, unless they are too large for that. */
async function checkAtRest(
  parts: RowsParts,
  directory: string,
): Promise<{ trouble: string | undefined; checked: boolean }> {
  const { world, drive } = parts
  const manifest = await drive.run(() => findManifest(world, directory))
  if (manifest === undefined) return { trouble: undefined, checked: true }
  if (manifest.kind === 'damaged') return { trouble: manifest.detail, checked: true }
  const names: string[] = []
  let total = 0
  for (const [number, bytes] of manifest.tables) {
    const name = await findTable(parts, directory, number, bytes)
    if (name === undefined) return { trouble: `table ${number} is missing or cut`, checked: true }
    names.push(name)
    total += bytes
  }
  if (total > CHECK_AT_START_BYTES) return { trouble: undefined, checked: false }
  return { trouble: await checkTables(parts, { directory, names }, async () => {}), checked: true }
}

async function findManifest(
  { disk }: Pick<World, 'disk'>,
  directory: string,
): Promise<Manifest | undefined> {
  try {
    const current = Buffer.from(await disk.readFile(`${directory}/CURRENT`)).toString('latin1')
    if (!/^MANIFEST-[0-9]+\n$/.test(current))
      return { kind: 'damaged', detail: 'CURRENT is damaged' }
    return readManifest(await disk.readFile(`${directory}/${current.trim()}`))
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function findTable(
  { world, drive }: RowsParts,
  directory: string,
  number: number,
  bytes: number,
): Promise<string | undefined> {
  const base = `${number}`.padStart(6, '0')
  for (const name of [`${base}.ldb`, `${base}.sst`]) {
    const stat = await drive.run(() => world.disk.stat(`${directory}/${name}`))
    if (stat?.bytes === bytes) return name
  }
  return undefined
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
