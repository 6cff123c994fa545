// What was made again since a moment is known, or it is known that nobody knows.
import t from 'tap'
import { realWorld } from '../../../src/kit/world.ts'
import type { ShardId } from '../../../src/storage-node/contract.ts'
import { WriteMoments } from '../../../src/storage-node/write-moments.ts'

const shard = (slot: number): ShardId => ({ uid: 'aa' as never, part: 0, slot })

t.test('a shard is untouched until it is written again', async (t) => {
  const moments = new WriteMoments(realWorld())
  moments.note(shard(1))
  const since = moments.now()
  t.ok(moments.isUntouched(shard(1), since), 'what was written before was seen')
  t.ok(moments.isUntouched(shard(2), since))
  moments.note(shard(1))
  t.notOk(moments.isUntouched(shard(1), since))
  t.ok(moments.isUntouched(shard(2), since))
  t.ok(moments.isUntouched(shard(1), moments.now()))
})

t.test('of what was before its memory nothing is called untouched', async (t) => {
  const moments = new WriteMoments(realWorld(), 3)
  const early = moments.now()
  for (const slot of [1, 2, 3]) moments.note(shard(slot))
  t.ok(moments.isUntouched(shard(9), early))
  const later = moments.now()
  moments.note(shard(4))
  t.notOk(moments.isUntouched(shard(9), early))
  t.ok(moments.isUntouched(shard(9), later))
  t.notOk(moments.isUntouched(shard(4), later))
})

t.test('a moment of another opening is too old', async (t) => {
  const before = new WriteMoments(realWorld()).now()
  t.notOk(new WriteMoments(realWorld()).isUntouched(shard(1), before))
  t.notOk(new WriteMoments(realWorld()).isUntouched(shard(1), 'nonsense' as never))
})
