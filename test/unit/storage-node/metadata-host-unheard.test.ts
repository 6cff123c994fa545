// Work of a metadata host that nobody waits for: what goes wrong in it is told and tried again, and ends no process.
import t from 'tap'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { type MendParts, ReplicaMender } from '../../../src/storage-node/metadata-host/mend.ts'
import {
  type RenewalParts,
  RowsRenewal,
} from '../../../src/storage-node/metadata-host/rows-renewal.ts'

t.test('a decision that can not be made is asked for again', async (t) => {
  const drive = (id: number, isLeaving = false) => ({ id, state: 'active', isLeaving })
  const replicas = ['a', 'b', 'c'].map((incarnation, driveId) => ({ driveId, incarnation }))
  const state = {
    map: { drives: [drive(0), drive(1), drive(2, true)], code: {}, slots: [] },
    metaPartitions: [{ inSync: replicas }],
  }
  let isFull = true
  let decided = 0
  const warned: object[] = []
  const mender = new ReplicaMender(2, {
    log: { ...silentLog, warn: (data: object) => void warned.push(data) },
    coordinator: {
      state,
      decide: async () => {
        if (isFull) throw new Error('a drive is full')
        decided += 1
      },
    },
    hosts: new Map(replicas.map(({ driveId }) => [driveId, {}])),
    partitions: new Map([[0, { id: 0, stopped: undefined }]]),
  } as unknown as MendParts)
  await mender.request()
  t.match(warned, [{ partition: 0, error: { message: 'a drive is full' } }])
  t.equal(decided, 0)
  isFull = false
  await mender.request()
  t.equal(decided, 1)
})

t.test('a drive that fails while its rows wait for room', async (t) => {
  const renewalOf = (run: (drive: { failure: unknown }) => unknown) => {
    const failed: unknown[] = []
    const drive = {
      ...{ id: 1, path: '/d', failure: undefined as unknown },
      run: async () => run(drive),
      fail: (error: unknown) => void failed.push(error),
    }
    const parts = {
      ...{ world: { disk: {} }, log: silentLog, partitions: new Map() },
      hosts: new Map([[1, { drive, endPause: () => {} }]]),
      rests: { isOver: false, rest: async () => true },
    } as unknown as RenewalParts
    return { renewal: new RowsRenewal(parts), failed }
  }
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  const broken = renewalOf((drive) => {
    drive.failure = new Error('EIO')
    throw new DriveUnavailable(1, 'failed', { cause: drive.failure })
  })
  await broken.renewal.resumeOrRenew(1, full)
  t.same(broken.failed, [], 'it says itself why')
  t.notOk(broken.renewal.isBusyWith(1))
  const gone = Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
  const vanished = renewalOf(() => Promise.reject(gone))
  await vanished.renewal.resumeOrRenew(1, full)
  t.same(vanished.failed, [gone], 'one that can not be asked is of no use')
})
