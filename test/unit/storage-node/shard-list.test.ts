// The names of all shards of a drive: in segments and in files of their own, while compaction moves them about.
import t from 'tap'
import { Seeded } from '../../support/seeded.ts'
import { ShardFixture } from './shard-fixture.ts'

const nameOf = ({ uid, part, slot }: { uid: string; part: number; slot: number }): string =>
  `${uid}.${part}.${slot}`

async function listed({ store }: ShardFixture, between = async () => {}): Promise<string[]> {
  const names: string[] = []
  for await (const ids of store.list()) {
    names.push(...ids.map(nameOf))
    await between()
  }
  return names.sort()
}

t.test('every shard is listed once, after a restart as well', async (t) => {
  const fixture = await ShardFixture.open()
  t.teardown(() => fixture.store.close())
  const random = new Seeded(4)
  const small = await fixture.put(random, 1_200, 20)
  const large = await fixture.put(random, 5, 4_000)
  const shards = [...small, ...large]
  const names = () => shards.map(({ description: { id } }) => nameOf(id)).sort()
  t.same(await listed(fixture), names())
  for (const { description } of shards.splice(0, 600))
    await fixture.store.deleteShard(description.id)
  for (const { description } of shards.splice(-2)) await fixture.store.deleteShard(description.id)
  t.same(await listed(fixture), names())
  await fixture.reopen()
  t.same(await listed(fixture), names())
})

t.test('compaction while it is listed takes nothing from the list', async (t) => {
  const fixture = await ShardFixture.open()
  t.teardown(() => fixture.store.close())
  const shards = await fixture.put(new Seeded(6), 1_500, 60)
  for (let index = 0; index < 1_500; index += 3) {
    await fixture.store.deleteShard(shards[index]!.description.id)
    await fixture.store.deleteShard(shards[index + 1]!.description.id)
  }
  const left = shards.filter((_, index) => index % 3 === 2)
  const before = fixture.segments()
  const names = await listed(fixture, async () => {
    for (let round = 0; round < 5; round += 1) await fixture.store.compactOnce()
  })
  t.notSame(fixture.segments(), before, 'segments went')
  t.same(names, left.map(({ description: { id } }) => nameOf(id)).sort())
})
