// Drives that vanish: while serving, while stopped, and a store made of any four of six.
import { cp, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MixedLoad } from '../support/load.ts'
import { loseDirectory } from '../support/lose-directory.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { startServer } from '../support/server.ts'

const seed = seedOfRun()
t.comment(`SEED=${seed}`)

async function newDrives(): Promise<{ directory: string; directories: string[] }> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-lose-'))
  return {
    directory,
    directories: [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`)),
  }
}

t.test('two of six drives are deleted while a mixed load runs', { timeout: 600_000 }, async (t) => {
  const random = new Seeded(seed)
  const { directory, directories } = await newDrives()
  const server = await startServer({ directories, environment: { KINTSUGI_BUCKETS: 'load' } })
  t.teardown(() => server.kill())
  const client = new S3Client(server.endpoint)
  const load = new MixedLoad(client, 'load', random)
  const running = load.run(6)
  await sleep(3000)
  const first = random.below(6)
  const second = (first + 1 + random.below(5)) % 6
  await loseDirectory(directories[first]!)
  await sleep(1500)
  await loseDirectory(directories[second]!)
  await sleep(4000)
  const before = load.acknowledged
  await sleep(2000)
  t.ok(load.acknowledged > before, 'writes go on')
  load.stop()
  await running
  await load.checkAll()
  t.same(load.troubles, [], 'every answer was right')
  t.match(server.log(), /drive/, 'the log says what is degraded')
  t.equal(await server.stop(), 0)

  const again = await startServer({ directories })
  const reopened = new MixedLoad(new S3Client(again.endpoint), 'load', random, load.history)
  await reopened.checkAll()
  t.same(reopened.troubles, [], 'after a restart without the two')
  t.equal(await again.stop(), 0)
  client.close()
  await rm(directory, { recursive: true })
})

t.test('any four of six, copied elsewhere, serve everything', { timeout: 600_000 }, async (t) => {
  const random = new Seeded(seed + 1)
  const { directory, directories } = await newDrives()
  const server = await startServer({ directories, environment: { KINTSUGI_BUCKETS: 'load' } })
  t.teardown(() => server.kill())
  const client = new S3Client(server.endpoint)
  const load = new MixedLoad(client, 'load', random)
  const running = load.run(6)
  await sleep(4000)
  load.stop()
  await running
  t.same(load.troubles, [])
  t.equal(await server.stop(), 0)
  for (let round = 0; round < 4; round += 1) {
    const chosen = [0, 1, 2, 3, 4, 5].sort(() => random.below(3) - 1).slice(0, 4)
    const copies = chosen.map((index) => join(directory, `copy-${round}-${5 - index}`))
    for (const [place, index] of chosen.entries())
      await cp(directories[index]!, copies[place]!, { recursive: true })
    const copy = await startServer({ directories: copies })
    const copyClient = new S3Client(copy.endpoint)
    const copied = new MixedLoad(copyClient, 'load', random, load.history)
    await copied.checkAll()
    t.same(copied.troubles, [], `drives ${chosen.map((index) => index + 1).join(' ')}`)
    const written = await copyClient.put('load', `new-${round}`, Buffer.from('new'))
    t.equal(written.status, 200, 'and take new writes')
    await copyClient.delete('load', `new-${round}`)
    t.equal(await copy.stop(), 0)
    copyClient.close()
  }
  const three = directories.slice(0, 3)
  for (const lost of directories.slice(3)) await rename(lost, `${lost}-lost`)
  const refused = await startServer({ directories: three }).catch((error: unknown) => error)
  t.match(refused, { exitCode: 4, stderr: /3 of 6 drives are missing/ }, 'three are too few')
  client.close()
  await rm(directory, { recursive: true })
})
