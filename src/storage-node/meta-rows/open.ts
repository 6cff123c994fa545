// Opens meta.db with suspicion: LevelDB passes over damage in silence (docs/formats/metadata-log.md), so its own log
// is read before its rows are believed, and what check.ts found decides whether it is opened at all.
import { Level } from 'level'
import { kibibytes, mebibytes } from '../../kit/bytes.ts'
import { readIfThere } from '../../kit/files.ts'
import type { World } from '../../kit/world.ts'
import type { BytesLevel, OpenLevel } from '../drive-lock.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import { levelSizesOn } from '../space/sizes.ts'
import { type RowsCheck, rowsPath } from './check.ts'
import { MetaRows } from './meta-rows.ts'

/** How far the rows of a drive can be believed. */
export type RowsVerdict =
  | { kind: 'whole' }
  /** LevelDB dropped something of its own log: everything that our log retains is applied again. */
  | { kind: 'replay-all'; detail: string }
  /** Tables are rotten, but there are no better ones. */
  | { kind: 'suspect'; detail: string }
  /** Damaged beyond use: put aside, and empty now. */
  | { kind: 'replaced'; detail: string }

/** Rows that LevelDB does not open. That need not be their fault. */
export class RowsNotOpened extends Error {
  override readonly name = 'RowsNotOpened'
  readonly code = 'ROWS_NOT_OPENED'

  constructor(detail: string, options?: { cause?: unknown }) {
    super(`meta.db can not be opened: ${detail}`, options)
  }
}

/** What is to be done with rows that are no good. Who puts any aside knows that other drives have them all. */
export interface OpenRowsOptions {
  /** Damaged ones are opened nevertheless. */
  keepDamaged: boolean
  /** Those that LevelDB does not open are put aside; otherwise RowsNotOpened is thrown. */
  replaceUnopened: boolean
}

interface RowsParts {
  world: Pick<World, 'disk'>
  drive: MetaDrive
  openLevel: OpenLevel
}

/** The LevelDB of rows. Not compressed: its tables are checked block by block (tables.ts). */
export const openRowsLevel: OpenLevel = async (path, sizes) => {
  const level = new Level<Uint8Array, Uint8Array>(path, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: sizes.writeBufferBytes,
    cacheSize: sizes.cacheBytes,
    blockSize: kibibytes(16),
    maxFileSize: sizes.tableBytes ?? mebibytes(8),
  } as object)
  await level.open()
  return level as unknown as BytesLevel
}

const CACHE_BYTES = mebibytes(8)

/**
 * Opens the rows of a drive. Damaged ones are put aside and empty ones take their place, unless they are to be kept:
 * LevelDB ends the process when it meets some kinds of damage, so that is only for rows that are nowhere else.
 */
export async function openRows(
  parts: RowsParts,
  { trouble }: RowsCheck,
  options: OpenRowsOptions,
): Promise<{ rows: MetaRows; verdict: RowsVerdict }> {
  const { world, drive } = parts
  const path = rowsPath(drive)
  await makeDirectory(parts, path)
  if (trouble !== undefined && !options.keepDamaged) {
    return { rows: await replaceRows(parts), verdict: { kind: 'replaced', detail: trouble } }
  }
  try {
    const rows = await openLevelOn(parts, path)
    if (trouble !== undefined) return { rows, verdict: { kind: 'suspect', detail: trouble } }
    const complaint = await drive.run(() => findComplaint(world, path))
    if (complaint === undefined) return { rows, verdict: { kind: 'whole' } }
    return { rows, verdict: { kind: 'replay-all', detail: complaint } }
  } catch (error) {
    if (drive.failure !== undefined || isLocked(error)) throw error
    const refused = new RowsNotOpened(reasonOf(error), { cause: error })
    if (!options.replaceUnopened) throw refused
    const verdict = { kind: 'replaced' as const, detail: refused.message }
    return { rows: await replaceRows(parts), verdict }
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

/** Opens rows again that were open before, whatever LevelDB says of them: who asks makes them whole from its log. */
export async function reopenRows(parts: RowsParts): Promise<MetaRows> {
  return await openLevelOn(parts, rowsPath(parts.drive))
}

/** Opens rows for one look at them, if there are any. Throws when LevelDB does not open them. */
export async function peekRows<T>(
  parts: RowsParts,
  look: (rows: MetaRows) => Promise<T>,
): Promise<T | undefined> {
  const { world, drive } = parts
  const path = rowsPath(drive)
  const isThere = await drive.run(() => world.disk.stat(`${path}/CURRENT`))
  if (isThere === undefined) return undefined
  const rows = await openLevelOn(parts, path)
  try {
    return await look(rows)
  } finally {
    await rows.close()
  }
}

/** Removes what replaceRows() put aside: the replicas are whole again elsewhere. */
export async function removeAside(parts: Pick<RowsParts, 'world' | 'drive'>): Promise<void> {
  const { world, drive } = parts
  await drive.run(() => world.disk.removeTree(`${rowsPath(drive)}.suspect`))
}

async function openLevelOn(parts: RowsParts, path: string): Promise<MetaRows> {
  const { drive, world } = parts
  const { totalBytes } = await drive.run(() => world.disk.space(drive.path))
  const sizes = levelSizesOn(totalBytes, CACHE_BYTES)
  const level = await drive.run(() => parts.openLevel(path, sizes))
  return new MetaRows(level, drive)
}

/** Not left to LevelDB, which would also make the drive's own directory again. */
async function makeDirectory({ world, drive }: RowsParts, path: string): Promise<void> {
  if ((await drive.run(() => world.disk.stat(path))) !== undefined) return
  await drive.run(() => world.disk.makeDirectory(path))
  await drive.syncDirectory(drive.path)
}

/** LevelDB says why only in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string } }
  return cause?.message ?? message ?? String(error)
}

function isLocked(error: unknown): boolean {
  return (error as { cause?: { code?: string } } | undefined)?.cause?.code === 'LEVEL_LOCKED'
}

/** The line in which LevelDB admits that it dropped something. */
async function findComplaint(
  world: Pick<World, 'disk'>,
  path: string,
): Promise<string | undefined> {
  const text = Buffer.from((await readIfThere(world, `${path}/LOG`)) ?? []).toString('utf8')
  return text.split('\n').find((line) => /dropping|Corruption/.test(line))
}
