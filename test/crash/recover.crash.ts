// All metadata is deleted: the store says what to do, and recover brings back what dumps and shards know of.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { RecoverOutcome } from '../../src/embedded/recover.ts'
import type { StoreStatus } from '../../src/gateway/admin-api.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import { DidNotStart, startServer, TEST_KEYS, type TestServer } from '../support/server.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/kintsugi.cjs', import.meta.url))
const SSE = { 'x-amz-server-side-encryption': 'AES256' }

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

async function run(words: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, ...words], {
    env: {
      PATH: process.env.PATH,
      KINTSUGI_ROOT_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
      KINTSUGI_ROOT_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
    },
  })
  const ended = { stdout: '', stderr: '' }
  child.stdout.on('data', (bytes: Buffer) => {
    ended.stdout += bytes
  })
  child.stderr.on('data', (bytes: Buffer) => {
    ended.stderr += bytes
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...ended }
}

function drivesIn(t: Test): string[] {
  const root = t.testdir()
  return [1, 2, 3, 4, 5, 6].map((number) => join(root, `drive${number}`))
}

/** Objects as they are to come back: bytes, content type and user metadata. */
type Wanted = Map<string, { bytes: Buffer; type: string }>

async function put(
  client: S3Client,
  place: string,
  bytes: Buffer,
  wanted: Wanted,
  headers: Record<string, string> = {},
): Promise<void> {
  const [bucket, key] = place.split('/') as [string, string]
  const type = `text/x-${key}`
  const meta = { 'content-type': type, 'x-amz-meta-name': key, ...headers }
  const { status } = await client.put(bucket, key, bytes, meta)
  if (status !== 200) throw new Error(`${place}: ${status}`)
  wanted.set(place, { bytes, type })
}

