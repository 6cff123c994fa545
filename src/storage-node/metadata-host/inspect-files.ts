// Looks at the files of rows: what LevelDB does not verify by itself when it reads.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { Rests } from '../../kit/rests.ts'
import type { World } from '../../kit/world.ts'
import { rowsPath } from '../meta-rows/check.ts'
import { type LevelLook, lookAtLevel } from '../meta-rows/level-files.ts'
import { checkTables, tablesIn } from '../meta-rows/tables.ts'
import type { FilesLook } from '../upkeep/file-scrub.ts'
import type { HostDrive } from './drive.ts'
import type { Member } from './member.ts'
import { membersOn, readNoMore } from './members-of-drive.ts'
import type { HostedPartition } from './partition.ts'

/** What a look at files needs. */
export interface LookParts {
  world: World
  partitions: ReadonlyMap<number, HostedPartition>
  rests: Rests
  /** Whether the rows of a drive are being made anew. */
  isRenewing(driveId: number): boolean
  /** Takes a member out of use whose rows are damaged. */
  onBadRows(member: Member, cause: unknown): void
}

/** A file that looks bad may be half written. */
const LOOK_AGAIN_MS = 500
const TABLE_PAUSE_MS = 200

/**
 * All are looked at before the first is made anew: that reads the others, and a rotten table must not be read. Damaged
 * rows are the caller's to count when they are made anew; what is counted here is mended here. `pace` is called between
 * slices, and what it throws ends the look.
 */
export async function inspectFiles(
  hosts: readonly HostDrive[],
  parts: LookParts,
  pace: () => Promise<void>,
): Promise<FilesLook> {
  const look: FilesLook = { files: 0, damaged: 0 }
  const rotten: { member: Member; trouble: string }[] = []
  for (const host of hosts) {
    const [member] = membersOn(parts.partitions, host.drive.id)
    const isPassed = host.drive.failure !== undefined || parts.isRenewing(host.drive.id)
    if (isPassed || member === undefined) continue
    const { files, trouble } = await lookAtRows(host, parts, pace)
    look.files += files
    if (trouble?.kind === 'tables') rotten.push({ member, trouble: trouble.detail })
    if (trouble?.kind !== 'log') continue
    // What LevelDB has in memory is whole: a marker writes it into tables and begins another log.
    await host.checkpoint({ force: true })
    look.damaged += 1
  }
  for (const { member } of rotten) readNoMore(parts.partitions, member.driveId)
  for (const { member, trouble } of rotten) parts.onBadRows(member, new Error(trouble))
  return look
}

/** Looks for damage in the tables of one drive, gently; the trouble found, or undefined. */
export async function checkTablesOf(
  { drive }: HostDrive,
  { world, rests }: Pick<LookParts, 'world' | 'rests'>,
): Promise<string | undefined> {
  const directory = rowsPath(drive)
  const names = tablesIn(await drive.run(() => world.disk.list(directory)))
  return await checkTables({ world, drive }, { directory, names }, async () => {
    await rests.rest(TABLE_PAUSE_MS)
  })
}

async function lookAtRows(
  { drive }: HostDrive,
  { world, rests }: LookParts,
  pace: () => Promise<void>,
): Promise<LevelLook> {
  const pause = async (): Promise<void> => void (await rests.rest(LOOK_AGAIN_MS))
  try {
    return await lookAtLevel({ world, drive, directory: rowsPath(drive), pause, pace })
  } catch (error) {
    if (!(error instanceof DriveUnavailable)) throw error
    return { files: 0, trouble: undefined } // It failed: its rows are made again elsewhere.
  }
}
