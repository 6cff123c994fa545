// What lies on the drives of a store that encrypts, who has the keys, and that no log ever shows one.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startVault } from '../support/fake-vault.ts'
import { S3Client, type S3Response } from '../support/s3.ts'
import { startServer, type TestServer } from '../support/server.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/kintsugi.cjs', import.meta.url))
const SSE = 'x-amz-server-side-encryption'
const CUSTOMER_KEY = createHash('sha256').update('a key of a client').digest()
const BY_CUSTOMER = {
  [`${SSE}-customer-algorithm`]: 'AES256',
  [`${SSE}-customer-key`]: CUSTOMER_KEY.toString('base64'),
  [`${SSE}-customer-key-md5`]: createHash('md5').update(CUSTOMER_KEY).digest('base64'),
}
const KINDS: Record<string, Record<string, string>> = {
  'sse-s3': { [SSE]: 'AES256' },
  'sse-kms': { [SSE]: 'aws:kms', [`${SSE}-aws-kms-key-id`]: 'photos' },
  'sse-c': BY_CUSTOMER,
  plain: {},
}

/** A server that every test must end; its log has everything that logs may have. */
async function start(t: Test, options: string[] = [], environment = {}): Promise<TestServer> {
  const buckets = { KINTSUGI_BUCKETS: 'bucket', ...environment }
  const given = { cwd: t.testdirName, options: ['--log-level', 'debug', ...options] }
  const server = await startServer({ ...given, environment: buckets })
  t.teardown(() => server.kill())
  return server
}

/** `text` over and over. */
function fill(text: string, bytes: number): Buffer {
  return Buffer.alloc(bytes, `${text} `)
}

function keyHeaders(headers: Record<string, string>): Record<string, string> {
  return headers === BY_CUSTOMER ? BY_CUSTOMER : {}
}

/** An object of one part. */
async function putInParts(
  client: S3Client,
  key: string,
  body: Buffer,
  headers: Record<string, string>,
): Promise<void> {
  const path = `/bucket/${key}`
  const created = await client.send({ method: 'POST', path, query: { uploads: '' }, headers })
  const uploadId = /<UploadId>(.*)<\/UploadId>/.exec(created.body.toString())![1]!
  const query = { partNumber: '1', uploadId }
  const sent = { method: 'PUT', path, query, body, headers: keyHeaders(headers) }
  const { etag } = (await client.send(sent)).headers
  const part = `<Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part>`
  const list = Buffer.from(`<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`)
  const done = await client.send({ method: 'POST', path, query: { uploadId }, body: list })
  if (done.status !== 200) throw new Error(done.body.toString())
}

/** Every file of every drive. */
async function filesUnder(directory: string): Promise<{ path: string; bytes: Buffer }[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(path) })))
}

t.test('no byte on any drive shows what is encrypted', { timeout: 600_000 }, async (t) => {
  const cwd = t.testdir()
  const server = await start(t)
  const client = new S3Client(server.endpoint)
  t.teardown(() => client.close())
  const markers = new Map<string, string>()
  for (const [kind, headers] of Object.entries(KINDS)) {
    const markerOf = (form: string): string => {
      const marker = createHash('sha256').update(`${kind} ${form}`).digest('hex')
      markers.set(`${kind} ${form}`, marker)
      return marker
    }
    const small = fill(markerOf('small'), 1_000)
    const large = fill(markerOf('large'), 1_500_000)
    const part = fill(markerOf('part'), 400_000)
    t.equal((await client.put('bucket', `${kind}-small`, small, headers)).status, 200)
    t.equal((await client.put('bucket', `${kind}-large`, large, headers)).status, 200)
    await putInParts(client, `${kind}-parts`, part, headers)
    const read = (key: string) => client.get('bucket', key, keyHeaders(headers))
    t.ok((await read(`${kind}-small`)).body.equals(small))
    t.ok((await read(`${kind}-large`)).body.equals(large))
    t.ok((await read(`${kind}-parts`)).body.equals(part))
  }
  const stranger = new S3Client(server.endpoint, {
    accessKeyId: 'TESTKEY',
    secretAccessKey: 'wrong',
  })
  t.equal((await stranger.get('bucket', 'sse-c-small', BY_CUSTOMER)).status, 403)
  stranger.close()
  client.close()
  await server.stop()
  const files = await filesUnder(join(cwd, 'data'))
  t.ok(files.some(({ path }) => path.includes('drive6')) && files.length > 50, 'there are files')
  for (const [name, marker] of markers) {
    const found = files.filter(({ bytes }) => bytes.includes(marker)).length
    if (name.startsWith('plain')) t.ok(found > 0, `${name} is found in ${found} files`)
    else t.equal(found, 0, `${name} is found nowhere`)
  }
  const encoded = CUSTOMER_KEY.toString('base64')
  const kept = files.filter(({ bytes }) => bytes.includes(CUSTOMER_KEY) || bytes.includes(encoded))
  t.same(kept, [], 'nor is the key of the client')
  const own = await ownKey(cwd)
  t.notOk(server.log().includes(encoded), 'no log has the key of the client')
  t.notOk(server.log().includes(own), 'nor that of the store')
})

