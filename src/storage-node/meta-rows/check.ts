// Looks at meta.db while it is closed: once open, LevelDB would compact rotten tables into fresh ones,
// and it ends the process when it meets some kinds of damage.
import { mebibytes } from '../../kit/bytes.ts'
import { readIfThere } from '../../kit/files.ts'
import type { World } from '../../kit/world.ts'
import { LATER_FILES } from '../drive-format.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import { type Manifest, readManifest } from './manifest.ts'
import { checkTables } from './tables.ts'

interface CheckParts {
  world: Pick<World, 'disk'>
  drive: MetaDrive
}

/** What a check found. */
export interface RowsCheck {
  trouble: string | undefined
  /** False when the tables are too large to be checked while everyone waits. */
  checked: boolean
}

const CHECK_AT_START_BYTES = mebibytes(256)

/** Where the rows of a drive are. */
export function rowsPath(drive: MetaDrive): string {
  return `${drive.path}/meta.db`
}

/** Says that rows are in use; found at a start, it says that they were not closed, perhaps because of them. */
export async function noteServing({ world, drive }: CheckParts): Promise<void> {
  const path = servingPath(drive)
  if ((await drive.run(() => world.disk.stat(path))) !== undefined) return
  const file = await drive.run(() => world.disk.open(path, 'create'))
  await file.close()
}

/** Says that rows were closed. */
export async function noteClosed({ world, drive }: CheckParts): Promise<void> {
  await drive.run(() => world.disk.remove(servingPath(drive)))
}

/** Checks the rows of a drive that are not open, unless they are too large and were closed cleanly. */
export async function checkRows(parts: CheckParts): Promise<RowsCheck> {
  const { world, drive } = parts
  const directory = rowsPath(drive)
  const wasServing = (await drive.run(() => world.disk.stat(servingPath(drive)))) !== undefined
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
  if (total > CHECK_AT_START_BYTES && !wasServing) return { trouble: undefined, checked: false }
  return { trouble: await checkTables(parts, { directory, names }, async () => {}), checked: true }
}

async function findManifest(
  world: Pick<World, 'disk'>,
  directory: string,
): Promise<Manifest | undefined> {
  const found = await readIfThere(world, `${directory}/CURRENT`)
  if (found === undefined) return undefined
  const current = Buffer.from(found).toString('latin1')
  if (!/^MANIFEST-[0-9]+\n$/.test(current)) return { kind: 'damaged', detail: 'CURRENT is damaged' }
  const bytes = await readIfThere(world, `${directory}/${current.trim()}`)
  return bytes && readManifest(bytes)
}

async function findTable(
  { world, drive }: CheckParts,
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

function servingPath(drive: MetaDrive): string {
  return `${drive.path}/${LATER_FILES.serving}`
}
