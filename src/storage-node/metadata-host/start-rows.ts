// Opens the rows of all drives at a start. Rows that can not be opened are put aside and made anew only where
// other drives have them all: want of room, memory or file handles stops LevelDB too, and on every drive at once.
import type { ClusterState } from '../../placement/coordinator.ts'
import type { RowsCheck } from '../meta-rows/check.ts'
import { RowsNotOpened } from '../meta-rows/open.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import type { StartRows } from './evidence.ts'
import { drivesToKeep, openStartRows, type StartParts } from './start.ts'

/** A drive that is not open yet, and what was found in its rows. */
interface CheckedDrive {
  drive: MetaDrive
  check: RowsCheck
}

/** Opens what can be opened; a drive whose rows can not be is failed, and they stay as they are. */
export async function openAllRows(
  state: ClusterState,
  checks: ReadonlyMap<number, CheckedDrive>,
  parts: StartParts,
): Promise<Map<number, StartRows>> {
  const kept = drivesToKeep(state, checks)
  const opened = new Map<number, StartRows>()
  const refused: CheckedDrive[] = []
  const openOne = async (one: CheckedDrive, replaceUnopened: boolean): Promise<void> => {
    const { drive } = one
    try {
      const options = { keepDamaged: kept.has(drive.id), replaceUnopened }
      opened.set(drive.id, await openStartRows(one, options, parts))
    } catch (error) {
      if (error instanceof RowsNotOpened && !replaceUnopened) refused.push(one)
      else failDrive(drive, error, parts)
    }
  }
  await Promise.all([...checks.values()].map((one) => openOne(one, false)))
  const whole = new Set([...opened.values()].filter(isWhole).map(({ drive }) => drive.id))
  for (const one of refused) {
    if (isElsewhere(state, one.drive.id, whole)) await openOne(one, true)
    else failDrive(one.drive, new RowsNotOpened('nor are they whole elsewhere'), parts)
  }
  return opened
}

function failDrive(drive: MetaDrive, error: unknown, { log }: StartParts): void {
  log.error({ drive: drive.id, error }, 'the metadata of a drive can not be opened')
  drive.fail(error)
}

function isWhole({ verdict }: StartRows): boolean {
  return verdict.kind === 'whole' || verdict.kind === 'replay-all'
}

/** Whether of every partition on the drive another in-sync replica is whole. */
function isElsewhere(
  { metaPartitions }: ClusterState,
  driveId: number,
  whole: ReadonlySet<number>,
): boolean {
  return metaPartitions
    .filter(({ inSync }) => inSync.some((replica) => replica.driveId === driveId))
    .every(({ inSync }) => inSync.some((replica) => whole.has(replica.driveId)))
}