async function upload(client: S3Client, wanted: Wanted, random: Seeded): Promise<void> {
  const path = '/plain/multipart'
  const headers = { 'content-type': 'text/x-multipart', 'x-amz-meta-name': 'multipart', ...SSE }
  const made = await client.send({ method: 'POST', path, query: { uploads: '' }, headers })
  const uploadId = /<UploadId>([^<]+)</.exec(made.body.toString())![1]!
  const parts = [random.bytes(5 * 1024 * 1024), random.bytes(70_000)]
  const etags: string[] = []
  for (const [index, body] of parts.entries()) {
    const query = { partNumber: String(index + 1), uploadId }
    etags.push((await client.send({ method: 'PUT', path, query, body })).headers.etag!)
  }
  const list = etags.map(
    (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
  )
  const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`)
  const done = await client.send({ method: 'POST', path, query: { uploadId }, body })
  if (done.status !== 200) throw new Error(`complete: ${done.status}`)
  wanted.set('plain/multipart', { bytes: Buffer.concat(parts), type: 'text/x-multipart' })
}

async function fill(client: S3Client, random: Seeded): Promise<Wanted> {
  const wanted: Wanted = new Map()
  const path = '/kept'
  const body = Buffer.from(
    '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
  )
  await client.send({ method: 'PUT', path, query: { versioning: '' }, body })
  for (let number = 0; number < 20; number += 1)
    await put(client, `plain/small${number}`, random.bytes(100 + number), wanted)
  await put(client, 'plain/small3', random.bytes(5_000), wanted)
  await put(client, 'plain/large', random.bytes(3_000_000), wanted)
  await put(client, 'plain/secret', random.bytes(200_000), wanted, SSE)
  await put(client, 'kept/twice', Buffer.from('first'), wanted)
  await put(client, 'kept/twice', Buffer.from('second'), wanted)
  await upload(client, wanted, random)
  return wanted
}

async function check(t: Test, client: S3Client, wanted: Wanted): Promise<void> {
  for (const [place, { bytes, type }] of wanted) {
    const [bucket, key] = place.split('/') as [string, string]
    const got = await client.get(bucket, key)
    t.equal(got.status, 200, place)
    t.ok(got.body.equals(bytes), `${place} has its bytes`)
    t.equal(got.headers['content-type'], type)
    t.equal(got.headers['x-amz-meta-name'], key)
  }
}

async function loseMetadata(drives: readonly string[]): Promise<void> {
  for (const drive of drives)
    for (const name of ['meta.db', 'metalog']) {
      await rm(join(drive, name), { recursive: true })
      await mkdir(join(drive, name))
    }
}

async function start(t: Test, directories: string[], options: string[] = []): Promise<TestServer> {
  const environment = { KINTSUGI_BUCKETS: 'plain,kept' }
  const server = await startServer({ directories, options, environment })
  t.teardown(() => server.kill())
  return server
}

async function refusal(directories: string[]): Promise<DidNotStart> {
  const failed = await startServer({ directories }).catch((error) => error as unknown)
  if (failed instanceof DidNotStart) return failed
  throw new Error('it started')
}

t.test('without a dump: every object with bytes', { timeout: 200_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives)
  const writer = new S3Client(first.endpoint)
  const wanted = await fill(writer, new Seeded(5))
  t.match(await run(['recover', ...drives]), { code: 3, stderr: /in use/ }, 'not while it runs')
  writer.close()
  await first.stop()
  t.match(await run(['recover', ...drives]), { code: 0, stdout: /nothing is to be recovered/ })

  await loseMetadata(drives)
  const { exitCode, stderr } = await refusal(drives)
  t.equal(exitCode, 4)
  t.match(stderr, /kintsugi recover \//)
  t.match(await run(['recover', ...drives]), { code: 0, stdout: /no dump.*Nothing was changed/s })
  const rehearsed = await run(['recover', ...drives, '--dry-run', '--json'])
  t.equal(rehearsed.code, 0, rehearsed.stderr)
  t.equal((await refusal(drives)).exitCode, 4, 'a rehearsal changes nothing')
  const done = await run(['recover', ...drives, '--yes', '--json'])
  t.equal(done.code, 0, done.stderr)
  const outcome = JSON.parse(done.stdout) as RecoverOutcome
  t.equal(outcome.partitions.length, 8)
  const made = outcome.partitions.reduce((sum, { report }) => sum + report!.unconfirmed, 0)
  t.ok(made >= wanted.size, `${made} versions were made`)
  t.ok(outcome.partitions.every(({ report }) => report!.damaged.length === 0))
  t.match(await run(['recover', ...drives, '--yes']), { stdout: /nothing is to be recovered/ })

  const second = await start(t, drives)
  const reader = new S3Client(second.endpoint)
  await check(t, reader, wanted)
  const versions = await reader.send({ method: 'GET', path: '/kept', query: { versions: '' } })
  t.equal(versions.body.toString().match(/<Version>/g)?.length, 2, 'old versions came back too')
  await put(reader, 'plain/small1', Buffer.from('new'), wanted)
  await check(t, reader, wanted)
  reader.close()
  await second.stop()
})

t.test('with a dump: also what only rows know', { timeout: 200_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives, ['--dump-days', '0.00001', '--garbage-grace', '3600'])
  const writer = new S3Client(first.endpoint)
  const wanted = await fill(writer, new Seeded(6))
  await put(writer, 'plain/empty', Buffer.alloc(0), wanted)
  const body = Buffer.from(
    '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>',
  )
  const path = '/plain/large'
  const tagged = await writer.send({ method: 'PUT', path, query: { tagging: '' }, body })
  t.equal(tagged.status, 200)
  for (const place of ['plain/small5', 'kept/twice']) {
    const [bucket, key] = place.split('/') as [string, string]
    await writer.delete(bucket, key)
    wanted.delete(place)
  }
  await sleep(8_000)
  writer.close()
  await first.stop()

  await loseMetadata(drives)
  const done = await run(['recover', ...drives, '--yes', '--json'])
  t.equal(done.code, 0, done.stderr)
  const { partitions } = JSON.parse(done.stdout) as RecoverOutcome
  t.ok(partitions.every(({ dumpMs }) => dumpMs !== undefined))
  t.ok(
    partitions.every(({ report }) => report!.unconfirmed === 0),
    'the dump knew all of it',
  )

  const second = await start(t, drives)
  const reader = new S3Client(second.endpoint)
  await check(t, reader, wanted)
  for (const [bucket, key] of [
    ['plain', 'small5'],
    ['kept', 'twice'],
  ] as const)
    t.equal((await reader.get(bucket, key)).status, 404, `${key} stays deleted`)
  const tags = await reader.send({ method: 'GET', path, query: { tagging: '' } })
  t.match(tags.body.toString(), /<Key>a<\/Key><Value>b<\/Value>/)
  reader.close()
  await second.stop()
})

const SWEEP_ALL = ['--orphan-hours', '0', '--garbage-grace', '1']

/** The status once so many passes for orphans have ended, from its words as well. */
async function sweptTimes({ endpoint }: TestServer, passes: number): Promise<StoreStatus> {
  for (;;) {
    const { code, stdout, stderr } = await run(['status', '--json', '--endpoint', endpoint])
    if (code !== 0) throw new Error(stderr)
    const status = JSON.parse(stdout) as StoreStatus
    if (status.orphans.passes >= passes) return status
    await sleep(300)
  }
}

t.test(
  'what recover could not place is kept until it is released',
  { timeout: 200_000 },
  async (t) => {
    const drives = drivesIn(t)
    const first = await start(t, drives)
    const writer = new S3Client(first.endpoint)
    const head = Buffer.from('head ')
    const offset = { 'x-amz-write-offset-bytes': String(head.length) }
    t.equal((await writer.put('plain', 'grows', head)).status, 200)
    t.equal((await writer.put('plain', 'grows', Buffer.from('and tail'), offset)).status, 200)
    t.equal((await writer.get('plain', 'grows')).body.toString(), 'head and tail')
    writer.close()
    await first.stop()

    await loseMetadata(drives)
    const done = await run(['recover', ...drives, '--yes', '--json'])
    t.equal(done.code, 0, done.stderr)
    const { partitions } = JSON.parse(done.stdout) as RecoverOutcome
    t.equal(partitions.flatMap(({ report }) => report!.unplaced).length, 1, 'the appended bytes')

    const last = await start(t, drives, SWEEP_ALL)
    const { orphans: kept } = await sweptTimes(last, 2)
    t.match(kept, { deleted: 0, adopted: 0 }, 'nothing goes')
    t.ok(kept.heldSinceMs !== undefined && kept.left.held > 0)
    const words = await run(['status', '--endpoint', last.endpoint])
    t.match(words.stdout, /kept since the recovery of .*: kintsugi release-orphans/)
    const release = ['release-orphans', '--endpoint', last.endpoint]
    t.match(await run(release), { code: 0, stdout: /were kept since the recovery of/ })
    t.match(await run(release), { code: 0, stdout: /nothing to release/ })
    const now = await sweptTimes(last, 0)
    const { orphans } = await sweptTimes(last, now.orphans.passes + 2)
    t.equal(orphans.deleted, kept.left.held, 'what was kept goes')
    t.match(orphans, { left: { held: 0 } })
    t.equal(orphans.heldSinceMs, undefined)
    const reader = new S3Client(last.endpoint)
    t.equal((await reader.get('plain', 'grows')).body.toString(), 'head ')
    reader.close()
    await last.stop()
  },
)
