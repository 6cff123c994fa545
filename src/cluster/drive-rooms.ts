// The room on the drives of a cluster, by what their nodes say of them: for whoever wants to empty some of them. A node says
// how much of a file system is free; two drives that share one are each taken to have it all, so only what plainly does not
// fit is found.
import type { DrainRoom } from '../embedded/drain-room.ts'
import type { DrivesOfNode } from '../storage-node/rpc/drive-messages.ts'
import { reserveFor } from '../storage-node/space/levels.ts'

/** That of a drive, by what nodes said; undefined where its node did not. */
export function roomsOf(
  described: Iterable<DrivesOfNode | undefined>,
): (driveId: number) => DrainRoom | undefined {
  const all = [...described].flatMap((node) => node?.drives ?? [])
  const rooms = new Map(
    all.flatMap(({ driveId, freeBytes, totalBytes }) =>
      freeBytes === undefined || totalBytes === undefined
        ? []
        : [[driveId, roomOf(driveId, { freeBytes, totalBytes })] as const],
    ),
  )
  return (driveId) => rooms.get(driveId)
}

function roomOf(
  driveId: number,
  { freeBytes, totalBytes }: { freeBytes: number; totalBytes: number },
): DrainRoom {
  const space = { freeBytes, totalBytes, freeInodes: 0, totalInodes: 0 }
  const { bytes: reserveBytes } = reserveFor(space, 'move')
  return {
    drives: [{ id: driveId }],
    left: () => ({ bytes: freeBytes - reserveBytes, reserveBytes }),
  }
}
