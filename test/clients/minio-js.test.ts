// minio-js against a real store over http and https. install.sh puts it in .clients: it is not among our packages.
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { skipFor } from './commands.ts'
import { BUCKET, doJob, type JobClient, type Listed, md5 } from './job.ts'
import { MEBIBYTE } from './sample-files.ts'
import { SCHEMES, type Store, startStore, TEST_MS } from './store.ts'

const PART_BYTES = 5 * MEBIBYTE

/** What we use of it. */
interface Minio {
  makeBucket(bucket: string): Promise<void>
  listBuckets(): Promise<{ name: string }[]>
  fPutObject(bucket: string, key: string, file: string): Promise<{ etag: string }>
  getObject(bucket: string, key: string): Promise<Readable>
  getPartialObject(bucket: string, key: string, offset: number, length: number): Promise<Readable>
  listObjectsV2(bucket: string, prefix: string, recursive: boolean): AsyncIterable<Item>
  removeObjects(bucket: string, keys: string[]): Promise<unknown>
  removeBucket(bucket: string): Promise<void>
}

interface Item {
  name: string
  size: number
  etag: string
}

type MinioClass = new (options: Record<string, unknown>) => Minio

function load(): MinioClass | undefined {
  try {
    return createRequire(resolve('.clients/package.json'))('minio').Client
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

const Client = load()
const skip = skipFor(Client ? [] : ['minio-js'])
t.setTimeout(SCHEMES.length * TEST_MS)
for (const scheme of SCHEMES) {
  t.test(`minio-js over ${scheme}`, { timeout: TEST_MS, skip }, async (t) => {
    const store = await startStore(t, scheme)
    await doJob(t, jobOf(connect(Client!, store)), store.scratch)
  })
}

function connect(Class: MinioClass, { endpoint, environment, caFile }: Store): Minio {
  const { hostname, port, protocol } = new URL(endpoint)
  return new Class({
    endPoint: hostname,
    port: Number(port),
    useSSL: protocol === 'https:',
    accessKey: environment.AWS_ACCESS_KEY_ID,
    secretKey: environment.AWS_SECRET_ACCESS_KEY,
    partSize: PART_BYTES,
    ...(caFile ? { transportAgent: new Agent({ ca: readFileSync(caFile) }) } : {}),
  })
}

function jobOf(minio: Minio): JobClient {
  // Where it cuts a body depends on time, so the ETag of parts is what it was told at their end.
  let etagOfParts = ''
  return {
    makeBucket: () => minio.makeBucket(BUCKET),
    removeBucket: () => minio.removeBucket(BUCKET),
    async write(key, file) {
      const { etag } = await minio.fPutObject(BUCKET, key, file)
      if (/-[2-9]$/.test(etag)) etagOfParts = etag
    },
    remove: (keys) => minio.removeObjects(BUCKET, [...keys]),
    buckets: async () => (await minio.listBuckets()).map(({ name }) => name),
    read: async (key) => buffer(await minio.getObject(BUCKET, key)),
    readRange: async (key, first, count) =>
      buffer(await minio.getPartialObject(BUCKET, key, first, count)),
    async list(prefix) {
      const listed: Listed[] = []
      for await (const { name, size, etag } of minio.listObjectsV2(BUCKET, prefix, true)) {
        listed.push({ key: name, bytes: size, etag })
      }
      return listed
    },
    etagOf: (body) => (body.length < PART_BYTES ? md5(body) : etagOfParts),
  }
}
