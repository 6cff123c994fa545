// Places that are known are those that the index has: nothing that changed, or may have changed, is kept.
import t from 'tap'
import { newUid } from '../../../../src/kit/uid.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import { KnownPlaces } from '../../../../src/storage-node/index/known-places.ts'

const world = realWorld()
const row = { segment: 1, offset: 0, headerBytes: 64, cellBytes: 128, shardBytes: 128 }
const newId = () => ({ uid: newUid(world), part: 0, slot: 0 })

t.test('what was read is known until it changes', async (t) => {
  const places = new KnownPlaces()
  const [one, other] = [newId(), newId()]
  places.keep(one, row, places.generation)
  places.keep(other, row, places.generation)
  t.equal(places.find(one)?.row, row)
  t.equal(places.find({ ...one, slot: 1 }), undefined)
  t.equal(places.find({ ...one, part: 1 }), undefined)
  places.forget([one])
  t.equal(places.find(one), undefined)
  t.equal(places.find(other)?.row, row)
})

t.test('a shard that lies in no segment is known as such until it is written there', async (t) => {
  const places = new KnownPlaces()
  const id = newId()
  places.keep(id, undefined, places.generation)
  t.strictSame(places.find(id), { row: undefined })
  places.forget([id])
  t.equal(places.find(id), undefined)
})

t.test('what was read while something changed is not kept', async (t) => {
  const places = new KnownPlaces()
  const id = newId()
  const before = places.generation
  places.forget([id])
  const during = places.generation
  places.keep(id, row, before)
  t.equal(places.find(id), undefined)
  places.forget([id])
  places.keep(id, row, during)
  t.equal(places.find(id), undefined)
})

t.test('not more than its bound', async (t) => {
  const places = new KnownPlaces(3)
  const ids = Array.from({ length: 5 }, newId)
  for (const id of ids) places.keep(id, row, places.generation)
  const known = ids.map((id) => places.find(id) !== undefined)
  t.strictSame(known, [false, false, true, true, true])
})
