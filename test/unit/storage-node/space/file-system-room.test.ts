// Promises of writers on one file system, and what a refusal means.
import t from 'tap'
import { mebibytes } from '../../../../src/kit/bytes.ts'
import type { DiskSpace } from '../../../../src/kit/world.ts'
import { FileSystemRoom } from '../../../../src/storage-node/space/file-system-room.ts'

const TOTAL = mebibytes(1000)
const RESERVE = mebibytes(50)

function roomWith(free: number): {
  room: FileSystemRoom
  disk: { space: DiskSpace; nowMs: number }
} {
  const disk = {
    space: { freeBytes: free, totalBytes: TOTAL, freeInodes: 0, totalInodes: 0 },
    nowMs: 0,
  }
  const world = {
    disk: { space: async () => disk.space },
    clock: { monotonicMs: () => disk.nowMs },
  } as unknown as ConstructorParameters<typeof FileSystemRoom>[0]
  const room = new FileSystemRoom(world)
  for (const id of [1, 2]) {
    room.add({ id, path: `/d${id}`, failure: undefined, run: (operation) => operation() })
  }
  return { room, disk }
}

t.test('room is promised once, to whichever drive asks first', async (t) => {
  const { room } = roomWith(RESERVE + 100)
  await room.ask()
  const first = room.promise(60, 'data')
  t.ok(first)
  t.notOk(room.promise(60, 'data'), 'the other drive shares the file system')
  t.ok(room.fits(60, 'metadata'), 'rows may go below the reserve of data')
  first!.release()
  first!.release()
  t.equal(room.promisedBytes, 0, 'given back once')
  t.ok(room.promise(60, 'data'))
})

t.test('what was written is counted until the file system counts it itself', async (t) => {
  const { room, disk } = roomWith(RESERVE + 100)
  await room.ask()
  const promise = room.promise(100, 'data')!
  promise.spend(70)
  t.equal(room.promisedBytes, 30)
  t.notOk(room.fits(1, 'data'))
  promise.release()
  t.ok(room.fits(30, 'data'))
  t.notOk(room.fits(31, 'data'), 'the old answer does not know of the 70')
  disk.space = { ...disk.space, freeBytes: RESERVE + 30 }
  await room.ask()
  t.ok(room.fits(30, 'data'))
  t.notOk(room.fits(31, 'data'))
})

t.test('after a refusal nothing new fits for a while, whatever is said to be free', async (t) => {
  const { room, disk } = roomWith(TOTAL)
  await room.ask()
  t.equal(room.noteRefusal(), true)
  t.equal(room.noteRefusal(), false, 'known already')
  await room.ask()
  t.notOk(room.fits(1, 'data'))
  t.ok(room.fits(1, 'upkeep'), 'but what gives space back goes on')
  disk.nowMs += 2000
  t.ok(room.fits(1, 'data'))
})

t.test('a file system that does not tell its size refuses nothing', async (t) => {
  const { room, disk } = roomWith(0)
  disk.space = { freeBytes: 0, totalBytes: 0, freeInodes: 0, totalInodes: 0 }
  await room.ask()
  t.ok(room.fits(mebibytes(1), 'data'))
  t.equal(room.level, 'ample')
})
