// Reading all of a shard sees every flipped byte of it, wherever it lies: nothing rots where no scrub looks.
import t from 'tap'
import { readShard, type SampleShard } from '../../contracts/shard-samples.ts'
import { Seeded } from '../../support/seeded.ts'
import { PATH, ShardFixture } from './shard-fixture.ts'

/** What header, tail and cells of a shard are. */
async function readDeep({ store }: ShardFixture, { description }: SampleShard): Promise<string> {
  const opened = await store.openShard(description.id)
  if (opened.kind !== 'found') return opened.kind
  const described = await opened.reader.describe().finally(() => opened.reader.close())
  if (described.kind !== 'found') return described.kind
  return (await readShard(store, description)).kind
}

for (const [where, shardBytes] of [
  ['seg', 1500],
  ['big', 3000],
] as const) {
  t.test(`a shard in ${where}/`, async (t) => {
    const fixture = await ShardFixture.open()
    const [shard] = await fixture.put(new Seeded(shardBytes), 1, shardBytes)
    const { disk } = fixture.machine
    const [path] = disk.files(`${PATH}/${where}`)
    t.equal(await readDeep(fixture, shard!), 'found')
    const unseen: number[] = []
    for (let offset = 0; offset < disk.bytesOf(path!).length; offset += 1) {
      disk.flip(path!, offset, 0x20)
      if ((await readDeep(fixture, shard!)) === 'found') unseen.push(offset)
      disk.flip(path!, offset, 0x20)
    }
    t.same(unseen, [])
    t.equal(await readDeep(fixture, shard!), 'found')
  })
}
