// kintsugi drive drain --re-encode, from six drives of 4+2 to four: the process is killed in the middle of it, and everything
// that a client can see of objects of all kinds is what it was before.
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { DriveList, InspectedObject } from '../../src/gateway/admin-api.ts'
import { ask, driveOf, run } from '../support/drives.ts'
import { loseDirectory } from '../support/lose-directory.ts'
import { S3Client, type S3Response } from '../support/s3.ts'
import { startServer, type TestServer } from '../support/server.ts'

const SSE = 'x-amz-server-side-encryption'
const CUSTOMER_KEY = createHash('sha256').update('a key of a client').digest()
const BY_CUSTOMER = {
  [`${SSE}-customer-algorithm`]: 'AES256',
  [`${SSE}-customer-key`]: CUSTOMER_KEY.toString('base64'),
  [`${SSE}-customer-key-md5`]: createHash('md5').update(CUSTOMER_KEY).digest('base64'),
}
const REDUCED = { 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }
const MIB = 1024 * 1024

/** What is asked for, and what came: all that tells whether it is the same. */
interface Remembered {
  key: string
  query: Record<string, string>
  headers: Record<string, string>
  seen: string
}

async function start(t: Test, drives: readonly number[]): Promise<TestServer> {
  const server = await startServer({
    cwd: t.testdirName,
    directories: drives.map((drive) => `drive${drive}`),
    options: ['--garbage-grace', '1', '--code', '4+2'],
    environment: { KINTSUGI_BUCKETS: 'bucket' },
  })
  t.teardown(() => server.kill())
  return server
}

/** Everything of an answer that does not differ from one request to the next. */
function summarise({ status, headers, body }: S3Response): string {
  const { date: _, connection: _c, 'keep-alive': _k, ...rest } = headers
  const lasting = Object.entries(rest).filter(([name]) => !/^x-amz-(request-id|id-2)$/.test(name))
  return JSON.stringify([status, lasting.sort(), createHash('sha256').update(body).digest('hex')])
}

/** A bucket with objects of every kind, and how they looked. */
class Contents {
  readonly #remembered: Remembered[] = []
  #client: S3Client

  constructor({ endpoint }: TestServer) {
    this.#client = new S3Client(endpoint)
  }

  /** The store was started anew. */
  reach({ endpoint }: TestServer): void {
    this.close()
    this.#client = new S3Client(endpoint)
  }

  close(): void {
    this.#client.close()
  }

  async send(method: string, key: string, rest: object = {}): Promise<S3Response> {
    const response = await this.#client.send({ method, path: `/bucket/${key}`, ...rest })
    if (response.status >= 300) throw new Error(`${method} ${key}: ${response.body}`)
    return response
  }

  async put(key: string, bytes: number, headers: Record<string, string> = {}): Promise<void> {
    await this.send('PUT', key, { body: randomBytes(bytes), headers })
  }

