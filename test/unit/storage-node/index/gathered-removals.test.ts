// Removals that are asked for at the same time go together, and never before a change that was asked for earlier.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { ShardId } from '../../../../src/storage-node/contract.ts'
import {
  distinctRemovals,
  GatheredRemovals,
  type Removal,
} from '../../../../src/storage-node/index/gathered-removals.ts'
import { judgeShard, sampleShard } from '../../../contracts/shard-samples.ts'
import { Seeded } from '../../../support/seeded.ts'
import { ShardFixture } from '../shard-fixture.ts'

function idOf(slot: number): ShardId {
  return { uid: '0'.repeat(32) as Uid, part: 0, slot }
}

/** An index whose turn comes when the test says so. */
function openGathered() {
  const turns: { group: readonly Removal[]; begin: () => void; end: () => void }[] = []
  const removals = new GatheredRemovals(
    (group, begin) => new Promise((end) => turns.push({ group, begin, end })),
  )
  const slots = () => turns.map(({ group }) => group.map(({ id }) => id.slot))
  return { removals, turns, slots }
}

t.test(
  'what comes before its turn joins the group, and what comes then is the next one',
  async (t) => {
    const { removals, turns, slots } = openGathered()
    const asked = [removals.add(idOf(1)), removals.add(idOf(2))]
    turns[0]!.begin()
    asked.push(removals.add(idOf(3)))
    t.strictSame(slots(), [[1, 2], [3]])
    for (const { group } of turns) for (const { id, resolve } of group) resolve(id.slot !== 2)
    t.strictSame(await Promise.all(asked), [true, false, true])
  },
)

t.test('what is asked for behind another change goes behind it', async (t) => {
  const { removals, slots } = openGathered()
  void removals.add(idOf(1))
  removals.closeGroup()
  void removals.add(idOf(2))
  void removals.add(idOf(3))
  t.strictSame(slots(), [[1], [2, 3]])
})

t.test('a group has an end', async (t) => {
  const { removals, slots } = openGathered()
  for (let slot = 0; slot < 300; slot += 1) void removals.add(idOf(slot))
  t.strictSame(
    slots().map(({ length }) => length),
    [128, 128, 44],
  )
})

t.test('where it fails all of the group hear of it, and the next ones try again', async (t) => {
  let fails = true
  const removals = new GatheredRemovals(async (group) => {
    if (fails) throw new Error('no room')
    for (const { resolve } of group) resolve(true)
  })
  const failed = await Promise.allSettled([removals.add(idOf(1)), removals.add(idOf(2))])
  t.strictSame(
    failed.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  fails = false
  t.equal(await removals.add(idOf(1)), true)
})

t.test('a shard that is named twice is removed once', async (t) => {
  const told: (number | boolean)[][] = []
  const group = [1, 2, 1].map((slot, at): Removal => {
    return { id: idOf(slot), resolve: (wasThere) => told.push([at, wasThere]), reject: () => {} }
  })
  t.strictSame(distinctRemovals(group), group.slice(0, 2))
  t.strictSame(told, [[2, false]])
})

t.test(
  'shards that are deleted at the same time are gone, and what they took is free',
  async (t) => {
    const fixture = await ShardFixture.open()
    const shards = await fixture.put(new Seeded(8), 40, 900)
    const large = await fixture.put(new Seeded(9), 2, 6000)
    const gone = [...shards.slice(0, 30), large[0]!]
    const twice = [...gone, ...gone.slice(0, 10), sampleShard(new Seeded(10), 900, 512)]
    const states = async (): Promise<string[]> =>
      await Promise.all([...shards, ...large].map((shard) => judgeShard(fixture.store, shard)))
    const wanted = [...Array(30).fill('missing'), ...Array(10).fill('whole'), 'missing', 'whole']
    await Promise.all(twice.map(({ description }) => fixture.store.deleteShard(description.id)))
    t.strictSame(await states(), wanted)
    const before = fixture.segments().length
    for (let round = 0; round < 5; round += 1) await fixture.store.compactOnce()
    t.ok(fixture.segments().length < before)
    await fixture.reopen()
    t.strictSame(await states(), wanted)
    t.strictSame(fixture.warnings, [])
  },
)
