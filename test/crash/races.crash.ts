// Races in numbers: 1,000 rounds of 32 creators, a counter, creators against deleters, 10,000 reads of what is overwritten.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  raceCounter,
  raceCreators,
  raceCreatorsAndDeleters,
  readWhileOverwritten,
} from '../support/races.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { startServer } from '../support/server.ts'

t.test('races', { timeout: 600_000 }, async (t) => {
  const seed = seedOfRun()
  t.comment(`SEED=${seed}`)
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-races-'))
  const directories = [1, 2, 3, 4].map((number) => join(directory, `drive${number}`))
  const environment = { KINTSUGI_BUCKETS: 'plain,turns' }
  const server = await startServer({ directories, environment })
  t.teardown(() => server.kill())
  const client = new S3Client(server.endpoint)
  const plain = { client, bucket: 'plain' }
  const turns = { client, bucket: 'turns' }

  await t.test('one of 32 creators wins, 1,000 times', async (t) => {
    t.same(await raceCreators(plain, { writers: 32, rounds: 1000 }), [])
  })
  await t.test('16 writers increment a counter', async (t) => {
    t.same(await raceCounter(plain, { writers: 16, times: 20 }), [])
  })
  await t.test('creators and deleters take turns', async (t) => {
    const body = Buffer.from(
      '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
    )
    await client.send({ method: 'PUT', path: '/turns', query: { versioning: '' }, body })
    t.same(await raceCreatorsAndDeleters(turns, { rounds: 150 }), [])
  })
  await t.test('10,000 reads under overwrites are whole', async (t) => {
    t.same(await readWhileOverwritten(plain, new Seeded(seed), { reads: 10_000 }), [])
  })
  client.close()
  t.equal(await server.stop(), 0)
  await rm(directory, { recursive: true })
})
