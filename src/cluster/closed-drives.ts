// Commands that would make a row name a drive which is closed to rows: who leads a partition takes none of them, so that what
// was counted stays true (placement/departure.ts).
import type { Command } from '../metadata/contract.ts'
import type { Blob } from '../metadata/records.ts'
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
  switch (command.kind) {
    case 'put-object':
      return [
        ...of(command.version.blob),
        ...(command.annotations ?? []).flatMap((one) => of(one.blob)),
      ]
    case 'put-annotation':
      return of(command.annotation.blob)
    case 'append-object':
    case 'put-part':
      return of(command.part.blob)
    case 'replace-blob':
      return of(command.blob)
    case 'move-blob':
      return command.drives.filter((driveId) => !command.from.includes(driveId))
    default:
      return []
  }
}

function of(blob: Blob | undefined): number[] {
  return blob?.drives ?? []
}
