// What tests of `kintsugi recover` share: a store of six drives with objects of every kind, the commands, and what is lost.
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { RecoverOutcome } from '../../src/embedded/recover.ts'
import { type Ended, runProgram } from '../support/run-program.ts'
import type { S3Client } from '../support/s3.ts'
import type { Seeded } from '../support/seeded.ts'
import { DidNotStart, startServer, TEST_KEYS, type TestServer } from '../support/server.ts'

const SSE = { 'x-amz-server-side-encryption': 'AES256' }

/** Runs a command with the keys that the store has. */
export function run(words: readonly string[]): Promise<Ended> {
  const environment = {
    KINTSUGI_ROOT_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
    KINTSUGI_ROOT_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
  }
  return runProgram(words, { environment })
}

export function drivesIn(t: Test): string[] {
  const root = t.testdir()
  return [1, 2, 3, 4, 5, 6].map((number) => join(root, `drive${number}`))
}

/** Objects as they are to come back: bytes, content type and user metadata. */
export type Wanted = Map<string, { bytes: Buffer; type: string }>

export async function put(
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

export async function upload(client: S3Client, wanted: Wanted, random: Seeded): Promise<void> {
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

export async function fill(client: S3Client, random: Seeded): Promise<Wanted> {
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

export async function check(t: Test, client: S3Client, wanted: Wanted): Promise<void> {
  for (const [place, { bytes, type }] of wanted) {
    const [bucket, key] = place.split('/') as [string, string]
    const got = await client.get(bucket, key)
    t.equal(got.status, 200, place)
    t.ok(got.body.equals(bytes), `${place} has its bytes`)
    t.equal(got.headers['content-type'], type)
    t.equal(got.headers['x-amz-meta-name'], key)
  }
}

export async function loseMetadata(drives: readonly string[]): Promise<void> {
  for (const drive of drives)
    for (const name of ['meta.db', 'metalog']) {
      await rm(join(drive, name), { recursive: true })
      await mkdir(join(drive, name))
    }
}

/** Runs the recovery to its end; throws what it says where it fails. */
export async function recoverAll(drives: readonly string[]): Promise<RecoverOutcome> {
  const done = await run(['recover', ...drives, '--yes', '--json'])
  if (done.code !== 0) throw new Error(done.stderr)
  return JSON.parse(done.stdout) as RecoverOutcome
}

export async function start(
  t: Test,
  directories: string[],
  options: string[] = [],
): Promise<TestServer> {
  const environment = { KINTSUGI_BUCKETS: 'plain,kept' }
  const server = await startServer({ directories, options, environment })
  t.teardown(() => server.kill())
  return server
}

export async function refusal(directories: string[]): Promise<DidNotStart> {
  const failed = await startServer({ directories }).catch((error) => error as unknown)
  if (failed instanceof DidNotStart) return failed
  throw new Error('it started')
}

/** Metadata partitions of a store. */
export const PARTITIONS = 8

/** Until every partition has a dump that is newer than `sinceMs`. */
export async function untilDumped(drives: readonly string[], sinceMs: number): Promise<void> {
  for (;;) {
    const dumped = new Set<string>()
    for (const drive of drives)
      for (const name of await readdir(join(drive, 'dump')).catch(() => []))
        if (Number(name.slice(6, 20)) > sinceMs) dumped.add(name.slice(0, 5))
    if (dumped.size === PARTITIONS) return
    await sleep(200)
  }
}
