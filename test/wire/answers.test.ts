// What every answer has, whatever the operation: identifiers, dates, types, documents, and what HEAD leaves out.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  type Answer,
  ask,
  BUCKET,
  compose,
  elementOf,
  openSocket,
  put,
  readAnswers,
  type Wire,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/answered`
const MISSING = `/${BUCKET}/missing`

t.test('answers', { timeout: 90_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 47: bodies of any type', async (t) => anyType(t, wire))
    await t.test('pitfall 50: headers are bytes', async (t) => headerBytes(t, wire))
    await t.test('pitfall 51: HEAD is GET without the body', async (t) => heads(t, wire))
    await t.test('pitfall 52: every answer can be found again', async (t) => ids(t, wire))
    await t.test('pitfall 53: types come back as they came', async (t) => types(t, wire))
    await t.test('pitfall 54: dates', async (t) => dates(t, wire))
    await t.test('pitfall 55: nothing is compressed', async (t) => plainBytes(t, wire))
    await t.test('pitfall 56: documents', async (t) => documents(t, wire))
    await t.test('pitfall 57: 204 says nothing', async (t) => noContent(t, wire))
    await t.test('pitfall 48: a connection outlives an idle while', async (t) => outlive(t, wire))
  })
})

// Node gives an idle connection up after 5 s; pools of clients keep theirs for longer.
async function outlive(t: Test, wire: Wire): Promise<void> {
  const socket = openSocket(wire)
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  const request = compose(wire, { path: `/${BUCKET}`, keepAlive: true })
  socket.write(request)
  await sleep(7_000)
  t.notOk(socket.destroyed || socket.readableEnded, 'still open')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.once('end', () => socket.end())
  socket.write(compose(wire, { path: `/${BUCKET}` }))
  await closed
  const answers = readAnswers(Buffer.concat(parts), ['GET', 'GET'])
  t.same(
    answers.map(({ status }) => status),
    [200, 200],
  )
}

async function anyType(t: Test, wire: Wire): Promise<void> {
  const types = ['application/x-www-form-urlencoded', 'application/json', 'nonsense', 'text/html']
  for (const type of types) {
    await put(wire, PATH, '{"a=1', { 'content-type': type })
    const answer = await ask(wire, { path: PATH })
    t.equal(answer.text, '{"a=1')
    t.equal(answer.headers['content-type'], type)
  }
}

async function headerBytes(t: Test, wire: Wire): Promise<void> {
  const utf8 = Buffer.from('inline; filename="é.txt"').toString('latin1')
  await put(wire, PATH, 'x', { 'content-disposition': utf8 })
  t.equal((await ask(wire, { path: PATH })).headers['content-disposition'], utf8)
}

async function heads(t: Test, wire: Wire): Promise<void> {
  const stored = await put(wire, PATH, 'twelve bytes', { 'x-amz-meta-a': '1' })
  const etag = stored.headers.etag ?? ''
  const cases: [
    status: number,
    path: string,
    headers: Record<string, string>,
    anonymous: boolean,
  ][] = [
    [200, PATH, {}, false],
    [206, PATH, { range: 'bytes=2-4' }, false],
    [304, PATH, { 'if-none-match': etag }, false],
    [403, PATH, {}, true],
    [404, MISSING, {}, false],
    [412, PATH, { 'if-match': '"0"' }, false],
    [416, PATH, { range: 'bytes=99-' }, false],
  ]
  for (const [status, path, headers, anonymous] of cases) {
    const wanted = { path, headers, ...(anonymous ? { signer: false as const } : {}) }
    const get = await ask(wire, wanted)
    const head = await ask(wire, { ...wanted, method: 'HEAD' })
    t.equal(head.status, status)
    t.equal(get.status, status)
    t.equal(head.body.length, 0, `${status} has no body`)
    if (status < 300) t.same(described(head), described(get), `${status}: the same headers`)
  }
}

/** Headers but for those that differ from answer to answer, or by the process that answers. */
function described({ headers }: Answer): Record<string, string> {
  const { date: _, 'x-amz-request-id': __, 'x-amz-id-2': ___, ...rest } = headers
  return rest
}

async function ids(t: Test, wire: Wire): Promise<void> {
  for (const path of [PATH, MISSING, '/no-such-bucket', '/']) {
    const answer = await ask(wire, { path })
    const { headers } = answer
    for (const name of ['x-amz-request-id', 'x-amz-id-2', 'date', 'server'])
      t.ok(headers[name], name)
    if (answer.status < 400) continue
    t.equal(elementOf(answer, 'RequestId'), headers['x-amz-request-id'])
    t.equal(elementOf(answer, 'HostId'), headers['x-amz-id-2'])
  }
}

async function types(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH, 'x')
  t.equal((await ask(wire, { path: PATH })).headers['content-type'], 'binary/octet-stream')
  await put(wire, PATH, 'x', { 'content-type': 'text/plain' })
  t.equal((await ask(wire, { path: PATH })).headers['content-type'], 'text/plain', 'no charset')
}

async function dates(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH, 'x')
  const { headers } = await ask(wire, { path: PATH })
  const modified = headers['last-modified'] ?? ''
  t.equal(new Date(modified).toUTCString(), modified)
  const listed = await ask(wire, { path: `/${BUCKET}`, query: { prefix: 'answered' } })
  const time = elementOf(listed, 'LastModified') ?? ''
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
  t.equal(Date.parse(time), Date.parse(modified), 'the same whole second')
  const unchanged = await ask(wire, { path: PATH, headers: { 'if-modified-since': modified } })
  t.equal(unchanged.status, 304)
}

async function plainBytes(t: Test, wire: Wire): Promise<void> {
  const text = 'a'.repeat(10_000)
  await put(wire, PATH, text, { 'content-type': 'text/plain' })
  const answer = await ask(wire, { path: PATH, headers: { 'accept-encoding': 'gzip, br' } })
  t.equal(answer.text, text)
  t.equal(answer.headers['content-encoding'], undefined)
  t.equal(answer.headers['accept-ranges'], 'bytes')
}

async function documents(t: Test, wire: Wire): Promise<void> {
  const refused = await ask(wire, { path: MISSING })
  t.match(refused.text, /^<\?xml version="1.0" encoding="UTF-8"\?>\s*<Error><Code>/)
  t.equal(refused.headers['content-type'], 'application/xml')
  const listed = await ask(wire, { path: `/${BUCKET}` })
  t.match(
    listed.text,
    /^<\?xml version="1.0" encoding="UTF-8"\?>\s*<ListBucketResult xmlns="http:\/\/s3.amazonaws.com\/doc\/2006-03-01\/">/,
  )
}

async function noContent(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH, 'x')
  const upload = await ask(wire, { method: 'POST', path: PATH, query: { uploads: '' } })
  const uploadId = elementOf(upload, 'UploadId') ?? ''
  await ask(wire, { method: 'PUT', path: '/soon-gone' })
  for (const wanted of [
    { path: PATH, query: { uploadId } },
    { path: PATH },
    { path: '/soon-gone', query: { policy: '' } },
    { path: '/soon-gone' },
  ]) {
    const { status, body } = await ask(wire, { method: 'DELETE', ...wanted })
    t.same([status, body.length], [204, 0], wanted.path)
  }
}
