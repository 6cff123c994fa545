// 64 parallel PUTs and 64 parallel slow GETs of 64 MiB, together: resident memory stays under 800 MiB,
// and the slow readers do not starve the writers.
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import { startServer } from '../support/server.ts'

const OBJECT_BYTES = 64 * 1024 * 1024
const PARALLEL = 64
const LIMIT_MIB = 800
const CHUNK = new Seeded(7).bytes(1024 * 1024)

t.test(
  'memory is bounded under 64 writers and 64 slow readers',
  { timeout: 900_000 },
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'kintsugi-memory-'))
    const directories = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
    const environment = { KINTSUGI_BUCKETS: 'bucket', KINTSUGI_LOG_LEVEL: 'error' }
    const server = await startServer({ directories, environment })
    const client = new S3Client(server.endpoint)
    t.equal(await putLarge(client, 'seen'), 200)
    const watching = new AbortController()
    const peak = watchMemory(server.serverPid(), watching.signal)

    let writersDone = false
    const wantedHash = hashOfObject()
    const readers = Array.from({ length: PARALLEL }, () => readSlowly(client, () => writersDone))
    const writers = Array.from({ length: PARALLEL }, (_, index) => putLarge(client, `w${index}`))
    const written = await Promise.all(writers)
    writersDone = true
    t.ok(
      written.every((status) => status === 200),
      'every PUT succeeded while readers were slow',
    )
    const read = await Promise.all(readers)
    t.ok(
      read.every((hash) => hash === wantedHash),
      'every slow GET is whole',
    )

    watching.abort()
    const peakMiB = await peak
    t.comment(`peak resident memory: ${peakMiB} MiB`)
    t.ok(peakMiB < LIMIT_MIB, `${peakMiB} MiB is under ${LIMIT_MIB} MiB`)
    client.close()
    t.equal(await server.stop(), 0)
    await rm(directory, { recursive: true })
  },
)

async function putLarge(client: S3Client, key: string): Promise<number> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < OBJECT_BYTES; sent += CHUNK.length) yield CHUNK
  }
  const headers = { 'content-length': String(OBJECT_BYTES) }
  const { status } = await client.send({
    method: 'PUT',
    path: `/bucket/${key}`,
    headers,
    body: chunks(),
  })
  return status
}

/** Reads a little at a time until the writers are done, then the rest at once. */
async function readSlowly(client: S3Client, hurry: () => boolean): Promise<string> {
  const hash = createHash('sha1')
  const stream = async (response: IncomingMessage): Promise<void> => {
    for await (const chunk of response) {
      hash.update(chunk as Buffer)
      if (!hurry()) await sleep(100)
    }
  }
  await client.send({ method: 'GET', path: '/bucket/seen', stream })
  return hash.digest('hex')
}

function hashOfObject(): string {
  const hash = createHash('sha1')
  for (let sent = 0; sent < OBJECT_BYTES; sent += CHUNK.length) hash.update(CHUNK)
  return hash.digest('hex')
}

/** The highest resident memory of a process, in MiB. */
async function watchMemory(pid: number, signal: AbortSignal): Promise<number> {
  let peak = 0
  while (!signal.aborted) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    peak = Math.max(peak, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
    await sleep(100)
  }
  return Math.round(peak)
}
