// The HTTP layer under attack: requests that two servers would cut differently, heads without end, clients that
// wait, stall or send too much (29, 45 to 51). Whatever comes, the next request is fine.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  collect,
  compose,
  elementOf,
  listed,
  openFiles,
  openSocket,
  put,
  readAnswers,
  talk,
  talkBytes,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/guarded`

t.test('http', { timeout: 90_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await put(wire, PATH, 'kept')
    await t.test('pitfall 29: smuggling', async (t) => smuggle(t, wire))
    await t.test('heads that are none', async (t) => malformedHeads(t, wire))
    await t.test('pitfall 49: heads without end', async (t) => longHeads(t, wire))
    await t.test('duplicated headers', async (t) => duplicates(t, wire))
    await t.test('pitfall 46: Expect: 100-continue and answers before the body', async (t) =>
      expectContinue(t, wire),
    )
    await t.test('requests one after the other', async (t) => pipelines(t, wire))
    await t.test('clients that stall hinder nobody', async (t) => stalled(t, wire))
    await t.test('pitfall 59: readers that leave free what they held', async (t) =>
      leavers(t, wire),
    )
    t.same(await listed(wire), ['guarded'])
    t.equal((await ask(wire, { path: PATH })).text, 'kept')
  })
})

/** A signed PUT as text, to be bent. */
function textOf(wire: Wire, wanted: Ask): string {
  return compose(wire, { method: 'PUT', path: PATH, ...wanted }).toString('latin1')
}

/** Sends bent bytes; what comes back must be one refusal, and nothing after it. */
async function refuse(
  t: Test,
  wire: Wire,
  name: string,
  text: string,
  statuses: readonly number[] = [400],
): Promise<Answer | undefined> {
  const bytes = Buffer.from(text, 'latin1')
  const answers = readAnswers(await talkBytes(wire, bytes, { end: true }), [])
  t.ok(answers.length <= 1, `${name}: at most one answer, not ${answers.length}`)
  const [answer] = answers
  if (answer !== undefined) t.ok(statuses.includes(answer.status), `${name}: ${answer.status}`)
  return answer
}

/** What an attacker would like to be taken for a request of its own. */
const HIDDEN = 'DELETE /wire/guarded HTTP/1.1\r\nhost: localhost\r\n\r\n'

async function smuggle(t: Test, wire: Wire): Promise<void> {
  const body = `0\r\n\r\n${HIDDEN}`
  const plain = textOf(wire, { body, keepAlive: true })
  const length = `content-length: ${body.length}\r\n`
  const bend = (replacement: string): string => plain.replace(length, replacement)
  const cases: [name: string, text: string][] = [
    ['TE and CL', bend(`${length}transfer-encoding: chunked\r\n`)],
    ['CL after TE', bend(`transfer-encoding: chunked\r\n${length}`)],
    ['two lengths', bend(`${length}content-length: 5\r\n`)],
    ['the same length twice', bend(length + length)],
    ['lengths in a list', bend('content-length: 5, 5\r\n')],
    ['signed length', bend('content-length: +5\r\n')],
    ['negative length', bend('content-length: -5\r\n')],
    ['length in hex', bend('content-length: 0x5\r\n')],
    ['huge length', bend('content-length: 99999999999999999999999\r\n')],
    ['space before the colon', bend('content-length : 5\r\n')],
    ['obs-fold', bend(`x-amz-meta-a: b\r\n c\r\n${length}`)],
    ['folded TE', bend(`transfer-encoding:\r\n chunked\r\n${length}`)],
    ['TE misspelt', bend(`transfer-encoding: xchunked\r\n${length}`)],
    ['TE in a list', bend(`transfer-encoding: gzip, chunked\r\n${length}`)],
    ['TE not last', bend('transfer-encoding: chunked, identity\r\n')],
    ['bare CR', bend(`x-a: b\rcontent-length: 5\r\n${length}`)],
    ['bare LF', bend(`x-a: b\ncontent-length: 5\r\n${length}`)],
    ['NUL in a value', bend(`x-a: b\0c\r\n${length}`)],
    ['NUL in a name', bend(`x-\0a: b\r\n${length}`)],
  ]
  for (const [name, text] of cases) await refuse(t, wire, name, text, [400, 403, 501])
  const chunked = 'transfer-encoding: chunked\r\n'
  for (const size of ['-1', '0x5', ' 5', '5 5', 'ffffffffffffffffff', '+5']) {
    const framing = { payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' } as const
    const headers = { 'x-amz-decoded-content-length': '5' }
    const bent = textOf(wire, {
      ...framing,
      headers,
      body: `${size}\r\nhello\r\n0\r\n\r\n`,
      length: false,
    })
    await refuse(t, wire, `chunk size ${size}`, bent.replace('\r\n\r\n', `\r\n${chunked}\r\n`))
  }
  t.same(await listed(wire), ['guarded'], 'nothing was smuggled in')
  t.equal((await ask(wire, { path: PATH })).text, 'kept')
}

async function malformedHeads(t: Test, wire: Wire): Promise<void> {
  const cases: [name: string, text: string][] = [
    ['no HTTP', 'hello\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/9', 'GET / HTTP/9.9\r\nhost: a\r\n\r\n'],
    ['unknown method', 'BREW / HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['space in the path', 'GET /a b HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['tunnel', 'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n'],
    ['header without a colon', 'GET / HTTP/1.1\r\nhost: a\r\nnonsense\r\n\r\n'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['cut in the head', 'GET / HTTP/1.1\r\nhos'],
    ['asterisk', 'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['relative path', 'GET wire/guarded HTTP/1.1\r\nhost: a\r\n\r\n'],
  ]
  for (const [name, text] of cases) {
    const answer = await refuse(t, wire, name, text, [400, 403, 405, 505])
    if (answer !== undefined && answer.body.length > 0) {
      t.ok(elementOf(answer, 'Code'), `${name}: an S3 error`)
      t.match(answer.headers.date, /GMT$/, `${name}: a date (52)`)
      t.equal(elementOf(answer, 'RequestId'), answer.headers['x-amz-request-id'], name)
    }
  }
  const old = await talkBytes(wire, Buffer.from('GET /wire HTTP/1.0\r\n\r\n'), { end: true })
  t.match(old.toString('latin1'), /^HTTP\/1\.1 403 .*<Code>AccessDenied</s, 'HTTP/1.0 is served')
  const upgrade = await ask(wire, {
    path: PATH,
    unsigned: [['upgrade', 'websocket']],
  })
  t.equal(upgrade.status, 200, 'an upgrade is ignored')
  for (const expect of ['the unexpected', '200', '']) {
    const odd = await ask(wire, { path: PATH, unsigned: [['expect', expect]] })
    t.equal(odd.status, 200, `an odd expectation: ${expect}`)
  }
}

async function longHeads(t: Test, wire: Wire): Promise<void> {
  const fine = await ask(wire, { path: PATH, headers: { 'x-long': 'a'.repeat(30_000) } })
  t.equal(fine.text, 'kept', '30 KiB are fine')
  const long: [name: string, ask: Ask][] = [
    ['one header', { headers: { 'x-long': 'a'.repeat(70_000) } }],
    ['the path', { path: `/${BUCKET}/${'a'.repeat(70_000)}` }],
    ['many headers', { headers: manyHeaders(9_000) }],
  ]
  for (const [name, wanted] of long) {
    const answer = await ask(wire, { path: PATH, ...wanted })
    wantError(t, answer, 400, 'RequestHeaderSectionTooLarge', { MaxSizeAllowed: '65536' }, name)
  }
  const many = await ask(wire, { path: PATH, headers: manyHeaders(3_000) })
  t.equal(many.text, 'kept', '3,000 headers are fine')
  const hidden = await ask(wire, {
    ...{ method: 'PUT', path: PATH, body: 'other' },
    unsigned: [...manyHeaders(3_000), ['x-amz-meta-a', 'b']],
  })
  wantError(t, hidden, 403, 'AccessDenied', { HeadersNotSigned: 'x-amz-meta-a' }, 'none is lost')
}

function manyHeaders(count: number): [string, string][] {
  return Array.from({ length: count }, (_, index) => [`x${index}`, ''])
}

async function duplicates(t: Test, wire: Wire): Promise<void> {
  const twoHosts = textOf(wire, { body: 'other' }).replace('\r\n', '\r\nhost: other.localhost\r\n')
  await refuse(t, wire, 'two hosts', twoHosts, [400, 403])
  const twice = (name: string, values: [string, string]): [string, string][] =>
    values.map((value) => [name, value])
  const ranges = twice('range', ['bytes=0-1', 'bytes=2-3'])
  t.equal((await ask(wire, { path: PATH, headers: ranges })).text, 'kept', 'two ranges are none')
  const hashes = await ask(wire, {
    ...{ method: 'PUT', path: PATH, body: 'other' },
    unsigned: [['x-amz-content-sha256', 'UNSIGNED-PAYLOAD']],
  })
  t.ok([400, 403].includes(hashes.status), `two payload hashes: ${hashes.status}`)
  const dates = await ask(wire, {
    ...{ method: 'PUT', path: PATH, body: 'other' },
    unsigned: [['x-amz-date', '20200101T000000Z']],
  })
  t.ok([400, 403].includes(dates.status), `two dates: ${dates.status}`)
  const keys = textOf(wire, { body: 'other' })
  const second = keys.replace(
    'authorization: ',
    'authorization: AWS4-HMAC-SHA256 x\r\nauthorization: ',
  )
  await refuse(t, wire, 'two signatures', second, [400, 403])
  const checksums = await ask(wire, {
    ...{ method: 'PUT', path: PATH, body: 'other' },
    headers: twice('x-amz-checksum-crc32', ['AAAAAA==', 'NhCmhg==']),
  })
  wantError(t, checksums, 400, 'InvalidRequest', {}, 'two checksums')
}

/** Writes a head that expects 100 and tells what comes first, then all that comes after the body. */
async function converse(
  wire: Wire,
  wanted: Ask,
  body: Buffer,
): Promise<{ first: string; all: Buffer }> {
  const head = compose(wire, {
    ...{ method: 'PUT', path: PATH, length: body.length },
    ...wanted,
    unsigned: [['expect', '100-continue']],
  })
  const socket = openSocket(wire)
  const closed = collect(socket)
  socket.write(head)
  const [part] = (await once(socket, 'data')) as [Buffer]
  const first = part.toString('latin1')
  if (first.startsWith('HTTP/1.1 100 ')) socket.write(body)
  else socket.end()
  return { first, all: await closed }
}

async function expectContinue(t: Test, wire: Wire): Promise<void> {
  const body = Buffer.alloc(100_000, 'kintsugi')
  type Case = [name: string, ask: Ask, status: number, code: string]
  const cases: Case[] = [
    ['no key', { signer: false }, 403, 'AccessDenied'],
    ['wrong signature', { signer: { secretAccessKey: 'x' } }, 403, 'SignatureDoesNotMatch'],
    ['no bucket', { path: '/no-such-bucket/k' }, 404, 'NoSuchBucket'],
    ['exists', { headers: { 'if-none-match': '*' } }, 412, 'PreconditionFailed'],
    ['another ETag', { headers: { 'if-match': 'abc' } }, 412, 'PreconditionFailed'],
    ['no object', { path: `/${BUCKET}/new`, headers: { 'if-match': 'abc' } }, 404, 'NoSuchKey'],
    ['no upload', { query: { partNumber: '1', uploadId: 'none' } }, 404, 'NoSuchUpload'],
    ['bad part number', { query: { partNumber: '0', uploadId: 'none' } }, 400, 'InvalidArgument'],
    ['not built', { headers: { 'x-amz-acl': 'public-read' } }, 501, 'NotImplemented'],
    ['too large', { length: 6 * 2 ** 30 }, 400, 'EntityTooLarge'],
    ['bad MD5', { headers: { 'content-md5': 'abc' } }, 400, 'InvalidDigest'],
    ['long key', { path: `/${BUCKET}/${'k'.repeat(1025)}` }, 400, 'KeyTooLongError'],
  ]
  for (const [name, wanted, status, code] of cases) {
    const { first, all } = await converse(wire, { ...wanted, keepAlive: true }, body)
    t.match(first, new RegExp(`^HTTP/1\\.1 ${status} `), `${name}: refused without 100`)
    const [answer] = readAnswers(all, [])
    wantError(t, answer!, status, code, {}, name)
    t.equal(answer!.headers.connection, 'close', `${name}: and the connection ends`)
  }
  const path = `/${BUCKET}/expected`
  const { first, all } = await converse(wire, { path }, body)
  t.match(first, /^HTTP\/1\.1 100 Continue\r\n\r\n/)
  t.equal(readAnswers(all, [])[0]?.status, 200)
  t.ok((await ask(wire, { path })).body.equals(body))
  await ask(wire, { method: 'DELETE', path })
}

async function pipelines(t: Test, wire: Wire): Promise<void> {
  const get = compose(wire, { path: PATH })
  const small = compose(wire, {
    ...{ method: 'PUT', path: PATH, body: HIDDEN, keepAlive: true },
    signer: { secretAccessKey: 'x' },
  })
  const answers = await talk(wire, Buffer.concat([small, small, get]))
  t.same(
    answers.map(({ status }) => status),
    [403, 403, 200],
    'small bodies that were refused are skipped',
  )
  t.equal(answers[2]?.text, 'kept')
  const large = compose(wire, {
    ...{ method: 'PUT', path: PATH, body: Buffer.alloc(300_000), keepAlive: true },
    signer: { secretAccessKey: 'x' },
  })
  const refused = await talk(wire, Buffer.concat([large, get]))
  t.same(
    refused.map(({ status }) => status),
    [403],
    'after a large body that was refused nothing is served',
  )
  t.equal(refused[0]?.headers.connection, 'close')
  const gets = await talk(
    wire,
    Buffer.concat([
      ...Array.from({ length: 50 }, () => compose(wire, { path: PATH, keepAlive: true })),
      get,
    ]),
  )
  t.equal(gets.filter(({ text }) => text === 'kept').length, 51, '51 requests at once')
  const heads = await talk(
    wire,
    Buffer.concat([
      compose(wire, { method: 'HEAD', path: `${PATH}-missing`, keepAlive: true }),
      get,
    ]),
    ['HEAD', 'GET'],
  )
  t.same(
    heads.map(({ status }) => status),
    [404, 200],
    'no body is left over after a HEAD (51)',
  )
}

async function stalled(t: Test, wire: Wire): Promise<void> {
  const before = openFiles(wire)
  const sockets: Socket[] = []
  for (let index = 0; index < 300; index += 1) {
    const socket = openSocket(wire)
    sockets.push(socket)
    // Some in the first line, some in the headers, some unsigned in a body that never comes.
    const cut = [
      'GET /wi',
      'GET / HTTP/1.1\r\nhost: a\r\nx-a: ',
      textOf(wire, { length: 10, signer: false }),
    ]
    socket.write(cut[index % cut.length]!)
  }
  await sleep(50)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      put(wire, `/${BUCKET}/beside-${index}`, Buffer.alloc(10_000)),
    ),
  )
  t.equal(answers.length, 20, 'others are served')
  for (const socket of sockets) socket.destroy()
  for (let index = 0; index < 20; index += 1) {
    await ask(wire, { method: 'DELETE', path: `/${BUCKET}/beside-${index}` })
  }
  await freed(t, wire, before)
}

async function leavers(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/large`
  await put(wire, path, Buffer.alloc(16 * 1024 * 1024, 'kintsugi'))
  const before = openFiles(wire)
  for (let index = 0; index < 30; index += 1) {
    const socket = openSocket(wire)
    socket.write(compose(wire, { path, headers: { range: 'bytes=0-' } }))
    await once(socket, 'data')
    socket.destroy()
  }
  const whole = await ask(wire, { path })
  t.equal(whole.body.length, 16 * 1024 * 1024)
  await ask(wire, { method: 'DELETE', path })
  await freed(t, wire, before)
}

/** Waits until the server has closed what it opened for others; the test's own time ends the wait. */
async function freed(t: Test, wire: Wire, before: number): Promise<void> {
  while (openFiles(wire) > before + 10) await sleep(20)
  t.pass('files and sockets are closed again')
}
