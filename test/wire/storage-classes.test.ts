// REDUCED_REDUNDANCY over real drives: chosen at the start, kept by each object, and lost before STANDARD.
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import { DidNotStart, startServer } from '../support/server.ts'

const BUCKET = 'classes'
const BYTES = new Seeded(120).bytes(200_000)
const REDUCED = { 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }
/** With 4+1 one drive of six holds nothing of an object, so a lost pair spares one object of three. */
const OBJECTS = 30

t.test('storage classes', { timeout: 60_000 }, async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'kintsugi-classes-'))
  t.teardown(() => rm(base, { recursive: true, force: true }))
  const directories = [1, 2, 3, 4, 5, 6].map((number) => join(base, `drive${number}`))
  await t.test('codes that can not be make no store', async (t) => {
    await refuse(t, directories, '2+3', /more parity than the code of the store, 4\+2/)
    await refuse(t, directories, '6+1', /needs 7 drives, but a partition of this store has 6/)
  })
  await t.test('pitfall 120: what REDUCED_REDUNDANCY means', async (t) => lose(t, directories))
  await t.test('nor do they open one', async (t) => {
    await refuse(t, directories, '2+3', /more parity/)
  })
})

async function refuse(
  t: Test,
  directories: readonly string[],
  code: string,
  sentence: RegExp,
): Promise<void> {
  const options = ['--reduced-redundancy-code', code]
  const started = startServer({ directories, options }).then((server) => server.kill())
  const error = await started.catch((error: unknown) => error)
  if (!(error instanceof DidNotStart)) throw new Error(`${code} was taken: ${String(error)}`)
  t.equal(error.exitCode, 2, code)
  t.match(error.stderr, sentence)
}

async function lose(t: Test, directories: readonly string[]): Promise<void> {
  await withServer(directories, [], async (client, output) => {
    t.match(output, '(code 4+2, reduced 4+1)', 'the start says so')
    await putAll(client, 'standard', {})
    await putAll(client, 'reduced', REDUCED)
  })
  await withServer(directories, ['--reduced-redundancy-code', '4+0'], async (client) => {
    await putAll(client, 'radical', REDUCED)
    t.equal(await countWhole(client, 'reduced'), OBJECTS, 'objects keep the code they came with')
    t.equal(await countWhole(client, 'radical'), OBJECTS)
  })
  for (const lost of directories.slice(0, 2)) await rename(lost, `${lost}-lost`)
  await withServer(directories.slice(2), [], async (client) => {
    t.equal(await countWhole(client, 'standard'), OBJECTS, '4+2 bears the loss of any two drives')
    const reduced = await countWhole(client, 'reduced')
    const radical = await countWhole(client, 'radical')
    t.ok(reduced < OBJECTS, `4+1 does not: ${reduced} of ${OBJECTS} are left`)
    t.ok(radical < OBJECTS, `nor does 4+0: ${radical} of ${OBJECTS} are left`)
  })
}

async function withServer(
  directories: readonly string[],
  options: readonly string[],
  work: (client: S3Client, output: string) => Promise<void>,
): Promise<void> {
  const environment = { KINTSUGI_BUCKETS: BUCKET }
  const server = await startServer({ directories, options, environment })
  const client = new S3Client(server.endpoint)
  try {
    await work(client, server.output())
    await server.stop()
  } finally {
    client.close()
    await server.kill()
  }
}

async function putAll(client: S3Client, name: string, headers: Record<string, string>) {
  const indexes = Array.from({ length: OBJECTS }, (_, index) => index)
  const puts = indexes.map((index) => client.put(BUCKET, `${name}/${index}`, BYTES, headers))
  for (const { status, body } of await Promise.all(puts))
    if (status !== 200) throw new Error(body.toString())
}

/** How many come back as they were put; the connection breaks off where too few shards are left. */
async function countWhole(client: S3Client, name: string): Promise<number> {
  const indexes = Array.from({ length: OBJECTS }, (_, index) => index)
  const whole = indexes.map(async (index) => {
    const answer = await client.get(BUCKET, `${name}/${index}`).catch(() => undefined)
    return answer?.body.equals(BYTES) ? 1 : 0
  })
  return (await Promise.all(whole)).reduce((sum: number, one) => sum + one, 0)
}
