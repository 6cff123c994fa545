// The real LevelDB under a shard store, damaged in every file: shards are found whole or made findable again.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { Drive } from '../../../src/storage-node/drive.ts'
import { formatDrive } from '../../../src/storage-node/drive-format.ts'
import { ShardStore } from '../../../src/storage-node/shard-store.ts'
import { judgeShard, putShard, sampleShard } from '../../contracts/shard-samples.ts'
import { Seeded } from '../../support/seeded.ts'
import { MARKER, SMALL } from './shard-fixture.ts'

const world = realWorld()

async function withStore<T>(path: string, use: (store: ShardStore) => Promise<T>): Promise<T> {
  const drive = await Drive.open(world, path, MARKER)
  const store = await ShardStore.open(drive, { world, log: silentLog }, SMALL)
  try {
    return await use(store)
  } finally {
    await store.close()
    await drive.close()
  }
}

t.test('damage to any file of LevelDB', async (t) => {
  const path = t.testdir()
  const index = `${path}/shards.db`
  const seeded = new Seeded(11)
  await formatDrive(world, path, MARKER)
  const shards = Array.from({ length: 60 }, () => sampleShard(seeded, seeded.below(2000), 512))
  await withStore(path, async (store) => {
    await Promise.all(shards.map((shard) => putShard(store, shard)))
  })
  const check = (): Promise<string[]> =>
    withStore(path, (store) => Promise.all(shards.map((shard) => judgeShard(store, shard))))
  const whole = shards.map(() => 'whole')
  await check() // Now there is a table file beside the log.

  for (let round = 0; round < 20; round += 1) {
    const name = seeded.pick(readdirSync(index).filter((each) => each !== 'LOCK'))
    const bytes = readFileSync(`${index}/${name}`)
    for (let flips = 0; flips < 5 && bytes.length > 0; flips += 1) {
      bytes[seeded.below(bytes.length)]! ^= 1 << seeded.below(8)
    }
    writeFileSync(`${index}/${name}`, bytes)
    t.same(await check(), whole, `flips in ${name}`)
  }
  for (const name of readdirSync(index)) {
    if (!existsSync(`${index}/${name}`)) continue
    rmSync(`${index}/${name}`)
    t.same(await check(), whole, `without ${name}`)
  }
  rmSync(index, { recursive: true })
  t.same(await check(), whole, 'without any of it')
  t.notOk(existsSync(`${index}.aside`), 'what was moved aside is gone')
})

t.test('a table that LevelDB would end the process over is not given to it', async (t) => {
  const path = t.testdir()
  const index = `${path}/shards.db`
  const seeded = new Seeded(12)
  await formatDrive(world, path, MARKER)
  const shards = Array.from({ length: 20 }, () => sampleShard(seeded, seeded.below(2000), 512))
  await withStore(path, async (store) => {
    await Promise.all(shards.map((shard) => putShard(store, shard)))
  })
  const judge = (): Promise<string[]> =>
    withStore(path, (store) => Promise.all(shards.map((shard) => judgeShard(store, shard))))
  const whole = shards.map(() => 'whole')
  for (let round = 0; round < 12; round += 1) {
    await judge() // Now there is a table file beside the log.
    const name = readdirSync(index).find((each) => each.endsWith('.ldb'))
    if (name === undefined) throw new Error('there is no table')
    const bytes = readFileSync(`${index}/${name}`)
    // The index of the table and its footer: the lengths in there are believed.
    const at = bytes.length - 1 - ((round * 13) % 150)
    bytes[at]! ^= 1 << seeded.below(8)
    writeFileSync(`${index}/${name}`, bytes)
    t.same(await judge(), whole, `a flip ${bytes.length - at} bytes before the end of ${name}`)
  }
})
