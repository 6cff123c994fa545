// The job that clients do on an empty store, each in its own way: write, read, list, delete. job.py is the same for Python.
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { MEBIBYTE, sampleBytes } from './sample-files.ts'

/** What a listing says of a key. */
export interface Listed {
  key: string
  bytes: number
  /** Without quotes. Only where a client shows ETags. */
  etag?: string
}

/** How a client does each step, in the one bucket of the job. What it can not do it leaves out. */
export interface JobClient {
  makeBucket(): Promise<unknown>
  write(key: string, file: string): Promise<unknown>
  read(key: string): Promise<Buffer>
  /** Bytes from `first`, `count` of them. */
  readRange?(key: string, first: number, count: number): Promise<Buffer>
  list(prefix: string): Promise<Listed[]>
  /** All keys, asked for in pages of `count`. */
  listByPages?(count: number): Promise<string[]>
  remove(keys: readonly string[]): Promise<unknown>
  removeBucket(): Promise<unknown>
  /** Names of all buckets. */
  buckets(): Promise<string[]>
  /** The ETag that listings show for what it wrote. */
  etagOf?(body: Buffer): string
}

/** The bucket of the job. */
export const BUCKET = 'job'
const ODD = 'odd/a b/é+%=&.bin'
const SIZES = { big: 20 * MEBIBYTE + 5, empty: 0, [ODD]: 100_000, small: 100 }
/** What is written, by key, in the order of S3. */
export const BODIES = new Map(
  Object.entries(SIZES).map(([key, bytes]) => [key, sampleBytes(key, bytes)]),
)
const RANGES = [
  [8 * MEBIBYTE - 3, 1_000_000],
  [20 * MEBIBYTE, 5],
] as const

/** Does the whole job; files for it are made in `scratch`. */
export async function doJob(t: Test, client: JobClient, scratch: string): Promise<void> {
  await client.makeBucket()
  t.same(await client.buckets(), [BUCKET], 'the bucket is made')
  await t.test('writes and reads', (t) => writesAndReads(t, client, scratch))
  await t.test('reads ranges', (t) => readsRanges(t, client))
  await t.test('lists', (t) => lists(t, client))
  await t.test('deletes', (t) => deletes(t, client))
}

async function writesAndReads(t: Test, client: JobClient, scratch: string): Promise<void> {
  for (const [number, [key, body]] of [...BODIES].entries()) {
    const file = join(scratch, `body-${number}`)
    writeFileSync(file, body)
    await client.write(key, file)
  }
  for (const [key, body] of BODIES) {
    t.same(fingerprint(await client.read(key)), fingerprint(body), `${key}: bytes`)
  }
}

async function readsRanges(t: Test, client: JobClient): Promise<void> {
  const whole = BODIES.get('big')!
  for (const [first, count] of client.readRange ? RANGES : []) {
    const read = await client.readRange!('big', first, count)
    const wanted = whole.subarray(first, first + count)
    t.same(fingerprint(read), fingerprint(wanted), `${count} bytes from ${first}`)
  }
}

async function lists(t: Test, client: JobClient): Promise<void> {
  const keys = [...BODIES.keys()]
  t.same(await client.list(''), wanted(client, keys), 'all keys')
  t.same(await client.list('odd/'), wanted(client, [ODD]), 'the key below a prefix')
  if (client.listByPages) t.same(await client.listByPages(3), keys, 'all keys, in pages')
}

async function deletes(t: Test, client: JobClient): Promise<void> {
  await client.remove([ODD])
  const left = [...BODIES.keys()].filter((key) => key !== ODD)
  t.same(await client.list(''), wanted(client, left), 'only that key is gone')
  await client.remove(left)
  t.same(await client.list(''), [], 'no key is left')
  await client.removeBucket()
  t.same(await client.buckets(), [], 'no bucket is left')
}

function wanted(client: JobClient, keys: readonly string[]): Listed[] {
  return keys.map((key) => {
    const body = BODIES.get(key)!
    return { key, bytes: body.length, ...(client.etagOf ? { etag: client.etagOf(body) } : {}) }
  })
}

/** Short enough to be shown when two differ. */
function fingerprint(body: Buffer): { bytes: number; sha256: string } {
  return { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') }
}

/** MD5 in hexadecimal digits. */
export function md5(body: Uint8Array): string {
  return createHash('md5').update(body).digest('hex')
}

/** The ETag of a body: MD5, or MD5 of MD5s and their number for one of `partBytes` and more. */
export function etagOf(body: Buffer, partBytes: number): string {
  if (body.length < partBytes) return md5(body)
  const parts = []
  for (let at = 0; at < body.length; at += partBytes) {
    parts.push(
      createHash('md5')
        .update(body.subarray(at, at + partBytes))
        .digest(),
    )
  }
  return `${md5(Buffer.concat(parts))}-${parts.length}`
}
