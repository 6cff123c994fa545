// PUT and GET of small, middling and large objects and LIST of many keys, against a server of its own:
// six drives, 4+2, durable, checksums verified. Client and server share the machine.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { S3Client } from '../test/support/s3.ts'
import { startServer } from '../test/support/server.ts'

/** One line of the result. */
export interface LoadRow {
  load: string
  clients: number
  operations: number
  seconds: number
  perSecond: number
  megabytesPerSecond?: number
}

interface Load {
  name: string
  clients: number
  operations: number
  bytes: number
}

const LOADS: readonly Load[] = [
  { name: '4 KiB', clients: 32, operations: 4000, bytes: 4 * 1024 },
  { name: '1 MiB', clients: 16, operations: 400, bytes: 1024 * 1024 },
  { name: '64 MiB', clients: 4, operations: 16, bytes: 64 * 1024 * 1024 },
]
const LISTED_KEYS = 100_000
const BUCKET = 'bench'

/** Runs all loads; `share` below 1 shortens them. */
export async function benchPutGetList(share = 1): Promise<LoadRow[]> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-bench-'))
  const directories = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
  const environment = { KINTSUGI_BUCKETS: BUCKET, KINTSUGI_LOG_LEVEL: 'error' }
  const server = await startServer({ directories, environment })
  const client = new S3Client(server.endpoint)
  try {
    const rows: LoadRow[] = []
    for (const load of LOADS) {
      const operations = Math.max(load.clients, Math.round(load.operations * share))
      rows.push(...(await putAndGet(client, { ...load, operations })))
    }
    rows.push(...(await listMany(client, Math.round(LISTED_KEYS * share))))
    return rows
  } finally {
    client.close()
    await server.stop()
    await rm(directory, { recursive: true })
  }
}

async function putAndGet(client: S3Client, load: Load): Promise<LoadRow[]> {
  const body = Buffer.alloc(load.bytes, 'kintsugi')
  const key = (index: number): string => `${load.name}/${index}`
  const put = await timed(`PUT ${load.name}`, load, async (index) => {
    expect200(await client.put(BUCKET, key(index), body))
  })
  const get = await timed(`GET ${load.name}`, load, async (index) => {
    const path = `/${BUCKET}/${encodeURIComponent(load.name)}/${index}`
    const stream = async (response: AsyncIterable<unknown>): Promise<void> => {
      for await (const _chunk of response);
    }
    expect200(await client.send({ method: 'GET', path, stream }))
  })
  return [put, get]
}

async function listMany(client: S3Client, keys: number): Promise<LoadRow[]> {
  const body = Buffer.from('x')
  const put = await timed('PUT 1 B', { clients: 64, operations: keys, bytes: 1 }, async (index) => {
    expect200(await client.put(BUCKET, `list/${String(index).padStart(8, '0')}`, body))
  })
  const listed = { clients: 1, operations: keys, bytes: 0 }
  const started = performance.now()
  const found = await client.listAll(BUCKET, 'list/')
  if (found.length !== keys) throw new Error(`${found.length} keys were listed, not ${keys}`)
  return [put, rowOf('LIST keys', listed, performance.now() - started)]
}

/** Every operation once, `clients` at a time. */
async function timed(
  name: string,
  load: Omit<Load, 'name'>,
  operation: (index: number) => Promise<void>,
): Promise<LoadRow> {
  let next = 0
  const started = performance.now()
  const work = async (): Promise<void> => {
    while (next < load.operations) {
      const index = next
      next += 1
      await operation(index)
    }
  }
  await Promise.all(Array.from({ length: load.clients }, work))
  return rowOf(name, load, performance.now() - started)
}

function rowOf(
  load: string,
  { clients, operations, bytes }: Omit<Load, 'name'>,
  ms: number,
): LoadRow {
  const seconds = ms / 1000
  const row: LoadRow = {
    load,
    clients,
    operations,
    seconds: Number(seconds.toFixed(3)),
    perSecond: Math.round(operations / seconds),
  }
  if (bytes >= 4096) row.megabytesPerSecond = Math.round((operations * bytes) / seconds / 1e6)
  console.log(
    `${load.padEnd(12)} ${String(clients).padStart(3)} clients ${String(row.perSecond).padStart(8)}/s` +
      (row.megabytesPerSecond === undefined
        ? ''
        : ` ${String(row.megabytesPerSecond).padStart(6)} MB/s`),
  )
  return row
}

function expect200({ status, body }: { status: number; body: Buffer }): void {
  if (status !== 200) throw new Error(`${status}: ${body.toString('utf8', 0, 300)}`)
}