  /** The upload, begun, with these parts. */
  async upload(key: string, sizes: number[], headers: Record<string, string>) {
    const created = await this.send('POST', key, { query: { uploads: '' }, headers })
    const uploadId = /<UploadId>(.*)<\/UploadId>/.exec(created.body.toString())![1]!
    const parts: string[] = []
    for (const [index, bytes] of sizes.entries()) {
      const query = { partNumber: `${index + 1}`, uploadId }
      const keyHeaders = headers === BY_CUSTOMER ? BY_CUSTOMER : {}
      const sent = { query, body: randomBytes(bytes), headers: keyHeaders }
      const { etag } = (await this.send('PUT', key, sent)).headers
      parts.push(`<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
    }
    return { key, uploadId, parts }
  }

  async complete({ key, uploadId, parts }: { key: string; uploadId: string; parts: string[] }) {
    const list = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
    await this.send('POST', key, { query: { uploadId }, body: Buffer.from(list) })
  }

  async remember(
    key: string,
    headers: Record<string, string> = {},
    query: Record<string, string> = {},
  ): Promise<void> {
    const seen = summarise(await this.send('GET', key, { headers, query }))
    this.#remembered.push({ key, query, headers, seen })
  }

  /** What is not as it was. */
  async differences(): Promise<string[]> {
    const wrong: string[] = []
    for (const { key, query, headers, seen } of this.#remembered) {
      const found = await this.#client
        .send({ method: 'GET', path: `/bucket/${key}`, headers, query })
        .then(summarise, String)
      if (found !== seen) wrong.push(`${key}: ${found} instead of ${seen}`)
    }
    return wrong
  }

  /** Objects of every kind that rows tell apart. */
  async fill() {
    const plain: [string, number, Record<string, string>][] = [
      ['tiny', 700, { 'x-amz-meta-colour': 'blue' }],
      ['striped', 300_000, { 'x-amz-checksum-algorithm': 'SHA256' }],
      ['reduced', 400_000, REDUCED],
      ['reduced-tiny', 400, REDUCED],
      ['sealed', 900_000, { [`${SSE}`]: 'AES256' }],
      ['by-customer', 500_000, BY_CUSTOMER],
    ]
    for (const [key, bytes, headers] of plain) await this.put(key, bytes, headers)
    for (let number = 0; number < 14; number += 1) await this.put(`many${number}`, 1_200_000)
    await this.send('PUT', 'copy', { headers: { 'x-amz-copy-source': '/bucket/striped' } })
    await this.put('grown', 200_000)
    const more = { 'x-amz-write-offset-bytes': '200000' }
    await this.send('PUT', 'grown', { body: randomBytes(250_000), headers: more })
    await this.complete(await this.upload('parts', [5 * MIB, 300_000], {}))
    await this.complete(await this.upload('sealed-parts', [5 * MIB, 200_000], BY_CUSTOMER))
    const open = await this.upload('later', [5 * MIB, 170_000], { [`${SSE}`]: 'AES256' })
    await this.#fillVersions()
    for (const key of ['copy', 'grown', 'parts']) await this.remember(key)
    await this.remember('sealed-parts', BY_CUSTOMER)
    await this.remember('parts', {}, { partNumber: '2' })
    await this.remember('parts', { range: 'bytes=5242000-5243900' })
    for (const [key, , headers] of plain)
      await this.remember(key, headers === BY_CUSTOMER ? BY_CUSTOMER : {})
    for (let number = 0; number < 14; number += 1) await this.remember(`many${number}`)
    return open
  }

  async #fillVersions(): Promise<void> {
    const on = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
    await this.send('PUT', '', { query: { versioning: '' }, body: Buffer.from(on) })
    for (const bytes of [250_000, 350_000, 450_000]) {
      await this.put('versions', bytes)
      const { headers } = await this.send('GET', 'versions')
      await this.remember('versions', {}, { versionId: headers['x-amz-version-id']! })
    }
    await this.remember('', {}, { versions: '', prefix: 'versions' })
  }
}

async function moves(cwd: string, server: TestServer): Promise<DriveList['moving']> {
  const { stdout } = await ask(cwd, server, 'list', '--json')
  return (JSON.parse(stdout) as DriveList).moving
}

async function untilVacated(cwd: string, server: TestServer, drive: number): Promise<void> {
  while (!(await driveOf(cwd, server, drive)).isVacated) await sleep(300)
}

t.test('a store of 4+2 shrinks to four drives', { timeout: 600_000 }, async (t) => {
  const cwd = t.testdir()
  let server = await start(t, [1, 2, 3, 4, 5, 6])
  const contents = new Contents(server)
  const open = await contents.fill()
  const refused = await ask(cwd, server, 'drain', '6')
  t.match(refused, { code: 1, stderr: /--re-encode: .* again as 3\+2 then, .* 11 % more space/ })

  const drained = await ask(cwd, server, 'drain', '6', '--re-encode')
  t.match(drained, { code: 0, stdout: /New objects are of code 3\+2/ })
  while (((await moves(cwd, server))?.reEncodedBlobs ?? 0) < 5) await sleep(20)
  await server.kill()
  server = await start(t, [1, 2, 3, 4, 5, 6])
  contents.reach(server)
  t.match(server.log(), /has code 3\+2 since drives left: --code is not used/)
  t.same(await contents.differences(), [], 'in the middle of it')
  await contents.put('new', 600_000)
  await contents.put('striped-away', 300_000)
  await contents.send('DELETE', 'striped-away')
  await untilVacated(cwd, server, 6)
  t.match(await ask(cwd, server, 'remove', '6'), { code: 0 })

  // At once, and killed at once: what was decided is gone on with.
  t.match(await ask(cwd, server, 'drain', '5', '--re-encode'), { code: 0, stdout: /2\+2/ })
  await server.kill()
  await loseDirectory(join(cwd, 'drive6'))
  server = await start(t, [1, 2, 3, 4, 5])
  contents.reach(server)
  await untilVacated(cwd, server, 5)
  t.match(await ask(cwd, server, 'remove', '5'), { code: 0 })
  t.same(await contents.differences(), [])
  t.equal(await server.stop(), 0)
  await loseDirectory(join(cwd, 'drive5'))

  server = await start(t, [1, 2, 3, 4])
  contents.reach(server)
  t.same(await contents.differences(), [])
  const healed = await run(cwd, server, 'heal', '--wait', '--timeout', '60')
  t.match(healed, { code: 0, stdout: /A verified pass left nothing owed/ })
  await contents.complete(open)
  await contents.remember('later')
  for (const [key, code] of [
    ['striped', '2+2'],
    ['reduced', '3+1'],
    ['reduced-tiny', '1+1'],
    ['parts', '2+2'],
    ['later', '2+2'],
    ['new', '2+2'],
  ] as const) {
    const { stdout } = await run(cwd, server, 'inspect', `s3://bucket/${key}`, '--json')
    const { parts } = JSON.parse(stdout) as InspectedObject
    t.ok(
      parts.every((part) => part.code === code && part.health === 'whole'),
      `${key} is of ${code}`,
    )
  }
  t.match(await ask(cwd, server, 'drain', '4'), { code: 1, stderr: /as 1\+2 then, .* 50 % more/ })
  t.equal(await server.stop(), 0)

  // The parity is what it was: any two may go, and of the reduced class one.
  for (const drive of [1, 3]) await loseDirectory(join(cwd, `drive${drive}`))
  server = await start(t, [2, 4])
  contents.reach(server)
  const lost = await contents.differences()
  t.same(
    lost.filter((line) => !line.startsWith('reduced')),
    [],
  )
  contents.close()
  t.equal(await server.stop(), 0)
})
