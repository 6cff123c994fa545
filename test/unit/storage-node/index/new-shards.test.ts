// Which shards have no row: never wrong about one that has, and right about nearly all that are written for the first time.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { ShardId } from '../../../../src/storage-node/contract.ts'
import { NewShards } from '../../../../src/storage-node/index/new-shards.ts'
import { Seeded } from '../../../support/seeded.ts'

function shardAt(timeMs: number, tail: number): ShardId {
  const uid = `${timeMs.toString(16).padStart(12, '0')}${tail.toString(16).padStart(20, '0')}`
  return { uid: uid as Uid, part: 0, slot: 1 }
}

t.test('a shard with a row is never taken for new, whatever the order of times', async (t) => {
  const seeded = new Seeded(1)
  for (let round = 0; round < 20; round += 1) {
    const shards = new NewShards(1 + seeded.below(40))
    const rows: ShardId[] = []
    for (let step = 0; step < 200; step += 1) {
      const again = rows.length > 0 && seeded.below(4) === 0
      const id = again ? rows[seeded.below(rows.length)]! : shardAt(seeded.below(300), step)
      if (seeded.below(10) === 0) shards.noteOld(id)
      else shards.note(id)
      rows.push(id)
      const wrong = rows.filter((row) => shards.isNew(row))
      if (wrong.length > 0) t.same(wrong, [], `round ${round}, step ${step}`)
    }
  }
})

t.test('what comes in order of time is new until it is noted', async (t) => {
  const shards = new NewShards(10)
  shards.noteOld(shardAt(999, 1))
  t.notOk(shards.isNew(shardAt(999, 2)), 'as old as what was there')
  for (let step = 0; step < 100; step += 1) {
    const id = shardAt(1000 + step, step)
    t.ok(shards.isNew(id))
    t.ok(shards.isNew({ ...id, slot: 2 }), 'another shard of the same blob')
    shards.note(id)
    t.notOk(shards.isNew(id))
  }
})
