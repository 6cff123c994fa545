// Commands that would make a row name a drive which is closed to rows: who leads a partition takes none of them, so that what
// was counted stays true (placement/departure.ts).
import { newBlobsOf } from '../metadata/commands/new-blobs.ts'
import type { Command } from '../metadata/contract.ts'
import type { ClusterMap } from '../placement/cluster-map.ts'
import { isClosedToRows } from '../placement/departure.ts'

/** A closed drive that a row would come to name by this command; undefined where there is none. */
export function closedDriveNamedBy(
  map: Pick<ClusterMap, 'drives' | 'removed'>,
  command: Command,
): number | undefined {
  return drivesNamedBy(command).find((driveId) => isClosedToRows(map, driveId))
}

/** Drives that rows name only because of the command: what it only rewrites is named already. */
function drivesNamedBy(command: Command): number[] {
  if (command.kind === 'move-blob')
    return command.drives.filter((driveId) => !command.from.includes(driveId))
  return newBlobsOf(command).flatMap(({ drives }) => drives)
}