/** The key that the store made for itself, base64. */
async function ownKey(cwd: string): Promise<string> {
  const directory = join(cwd, 'data/drive1/coordinator')
  const [newest] = (await readdir(directory)).sort().reverse()
  const text = await readFile(join(directory, newest!), 'utf8')
  return /"wrappingKeys":\[\{"id":"store-[0-9a-f]{8}","key":"([^"]{44})"/.exec(text)![1]!
}

/** One request on a connection that does not stay: a server that stops waits for those. */
async function once(
  server: TestServer,
  send: (client: S3Client) => Promise<S3Response>,
): Promise<S3Response> {
  const client = new S3Client(server.endpoint)
  try {
    return await send(client)
  } finally {
    client.close()
  }
}

function newKey(path: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'new-key', path], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** The last key of a file, base64. */
async function lastKey(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim().split(/\s+/).at(-1)!
}

t.test(
  'a key file is taken up, rotated while the store runs, and needed',
  { timeout: 600_000 },
  async (t) => {
    const cwd = t.testdir()
    const keyFile = join(cwd, 'keys')
    const withFile = ['--encryption-key-file', keyFile]
    const text = fill('before', 200_000)
    const headers = { [SSE]: 'AES256' }

    const first = await start(t)
    const put = async (server: TestServer, key: string) =>
      (await once(server, (client) => client.put('bucket', key, text, headers))).status
    const get = (server: TestServer, key: string) =>
      once(server, (client) => client.get('bucket', key))
    t.equal(await put(first, 'own'), 200)
    await first.stop()

    const said = newKey(keyFile)
    t.notOk(said.includes(await lastKey(keyFile)), 'the key is not printed')
    const second = await start(t, withFile)
    t.ok((await get(second, 'own')).body.equals(text), 'what the key of the store wrapped')
    t.equal(await put(second, 'one'), 200)
    const one = await lastKey(keyFile)
    newKey(keyFile)
    const two = await lastKey(keyFile)
    while (!second.log().includes('the key file was read again')) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    t.equal(await put(second, 'two'), 200)
    for (const key of ['own', 'one', 'two']) t.ok((await get(second, key)).body.equals(text), key)
    await second.stop()
    for (const key of [one, two]) t.notOk(second.log().includes(key), 'keys are not logged')

    const keys = (await readFile(keyFile, 'utf8')).split('\n')
    await writeFile(keyFile, keys.filter((line) => !line.includes(two)).join('\n'))
    const third = await start(t, withFile)
    t.ok((await get(third, 'one')).body.equals(text))
    t.equal((await get(third, 'two')).status, 503, 'its key is gone: an error, and no bytes')
    await third.stop()

    const wrong = spawnSync(process.execPath, [PROGRAM, 'new-key'], { encoding: 'utf8' })
    t.match(wrong, { status: 2, stderr: /new-key --help/ }, 'new-key without a file')
    await rm(keyFile)
    const refused = await startServer({ cwd, options: withFile }).catch((error: unknown) => error)
    t.match(refused, { exitCode: 2 }, 'no file, no start')
  },
)

t.test('keys in Vault', { timeout: 600_000 }, async (t) => {
  t.testdir()
  const vault = await startVault()
  t.teardown(() => vault.close())
  const server = await start(t, ['--vault-address', vault.address], {
    KINTSUGI_VAULT_TOKEN: vault.token,
  })
  const client = new S3Client(server.endpoint)
  t.teardown(() => client.close())
  const text = fill('in Vault', 300_000)
  const headers = KINDS['sse-kms']!
  t.equal((await client.put('bucket', 'a', text, headers)).status, 200)
  vault.asked.length = 0
  for (const range of ['bytes=0-9', 'bytes=100-109', 'bytes=200000-200009']) {
    t.equal((await client.get('bucket', 'a', { range })).status, 206)
  }
  t.same(vault.asked, ['decrypt/photos'], 'asked once for many ranges')
  const unknown = { ...headers, [`${SSE}-aws-kms-key-id`]: 'nobody' }
  const refused = await client.put('bucket', 'b', text, unknown)
  t.equal(refused.status, 400)
  t.match(refused.body.toString(), '<Code>KMS.NotFoundException</Code>')
  await vault.close()
  const late = await client.put('bucket', 'b', text, headers)
  t.equal(late.status, 503)
  t.match(late.body.toString(), '<Code>ServiceUnavailable</Code>')
  t.equal((await client.put('bucket', 'c', text)).status, 200, 'what is not encrypted goes on')
  client.close()
  await server.stop()
  t.match(server.log(), /Vault does not answer/)
  t.notOk(server.log().includes(vault.token), 'the token is not logged')
})
