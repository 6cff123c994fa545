// The list of what can not be mended: each blob counts once, however often it is looked at, and passes forget only what they
// did not meet.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { BlobReference } from '../../../../src/metadata/contract.ts'
import type { Healed } from '../../../../src/storage-node/upkeep/heal-blob.ts'
import { UnrepairableList } from '../../../../src/storage-node/upkeep/unrepairable.ts'

const LOST: Healed = { kind: 'unrepairable', good: 3, needed: 4, isRotten: true }

function blobAt(number: number): { reference: BlobReference } {
  const blob = { uid: `uid${number}` as Uid, part: 0 }
  return { reference: { blob, bucketId: 1, key: `k${number}` } as BlobReference }
}

/** A pass over the blobs `from` to `to`: what it began with, and its end. */
function pass(list: UnrepairableList, range: { from: number; to: number; atMs: number }): void {
  const { from, to, atMs } = range
  for (let number = from; number < to; number += 1) list.note(blobAt(number), LOST, atMs)
  list.forgetUnseen(atMs, to - from)
}

t.test('all are counted, within a pass and after it, and details of some are kept', async (t) => {
  const list = new UnrepairableList()
  pass(list, { from: 0, to: 5000, atMs: 10 })
  t.equal(list.count, 5000)
  t.equal(list.blobs.length, 1000)
  t.same(list.blobs[0], {
    ...{ uid: 'uid0', part: 0, bucketId: 1, key: 'k0', good: 3, needed: 4, seenMs: 10 },
  })
  for (let look = 0; look < 100; look += 1) t.notOk(list.note(blobAt(4999), LOST, 11))
  t.equal(list.count, 5000, 'a reader that meets one again and again')
  pass(list, { from: 0, to: 5000, atMs: 20 })
  t.equal(list.count, 5000)
})

t.test('what was deleted or mended does not count any more', async (t) => {
  const list = new UnrepairableList()
  pass(list, { from: 0, to: 1500, atMs: 10 })
  pass(list, { from: 1000, to: 1500, atMs: 20 })
  t.equal(list.count, 500, 'those that were listed are gone, the others are not')
  list.note(blobAt(1400), { kind: 'mended', shards: 1 }, 21)
  t.equal(list.count, 499)
  pass(list, { from: 1000, to: 1400, atMs: 30 })
  t.same([list.count, list.blobs.length], [400, 400], 'there is room for their details')
})

t.test('what was met and gave no answer stays', async (t) => {
  const list = new UnrepairableList()
  for (const number of [0, 1, 2]) list.note(blobAt(number), LOST, 10)
  list.note(blobAt(0), { kind: 'owing', shards: 3, waiting: false, unknown: true }, 20)
  list.keep(blobAt(1).reference.blob, 20)
  list.keep(blobAt(7).reference.blob, 20)
  list.forgetUnseen(20, 0)
  t.same(
    list.blobs.map(({ uid }) => uid),
    ['uid0', 'uid1'],
  )
  t.equal(list.count, 2)
})

t.test('beyond the names the last pass says how many there are', async (t) => {
  const list = new UnrepairableList(10)
  pass(list, { from: 0, to: 25, atMs: 10 })
  t.equal(list.count, 25)
  t.ok(list.note(blobAt(24), LOST, 11))
  t.equal(list.count, 25)
  pass(list, { from: 5, to: 25, atMs: 20 })
  t.equal(list.count, 20, 'there was room for some more')
  pass(list, { from: 20, to: 25, atMs: 30 })
  pass(list, { from: 20, to: 25, atMs: 40 })
  t.equal(list.count, 5)
  list.note(blobAt(24), { kind: 'whole' }, 41)
  t.equal(list.count, 4, 'all are known by their names again')
})
