// What nodes say of their drives' file systems, for who asks whether something fits.
import t from 'tap'
import { roomsOf } from '../../../src/cluster/drive-rooms.ts'
import { gibibytes } from '../../../src/kit/bytes.ts'
import type { DrivesOfNode } from '../../../src/storage-node/rpc/drive-messages.ts'

const GIB = gibibytes(1)

/** A node with drives of these sizes. */
function node(drives: Record<number, { free: number; total: number } | undefined>): DrivesOfNode {
  return {
    ...{ epoch: 1, counts: [], leaving: [] },
    moves: { phase: 'idle', movedShards: 0, movedBytes: 0, anewBlobs: 0, remainingShards: 0 },
    drives: Object.entries(drives).map(([id, space]) => ({
      ...{ driveId: Number(id), path: `/d${id}` },
      ...(space ? { freeBytes: space.free * GIB, totalBytes: space.total * GIB } : {}),
    })),
  }
}

const isFirst = (driveId: number): boolean => driveId === 1

t.test('a drive that shares the file system of one that is emptied is not judged', async (t) => {
  const roomOf = roomsOf(
    [
      node({ 1: { free: 10, total: 100 }, 2: { free: 10.05, total: 100 } }),
      node({ 3: { free: 10, total: 100 }, 4: { free: 10, total: 200 } }),
      undefined,
    ],
    isFirst,
  )
  t.equal(roomOf(2), undefined, 'somebody wrote between the two looks')
  t.equal(roomOf(3), undefined, 'nodes of one machine')
  t.match(roomOf(4)?.drives, [{ id: 4 }])
})

t.test('others have what is free beyond the reserve', async (t) => {
  const roomOf = roomsOf(
    [node({ 1: { free: 90, total: 100 }, 2: { free: 50, total: 100 }, 3: undefined })],
    isFirst,
  )
  const left = roomOf(2)?.left('move')
  t.ok(left!.reserveBytes > 0)
  t.equal(left!.bytes + left!.reserveBytes, 50 * GIB)
  t.equal(roomOf(3), undefined, 'it does not answer')
  t.equal(roomOf(9), undefined)
})
