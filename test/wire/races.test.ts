// Writers that race for one key, a few rounds of each kind; test/crash/races.crash.ts runs many.
import t from 'tap'
import {
  raceCounter,
  raceCreators,
  raceCreatorsAndDeleters,
  readWhileOverwritten,
} from '../support/races.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { ask, BUCKET, withWire } from './wire.ts'

t.test('races', { timeout: 120_000 }, async (t) => {
  const seed = seedOfRun()
  t.comment(`SEED=${seed}`)
  await withWire(t, {}, async (wire) => {
    const client = new S3Client(wire.server.endpoint)
    const track = { client, bucket: BUCKET }
    await t.test('pitfall 64: of many creators one wins', async (t) => {
      t.same(await raceCreators(track, { writers: 32, rounds: 40 }), [])
    })
    await t.test('pitfall 67: no increment is lost', async (t) => {
      t.same(await raceCounter(track, { writers: 16, times: 3 }), [])
    })
    await t.test('pitfall 66: creators and deleters take turns', async (t) => {
      await ask(wire, { method: 'PUT', path: '/turns' })
      const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
      await ask(wire, { method: 'PUT', path: '/turns', query: { versioning: '' }, body })
      const turns = { client, bucket: 'turns' }
      t.same(await raceCreatorsAndDeleters(turns, { rounds: 5 }), [])
    })
    await t.test('pitfall 88: every read is one whole version', async (t) => {
      t.same(await readWhileOverwritten(track, new Seeded(seed), { reads: 300 }), [])
    })
    client.close()
  })
})
