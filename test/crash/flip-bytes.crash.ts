// Flipped bytes in every kind of file of two drives: no wrong byte is ever returned, and everything is readable.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { flipByte } from '../support/flip-byte.ts'
import { MixedLoad } from '../support/load.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { startServer } from '../support/server.ts'

const KINDS = ['seg', 'big', 'metalog', 'meta.db', 'shards.db', 'coordinator'] as const

t.test('rot on two drives, stopped and serving', { timeout: 600_000 }, async (t) => {
  const seed = seedOfRun()
  t.comment(`SEED=${seed}`)
  const random = new Seeded(seed)
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-flip-'))
  const directories = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
  let server = await startServer({ directories, environment: { KINTSUGI_BUCKETS: 'load' } })
  t.teardown(() => server.kill())
  let client = new S3Client(server.endpoint)
  let load = new MixedLoad(client, 'load', random)
  const running = load.run(6)
  await sleep(5000)
  load.stop()
  await running
  t.same(load.troubles, [])

  const victims = directories.slice(0, 2)
  for (const kind of ['seg', 'big'] as const) await flipIn(victims, kind, 40, random)
  await load.checkAll()
  t.same(load.troubles, [], 'shards rot while they are served')
  t.equal(await server.stop(), 0)
  client.close()

  for (const kind of KINDS) {
    const flipped = await flipIn(victims, kind, 12, random)
    server = await startServer({ directories })
    client = new S3Client(server.endpoint)
    load = new MixedLoad(client, 'load', random, load.history)
    await load.checkAll()
    t.same(
      load.troubles,
      [],
      `${flipped} bytes flipped in ${kind}: everything is read back, nothing wrong`,
    )
    t.equal(await server.stop(), 0)
    client.close()
  }
  await rm(directory, { recursive: true })
})

async function flipIn(
  drives: readonly string[],
  kind: string,
  count: number,
  random: Seeded,
): Promise<number> {
  let flipped = 0
  for (const drive of drives) {
    const files = await filesBelow(join(drive, kind))
    for (let round = 0; round < count && files.length > 0; round += 1) {
      await flipByte(random.pick(files), random)
      flipped += 1
    }
  }
  return flipped
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
