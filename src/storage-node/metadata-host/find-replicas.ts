// Which replicas of metadata lie on a drive and how far they are, when nobody says any more which there should be: from
// the records of its log, and from what its rows say of themselves. Nothing is changed.
import { listIfThere } from '../../kit/files.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { LogPosition } from '../../metadata/log/contract.ts'
import type { OpenLevel } from '../drive-lock.ts'
import { checkRows } from '../meta-rows/check.ts'
import { openRowsLevel, peekRows } from '../meta-rows/open.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import { parseLogFileName, scanFile } from '../metalog/scan-file.ts'

/** A replica of which something is left. */
export interface FoundReplica {
  partition: number
  driveId: number
  incarnation: string
  /** The last that is known of it, by its rows or its log. */
  reached: LogPosition
}

/** All replicas of a drive that nothing else has open. Throws when its log can not be read: that may be the last word. */
export async function findReplicas(
  drive: MetaDrive,
  parts: { world: World; log: Log; openLevel?: OpenLevel },
): Promise<FoundReplica[]> {
  const found = new Map<string, FoundReplica>()
  const add = (partition: number, incarnation: string, reached: LogPosition): void => {
    const known = found.get(incarnation)
    if (known && !isLater(reached, known.reached)) return
    found.set(incarnation, { partition, driveId: drive.id, incarnation, reached })
  }
  await scanLog(drive, parts.world, add)
  for (const { partition, incarnation, applied } of await readRows(drive, parts))
    add(partition, incarnation, applied)
  return [...found.values()]
}

async function scanLog(
  drive: MetaDrive,
  world: Pick<World, 'disk'>,
  add: (partition: number, incarnation: string, reached: LogPosition) => void,
): Promise<void> {
  const directory = `${drive.path}/metalog`
  const names = await drive.run(() => listIfThere(world, directory))
  for (const name of names) {
    const parsed = parseLogFileName(name)
    if (parsed === undefined) continue
    const bytes = await drive.run(() => world.disk.readFile(`${directory}/${name}`))
    for (const { record } of scanFile(bytes, parsed.salt).places) {
      const { partition, incarnation, epoch, sequence } = record
      add(partition, incarnation, { epoch, sequence })
    }
  }
}

/** Rows that are damaged, or that do not open, claim nothing: the log of the drive speaks for itself. */
async function readRows(
  drive: MetaDrive,
  { world, log, openLevel = openRowsLevel }: { world: World; log: Log; openLevel?: OpenLevel },
): Promise<{ partition: number; incarnation: string; applied: LogPosition }[]> {
  const { trouble } = await checkRows({ world, drive })
  if (trouble !== undefined) {
    log.warn({ drive: drive.id, trouble }, 'rows of a drive are damaged: they are not asked')
    return []
  }
  try {
    const statuses = await peekRows({ world, drive, openLevel }, (rows) => rows.statuses())
    return [...(statuses ?? [])].map(([partition, status]) => ({ partition, ...status }))
  } catch (error) {
    if (drive.failure !== undefined) throw error
    log.warn({ drive: drive.id, error: String(error) }, 'rows of a drive do not open')
    return []
  }
}

function isLater(one: LogPosition, other: LogPosition): boolean {
  return one.epoch > other.epoch || (one.epoch === other.epoch && one.sequence > other.sequence)
}
