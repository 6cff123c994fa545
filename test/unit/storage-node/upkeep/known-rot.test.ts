// Blobs that are known to be rotten: listed until they were found whole, or were not met by a whole pass; never forgotten for
// want of room.
import t from 'tap'
import { newUid } from '../../../../src/kit/uid.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import type { Healed } from '../../../../src/storage-node/upkeep/heal-blob.ts'
import { KnownRot } from '../../../../src/storage-node/upkeep/known-rot.ts'

const ROTTEN: Healed = { kind: 'owing', shards: 1, waiting: false, isRotten: true }

const newBlob = (): { uid: ReturnType<typeof newUid>; part: number } => ({
  uid: newUid(realWorld()),
  part: 0,
})

t.test('a blob is listed until it was found whole', async (t) => {
  const rot = new KnownRot()
  const blob = newBlob()
  rot.note(blob, { kind: 'owing', shards: 1, waiting: true }, 1)
  t.notOk(rot.lists(blob), 'what is missing is seen by a look')
  rot.note(blob, ROTTEN, 2)
  t.ok(rot.lists(blob))
  t.notOk(rot.lists({ ...blob, part: 1 }))
  rot.note(blob, { kind: 'owing', shards: 1, waiting: false }, 3)
  rot.note(blob, { kind: 'gone' }, 4)
  t.ok(rot.lists(blob), 'a drive that is silent says nothing of it')
  rot.note(blob, { kind: 'mended', shards: 1 }, 5)
  t.notOk(rot.lists(blob))
})

t.test('what can not be mended, or gave an error, is read whole as well', async (t) => {
  const rot = new KnownRot()
  const [lost, missing, failed] = [newBlob(), newBlob(), newBlob()]
  rot.note(lost, { kind: 'unrepairable', good: 3, needed: 4, isRotten: true }, 1)
  rot.note(missing, { kind: 'unrepairable', good: 3, needed: 4 }, 1)
  rot.note(failed, { kind: 'error' }, 1)
  t.same([rot.lists(lost), rot.lists(missing), rot.lists(failed)], [true, false, true])
})

t.test('what was met and gave no answer is not forgotten by a whole pass', async (t) => {
  const rot = new KnownRot()
  const [silent, held, other] = [newBlob(), newBlob(), newBlob()]
  for (const blob of [silent, held]) rot.note(blob, ROTTEN, 10)
  rot.note(silent, { kind: 'owing', shards: 3, waiting: false, unknown: true }, 20)
  rot.keep(held, 20)
  rot.keep(other, 20)
  rot.forgetUnseen(15)
  t.same([rot.lists(silent), rot.lists(held), rot.lists(other)], [true, true, false])
})

t.test('what a whole pass did not meet any more is forgotten', async (t) => {
  const rot = new KnownRot()
  const [old, young] = [newBlob(), newBlob()]
  rot.note(old, ROTTEN, 10)
  rot.note(young, ROTTEN, 20)
  rot.forgetUnseen(15)
  t.same([rot.lists(old), rot.lists(young)], [false, true])
})

t.test('without room every blob counts as listed, until a whole pass had room', async (t) => {
  const rot = new KnownRot(1)
  const blob = newBlob()
  rot.note(blob, ROTTEN, 10)
  rot.note(blob, ROTTEN, 11)
  t.notOk(rot.lists(newBlob()))
  rot.note(newBlob(), ROTTEN, 12)
  t.ok(rot.lists(newBlob()))
  rot.forgetUnseen(5)
  t.ok(rot.lists(newBlob()), 'it came up during the pass')
  rot.forgetUnseen(20)
  t.notOk(rot.lists(newBlob()))
})
