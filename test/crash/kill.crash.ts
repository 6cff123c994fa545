// kill -9 at random moments of a mixed load, again and again: every acknowledged write is there whole,
// nothing half-written is visible. Not part of npm test: .ci/run starts it. ROUNDS and SEED by environment.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { History } from '../support/history.ts'
import { MixedLoad } from '../support/load.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { startServer } from '../support/server.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 30)

t.test(`${ROUNDS} rounds of kill -9 under load`, { timeout: 1_500_000 }, async (t) => {
  const seed = seedOfRun()
  t.comment(`SEED=${seed}`)
  const random = new Seeded(seed)
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-kill-'))
  const directories = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
  const history = new History()
  let acknowledged = 0
  for (let round = 0; round <= ROUNDS; round += 1) {
    const server = await startServer({ directories, environment: { KINTSUGI_BUCKETS: 'load' } })
    const client = new S3Client(server.endpoint)
    const load = new MixedLoad(client, 'load', random, history)
    await load.checkAll()
    t.same(
      load.troubles,
      [],
      `round ${round}: after a restart everything is as it was acknowledged`,
    )
    if (round === ROUNDS) {
      t.equal(await server.stop(), 0)
    } else {
      const running = load.run(8)
      await sleep(100 + random.below(900))
      await server.kill()
      await running
      acknowledged += load.acknowledged
    }
    client.close()
  }
  t.comment(`${acknowledged} writes were acknowledged`)
  t.ok(acknowledged > ROUNDS, 'there was a load')
  await rm(directory, { recursive: true })
})
