// The room on the drives of a cluster, by what their nodes say of them: for whoever wants to empty some of them. A node says
// how much of a file system is free; two drives that share one are each taken to have it all, and one that seems to share that of
// a drive that is emptied is not looked at, for what moves between them takes no room. So only what plainly does not fit is found.
import type { DrainRoom } from '../embedded/drain-room.ts'
import type { DrivesOfNode } from '../storage-node/rpc/drive-messages.ts'
import { reserveFor } from '../storage-node/space/levels.ts'

interface Space {
  freeBytes: number
  totalBytes: number
}

/** Of file systems of one size: what is free is asked one after the other, while others write. */
const SAME_SHARE = 1 / 1000

/** That of a drive, by what nodes said; undefined where its node did not, or where it seems to be that of a drive that is emptied. */
export function roomsOf(
  described: Iterable<DrivesOfNode | undefined>,
  isEmptied: (driveId: number) => boolean,
): (driveId: number) => DrainRoom | undefined {
  const all = [...described].flatMap((node) => node?.drives ?? [])
  const spaces = all.flatMap(({ driveId, freeBytes, totalBytes }) =>
    freeBytes === undefined || totalBytes === undefined ? [] : [{ driveId, freeBytes, totalBytes }],
  )
  const emptied = spaces.filter(({ driveId }) => isEmptied(driveId))
  const rooms = new Map(
    spaces
      .filter((space) => !emptied.some((other) => seemOne(space, other)))
      .map((space) => [space.driveId, roomOf(space.driveId, space)]),
  )
  return (driveId) => rooms.get(driveId)
}

function seemOne(left: Space, right: Space): boolean {
  if (left.totalBytes !== right.totalBytes) return false
  return Math.abs(left.freeBytes - right.freeBytes) <= left.totalBytes * SAME_SHARE
}

function roomOf(driveId: number, { freeBytes, totalBytes }: Space): DrainRoom {
  const space = { freeBytes, totalBytes, freeInodes: 0, totalInodes: 0 }
  const { bytes: reserveBytes } = reserveFor(space, 'move')
  return {
    drives: [{ id: driveId }],
    left: () => ({ bytes: freeBytes - reserveBytes, reserveBytes }),
  }
}
