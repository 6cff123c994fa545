// Old copies of shards that moved: they go when their time has come, and nobody waits for one that others have to find.
import t from 'tap'
import { parseUid } from '../../../../src/kit/uid.ts'
import { MetadataUnavailable } from '../../../../src/metadata/unavailable.ts'
import { BlobLatch } from '../../../../src/storage-node/upkeep/blob-latch.ts'
import {
  type ClearingParts,
  LeftBehind,
  type OldCopy,
} from '../../../../src/storage-node/upkeep/left-behind.ts'

const GRACE_MS = 100
const LATER_MS = 100_000
const uid = parseUid('0123456789abcdef0123456789abcdef')

/** A copy on drive 3; `answers`: whether who has its row does. */
function openOne(answers: boolean) {
  const deleted: number[] = []
  const findBlob = async () => {
    if (!answers) throw new MetadataUnavailable('partition 0 is led by another node')
    return undefined
  }
  const reference = { rowKey: Buffer.from('o'), blob: { uid, part: 1, drives: [1, 2, 4] } }
  const copy = { driveId: 3, id: { uid, part: 1, slot: 2 }, partition: 0, reference }
  const left = new LeftBehind(GRACE_MS)
  left.add(copy as unknown as OldCopy, 0)
  const node = {
    momentOn: async () => 'now',
    deleteUntouched: async (driveId: number) => {
      deleted.push(driveId)
      return true
    },
  }
  const asked = { latch: new BlobLatch(), isPinned: () => false, partitions: [{ findBlob }] }
  const parts = { ...asked, node } as unknown as ClearingParts
  return { left, parts, deleted }
}

t.test('a copy goes once it is due', async (t) => {
  const { left, parts, deleted } = openOne(true)
  await left.clear(9, GRACE_MS - 1, parts)
  t.equal(left.countOn(3), 1)
  await left.clear(9, GRACE_MS, parts)
  t.equal(left.countOn(3), 0)
  t.same(deleted, [3])
})

t.test(
  'it stays while the row can not be asked for, unless another process leads by then',
  async (t) => {
    const { left, parts, deleted } = openOne(false)
    const mine = { ...parts, isMine: () => true }
    await left.clear(9, GRACE_MS, mine)
    t.equal(left.countOn(3), 1, 'it is tried again')
    await left.clear(9, 1, { ...parts, isMine: () => false })
    t.equal(left.countOn(3), 1, 'readers have their time')
    await left.clear(9, LATER_MS, { ...parts, isMine: () => false })
    t.equal(left.countOn(3), 0, 'a drive is not kept for it')
    t.same(deleted, [], 'whoever leads it may have named it again')
  },
)
