// The commands that ask a running store, as processes: what they say of a store that is whole, damaged, and mended.
import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { InspectedObject, StoreStatus } from '../../src/gateway/admin-api.ts'
import { loseDirectory } from '../support/lose-directory.ts'
import { type Ended, ROOT_KEYS, runProgram } from '../support/run-program.ts'
import { S3Client } from '../support/s3.ts'
import { startServer, TEST_KEYS, type TestServer } from '../support/server.ts'

/** Runs a command against a store, with the root credentials unless others are given. */
function ask(
  endpoint: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = ROOT_KEYS,
): Promise<Ended> {
  return runProgram([...words, '--endpoint', endpoint], { environment })
}

async function statusOf({ endpoint }: TestServer): Promise<StoreStatus> {
  const { code, stdout, stderr } = await ask(endpoint, ['status', '--json'])
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as StoreStatus
}

async function look({ endpoint }: TestServer, place: string): Promise<InspectedObject> {
  const { code, stdout, stderr } = await ask(endpoint, ['inspect', place, '--json'])
  if (code !== 0 && code !== 5) throw new Error(stderr)
  return JSON.parse(stdout) as InspectedObject
}

async function start(t: Test): Promise<TestServer> {
  const server = await startServer({
    cwd: t.testdirName,
    environment: { KINTSUGI_BUCKETS: 'bucket' },
  })
  t.teardown(() => server.kill())
  return server
}

async function putObjects(server: TestServer): Promise<void> {
  const client = new S3Client(server.endpoint)
  for (let number = 0; number < 12; number += 1)
    await client.put('bucket', `small ${number}`, randomBytes(1_000 + number))
  await client.put('bucket', 'large ü', randomBytes(3_000_000), {
    'x-amz-server-side-encryption': 'AES256',
  })
  await client.put('bucket', 'empty', Buffer.alloc(0))
  client.close()
}

/** Removes the shards that lie on a drive, and leaves it a drive. */
async function loseShards(drive: string): Promise<void> {
  for (const directory of ['seg', 'big'])
    for (const name of await readdir(join(drive, directory)))
      await rm(join(drive, directory, name), { recursive: true })
}

t.test('a store is looked at, damaged, mended and verified', { timeout: 600_000 }, async (t) => {
  const cwd = t.testdir()
  const first = await start(t)
  await putObjects(first)
  const before = await look(first, 's3://bucket/large ü')
  t.match(before, { bytes: 3_000_000, encryption: 'SSE-S3', versionId: 'null', partCount: 1 })
  t.match(before.parts, [{ number: 1, code: '4+2', health: 'whole' }])
  t.equal(before.parts[0]!.slots.length, 6)
  t.ok(before.parts[0]!.slots.every(({ state, path }) => state === 'whole' && path))
  t.match(await look(first, 's3://bucket/empty'), { bytes: 0, partCount: 0, parts: [] })
  await first.stop()

  await loseShards(join(cwd, 'data/drive3'))
  const second = await start(t)
  const { health, healing } = await statusOf(second)
  const isVerified = (healing.lastVerifiedMs ?? 0) > healing.lastEventMs
  t.ok(isVerified || health !== 'healthy', 'a start is not trusted')
  const healed = await ask(second.endpoint, ['heal', '--wait', '--json'])
  t.equal(healed.code, 0, healed.stderr)
  t.match(JSON.parse(healed.stdout), { result: 'verified', healing: { verified: true, queued: 0 } })
  const status = await statusOf(second)
  t.match(status, { health: 'healthy', reasons: [], code: '4+2', uploads: { count: 0 } })
  t.ok(status.healing.mendedShards > 0, 'shards were made again')
  t.ok(status.drives.every(({ state, path }) => state === 'active' && path))
  t.equal(status.metadata.inSync, status.metadata.partitions)
  for (const key of ['large ü', 'small 0', 'small 11']) {
    const found = await look(second, `s3://bucket/${key}`)
    t.ok(
      found.parts.every(({ health }) => health === 'whole'),
      `${key} is whole again`,
    )
  }
  const words = await ask(second.endpoint, ['status'])
  t.match(words.stdout, /^Health +healthy: .*\nCode +4\+2/)

  await loseDirectory(join(cwd, 'data/drive5'))
  while ((await statusOf(second)).health !== 'degraded')
    await new Promise((resolve) => setTimeout(resolve, 100))
  const lame = await statusOf(second)
  t.notOk(lame.healing.verified, 'what was verified before a drive went out counts no more')
  t.equal(lame.drives.filter(({ state }) => state !== 'active').length, 1)
  await second.stop()
})

t.test('refusals', { timeout: 600_000 }, async (t) => {
  t.testdir()
  const server = await start(t)
  const { endpoint } = server
  const wrong = await ask(endpoint, ['status'], {
    AWS_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: 'wrong',
  })
  t.match(wrong, { code: 1, stderr: /SignatureDoesNotMatch/ })
  t.match(await ask(endpoint, ['status'], {}), { code: 2, stderr: /credentials are missing/ })
  t.match(await ask(endpoint, ['inspect', 'bucket/key']), { code: 2, stderr: /s3:\/\// })
  t.match(await ask(endpoint, ['inspect', 's3://bucket/none']), { code: 1, stderr: /NoSuchKey/ })
  t.match(await ask(endpoint, ['inspect', 's3://none/none']), { code: 1, stderr: /NoSuchBucket/ })
  t.match(await ask('http://127.0.0.1:1', ['status']), { code: 1, stderr: /no answer/ })
  t.match(await ask('ftp://x', ['status']), { code: 2, stderr: /--endpoint/ })

  const anonymous = await fetch(`${endpoint}/_kintsugi/v1/status`)
  t.equal(anonymous.status, 403)
  t.equal(anonymous.headers.get('content-type'), 'application/json')
  t.match(await anonymous.json(), { error: { code: 'AccessDenied' } })
  const client = new S3Client(endpoint)
  const path = '/_kintsugi/v1/status'
  const body = Buffer.from('{}')
  t.equal((await client.send({ method: 'DELETE', path })).status, 400, 'the payload is signed')
  t.equal((await client.send({ method: 'GET', path, body })).status, 400)
  client.close()
  await server.stop()
})
