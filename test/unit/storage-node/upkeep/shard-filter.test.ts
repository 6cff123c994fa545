// Whatever was added is there; little else seems to be.
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { ShardId } from '../../../../src/storage-node/contract.ts'
import { ShardFilter } from '../../../../src/storage-node/upkeep/shard-filter.ts'
import { Seeded } from '../../../support/seeded.ts'

const SHARDS = 20_000

t.test('nothing that was added is missed, whatever the salt', async (t) => {
  await prepareDigests()
  const random = new Seeded(3)
  for (const salt of [0n, 12_345n, 2n ** 64n - 1n]) {
    const filter = new ShardFilter(SHARDS, salt)
    const ids = Array.from({ length: SHARDS }, (_, index): ShardId => {
      const uid = Buffer.from(random.bytes(16)).toString('hex') as Uid
      return { uid, part: index % 10_001, slot: index % 12 }
    })
    for (const id of ids) filter.add(3, id)
    t.equal(ids.filter((id) => !filter.has(3, id)).length, 0)
    const mistaken = ids.filter((id) => filter.has(4, id)).length
    t.ok(mistaken < SHARDS / 10, `${mistaken} are taken for others`)
    t.equal(filter.count, SHARDS)
  }
})

t.test('a filter that is far too small still misses nothing', async (t) => {
  await prepareDigests()
  const filter = new ShardFilter(0, 1n)
  const uids = Array.from({ length: 1000 }, (_, at) => at.toString(16).padStart(32, '0') as Uid)
  for (let slot = 0; slot < 250; slot += 1) {
    for (const uid of uids) filter.add(1, { uid, part: 0, slot })
  }
  t.ok(uids.every((uid) => filter.has(1, { uid, part: 0, slot: 7 })))
  t.notOk(filter.isOverfull, 'a larger one can be had')
})

t.test('the largest filter says that it is too small', async (t) => {
  await prepareDigests()
  const filter = new ShardFilter(1_000_000, 1n, 100)
  const idOf = (slot: number): ShardId => ({ uid: 'ab'.repeat(16) as Uid, part: 0, slot })
  for (let slot = 0; slot < 100; slot += 1) filter.add(1, idOf(slot))
  t.notOk(filter.isOverfull)
  filter.add(1, idOf(100))
  t.ok(filter.isOverfull)
  t.ok(filter.has(1, idOf(0)))
})
