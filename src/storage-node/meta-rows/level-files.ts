// Looks at the files of a LevelDB while it is open: nobody else would see a flipped byte there before the next start,
// or ever. Needs tables written without compression.
import { asBuffer } from '../../kit/bytes.ts'
import { readIfThere } from '../../kit/files.ts'
import type { World } from '../../kit/world.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import { readManifest, readRecords } from './manifest.ts'
import { findTableTrouble } from './tables.ts'

/** What to look at, and how. */
export interface LevelFiles {
  world: Pick<World, 'disk'>
  drive: Pick<MetaDrive, 'run'>
  directory: string
  /** Between two looks at what may only be half written. */
  pause(): Promise<void>
  /** Between files. */
  pace(): Promise<void>
}

/** `tables`: rows may be lost or wrong. `log`: what LevelDB has in memory is whole, but its copy on disk is not. */
export interface LevelTrouble {
  kind: 'tables' | 'log'
  detail: string
}

/** What a look gave: how many files were read, and the first trouble. */
export interface LevelLook {
  files: number
  trouble: LevelTrouble | undefined
}

/** Reads manifest, live tables and log of a LevelDB and verifies their checksums. */
export async function lookAtLevel(level: LevelFiles): Promise<LevelLook> {
  const { world, drive, directory } = level
  // A LevelDB has files; what stands for one in a test or a simulation has none.
  if ((await drive.run(() => world.disk.list(directory))).length === 0)
    return { files: 0, trouble: undefined }
  const manifest = await twice(level, async () => {
    const found = await readLive(level)
    return found.kind === 'damaged' ? found.detail : undefined
  })
  if (manifest !== undefined) return { files: 2, trouble: { kind: 'tables', detail: manifest } }
  const tables = await lookAtTables(level)
  if (tables.trouble !== undefined) return tables
  const logs = await lookAtLogs(level)
  return { files: 2 + tables.files + logs.files, trouble: logs.trouble }
}

async function lookAtTables(level: LevelFiles): Promise<LevelLook> {
  const live = await readLive(level)
  if (live.kind === 'damaged') return { files: 0, trouble: undefined } // Half written just now: seen again.
  for (const number of live.tables.keys()) {
    await level.pace()
    const trouble = await twice(level, () => findTroubleOf(number, level))
    if (trouble !== undefined) return { files: 0, trouble: { kind: 'tables', detail: trouble } }
  }
  return { files: live.tables.size, trouble: undefined }
}

/** Why a table is not what the manifest says; a table that is not named any more is no trouble. */
async function findTroubleOf(number: number, level: LevelFiles): Promise<string | undefined> {
  const base = `${number}`.padStart(6, '0')
  const bytes = (await readFile(`${base}.ldb`, level)) ?? (await readFile(`${base}.sst`, level))
  const trouble = bytes === undefined ? 'it is missing' : findTableTrouble(bytes)
  if (trouble === undefined) return undefined
  const now = await readLive(level)
  const isLive = now.kind === 'damaged' || now.tables.has(number)
  return isLive ? `table ${number}: ${trouble}` : undefined
}

/** Its own log: what was written since the last table. */
async function lookAtLogs(level: LevelFiles): Promise<LevelLook> {
  const { world, drive, directory } = level
  const names = await drive.run(() => world.disk.list(directory))
  const logs = names.filter((name) => /^[0-9]+\.log$/.test(name))
  for (const name of logs) {
    const trouble = await twice(level, async () => {
      const bytes = await readFile(name, level)
      const records = bytes && readRecords(asBuffer(bytes))
      return typeof records === 'string' ? `${name}: ${records}` : undefined
    })
    if (trouble !== undefined) return { files: 0, trouble: { kind: 'log', detail: trouble } }
  }
  return { files: logs.length, trouble: undefined }
}

async function readLive(level: LevelFiles): Promise<ReturnType<typeof readManifest>> {
  const current = asBuffer((await readFile('CURRENT', level)) ?? new Uint8Array())
  const name = current.toString('latin1')
  if (!/^MANIFEST-[0-9]+\n$/.test(name)) return { kind: 'damaged', detail: 'CURRENT is damaged' }
  const bytes = await readFile(name.trim(), level)
  return bytes ? readManifest(bytes) : { kind: 'damaged', detail: 'the manifest is missing' }
}

/** LevelDB goes on writing meanwhile: only what is wrong two times is. */
async function twice(
  { pause }: LevelFiles,
  look: () => Promise<string | undefined>,
): Promise<string | undefined> {
  if ((await look()) === undefined) return undefined
  await pause()
  return await look()
}

function readFile(
  name: string,
  { world, drive, directory }: LevelFiles,
): Promise<Uint8Array | undefined> {
  return drive.run(() => readIfThere(world, `${directory}/${name}`))
}
