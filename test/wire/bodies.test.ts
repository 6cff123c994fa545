// Bodies that are not what they claim to be: the S3 error for each, nothing stored, the next request is fine.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { crcOf, HELLO, PATH, RIGHT, refuseAll, WRONG_CRC32 } from './framed-bodies.ts'
import { EMPTY_SHA256, presign, sha256Hex } from './signing.ts'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  collect,
  compose,
  composeHead,
  elementOf,
  listed,
  openFiles,
  openSocket,
  put,
  readAnswers,
  talk,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

t.test('bodies', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 17: x-amz-content-sha256', async (t) => hashes(t, wire))
    await t.test('pitfall 29: lengths that are missing or do not hold', async (t) => {
      await lengths(t, wire)
    })
    await t.test('pitfall 29c: presigned bodies need no checksum', async (t) => presigned(t, wire))
    await t.test('pitfall 29c: Expect with a body', async (t) => expects(t, wire))
    await t.test('pitfall 41: an object of nothing, and a large one', async (t) => sizes(t, wire))
    await t.test('pitfall 41: bodies where none is wanted', async (t) => unwanted(t, wire))
    await t.test('pitfall 42: clients that vanish leave nothing', async (t) => vanish(t, wire))
    await t.test('pitfall 43: one PUT has at most 5 GiB', async (t) => tooLarge(t, wire))
    await t.test('pitfall 44: documents have a limit', async (t) => documents(t, wire))
  })
})

async function hashes(t: Test, wire: Wire): Promise<void> {
  await refuseAll(t, wire, [
    {
      name: 'wrong x-amz-content-sha256',
      ask: { body: HELLO, payload: EMPTY_SHA256 },
      code: 'XAmzContentSHA256Mismatch',
      elements: {
        ClientComputedContentSHA256: EMPTY_SHA256,
        S3ComputedContentSHA256: sha256Hex('hello'),
      },
    },
    {
      name: 'x-amz-content-sha256 is none',
      ask: { body: HELLO, payload: 'nonsense' },
      code: 'InvalidArgument',
      elements: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: 'nonsense' },
    },
  ])
}

async function lengths(t: Test, wire: Wire): Promise<void> {
  await refuseAll(t, wire, [
    { name: 'cut short', ask: { body: HELLO, length: 10 }, code: 'IncompleteBody', end: true },
    { name: 'no length (29)', ask: {}, status: 411, code: 'MissingContentLength' },
    {
      name: 'TE without framing (29)',
      ask: {
        headers: { 'transfer-encoding': 'chunked' },
        body: '5\r\nhello\r\n0\r\n\r\n',
        length: false,
      },
      status: 501,
      code: 'NotImplemented',
      elements: { Header: 'Transfer-Encoding' },
    },
  ])
}

async function presigned(t: Test, wire: Wire): Promise<void> {
  const headers: [string, string][] = [['host', wire.host]]
  const sent = [...headers, ['content-length', '5'], ['connection', 'close']] as [string, string][]
  const query = presign({ method: 'PUT', path: PATH, headers }, { payloadHash: 'UNSIGNED-PAYLOAD' })
  const head = composeHead(`PUT ${PATH}?${query} HTTP/1.1`, sent)
  const [answer] = await talk(wire, Buffer.concat([head, HELLO]))
  t.equal(answer?.status, 200)
  const wrong: [string, string] = ['x-amz-checksum-crc32', WRONG_CRC32]
  const claims = { ...Object.fromEntries([wrong]), 'x-amz-sdk-checksum-algorithm': 'CRC32' }
  const putBy = async (query: string, more: [string, string][] = []) => {
    const head = composeHead(`PUT ${PATH}?${query} HTTP/1.1`, [...sent, ...more])
    return (await talk(wire, Buffer.concat([head, HELLO])))[0] as Answer
  }
  for (const query of [claims, { 'x-amz-sdk-checksum-algorithm': 'CRC32' }]) {
    const passed = await putBy(presign({ method: 'PUT', path: PATH, headers, query }))
    t.equal(passed.status, 200, 'a checksum as a parameter is not heard')
    t.ok(passed.headers['x-amz-checksum-crc64nvme'])
  }
  const signed = presign({ method: 'PUT', path: PATH, headers: [...headers, wrong] })
  wantError(t, await putBy(signed, [wrong]), 400, 'BadDigest', {}, 'checksum as a header')
  t.equal((await ask(wire, { path: PATH })).text, 'hello')
  await ask(wire, { method: 'DELETE', path: PATH })
}

async function expects(t: Test, wire: Wire): Promise<void> {
  const bytes = compose(wire, {
    ...{ method: 'PUT', path: PATH, body: HELLO },
    unsigned: [['expect', '100-continue']],
  })
  const socket = openSocket(wire)
  const closed = collect(socket)
  socket.write(bytes.subarray(0, bytes.length - HELLO.length))
  const [first] = (await once(socket, 'data')) as [Buffer]
  t.match(first.toString('latin1'), /^HTTP\/1\.1 100 Continue\r\n/)
  socket.write(HELLO)
  const [answer] = readAnswers(await closed, ['PUT'])
  t.equal(answer?.status, 200, answer?.text ?? 'no answer')
}

async function sizes(t: Test, wire: Wire): Promise<void> {
  const empty = await put(wire, PATH, '')
  t.equal(empty.headers.etag, '"d41d8cd98f00b204e9800998ecf8427e"')
  const large = Buffer.alloc(3_000_001, 'kintsugi')
  const answer = await put(wire, PATH, large, { 'x-amz-checksum-crc32': crcOf(large) })
  t.equal(answer.headers['x-amz-checksum-crc32'], crcOf(large), 'is returned (40)')
  t.equal(answer.headers['x-amz-checksum-type'], 'FULL_OBJECT')
  const got = await ask(wire, { path: PATH, headers: { 'x-amz-checksum-mode': 'ENABLED' } })
  t.ok(got.body.equals(large))
  t.equal(got.headers['x-amz-checksum-crc32'], crcOf(large))
  t.notOk(
    'x-amz-checksum-crc32' in (await ask(wire, { path: PATH })).headers,
    'only when asked (39)',
  )
  const plain = await put(wire, PATH)
  t.equal(plain.headers['x-amz-checksum-crc64nvme'], RIGHT.crc64nvme, 'the default (34)')
  await ask(wire, { method: 'DELETE', path: PATH })
}

async function unwanted(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH)
  const refused = await ask(wire, { method: 'DELETE', path: PATH, body: HELLO })
  const Message = 'This request does not support content'
  wantError(t, refused, 400, 'UnexpectedContent', { Message }, 'DELETE')
  const empty = await ask(wire, { method: 'DELETE', path: `/${BUCKET}/none`, body: '' })
  t.equal(empty.status, 204, 'a length of 0 is no body')
  await passedOver(t, wire)
  const head = await ask(wire, { method: 'HEAD', path: PATH, body: HELLO })
  t.equal(head.status, 400)
  const query = { uploads: '' }
  const created = await ask(wire, { method: 'POST', path: PATH, query })
  const uploadId = elementOf(created, 'UploadId')!
  for (const body of ['', ' '])
    wantError(
      t,
      await ask(wire, { method: 'POST', path: PATH, query: { uploadId }, body }),
      400,
      'MalformedXML',
      {},
      'Complete without a document',
    )
}

/** A small body of a GET is read and forgotten, and the connection goes on. */
async function passedOver(t: Test, wire: Wire): Promise<void> {
  const asks: Ask[] = [
    { path: PATH, body: HELLO, keepAlive: true },
    { path: PATH, body: Buffer.alloc(65_536, 'x'), keepAlive: true },
    { path: `/${BUCKET}`, body: '<none/>', keepAlive: true },
    { path: PATH },
  ]
  const bytes = Buffer.concat(asks.map((wanted) => compose(wire, wanted)))
  const [first, second, third, last] = await talk(wire, bytes)
  for (const answer of [first, second, last]) t.equal(answer?.text, 'hello')
  t.equal(third?.status, 200, 'a list')
  const large = await ask(wire, { path: PATH, body: Buffer.alloc(65_537) })
  wantError(t, large, 400, 'UnexpectedContent', {}, 'a large body of a GET')
  const headers = { 'transfer-encoding': 'chunked' }
  const unknown = await ask(wire, { path: PATH, headers, body: '0\r\n\r\n', length: false })
  wantError(t, unknown, 400, 'UnexpectedContent', {}, 'one of unknown length')
}

async function vanish(t: Test, wire: Wire): Promise<void> {
  await ask(wire, { method: 'DELETE', path: PATH })
  const filesBefore = openFiles(wire)
  for (let count = 0; count < 20; count += 1) {
    const body = Buffer.alloc(200_000)
    await ask(wire, { method: 'PUT', path: PATH, body, length: 10_000_000 }, { end: true }).catch(
      () => undefined, // The connection may be closed without an answer.
    )
  }
  t.same(await listed(wire), [])
  // What they had begun is taken away behind them, a moment later.
  for (let tries = 0; tries < 500 && openFiles(wire) >= filesBefore + 20; tries += 1)
    await sleep(20)
  t.ok(openFiles(wire) < filesBefore + 20, `open files ${filesBefore}, now ${openFiles(wire)}`)
  t.equal(elementOf(await ask(wire, { path: PATH }), 'Code'), 'NoSuchKey')
}

async function tooLarge(t: Test, wire: Wire): Promise<void> {
  await refuseAll(t, wire, [
    {
      name: 'over 5 GiB',
      ask: { body: HELLO, length: 5 * 2 ** 30 + 1 },
      code: 'EntityTooLarge',
      elements: { ProposedSize: String(5 * 2 ** 30 + 1), MaxSizeAllowed: String(5 * 2 ** 30) },
    },
  ])
}

async function documents(t: Test, wire: Wire): Promise<void> {
  const deletion = { method: 'POST', path: `/${BUCKET}`, query: { delete: '' } }
  const completion = { method: 'POST', path: PATH, query: { uploadId: '0'.repeat(32) } }
  const limits: [target: Ask, bytes: number][] = [
    [deletion, 2 * 1024 * 1024],
    [completion, 4 * 1024 * 1024],
  ]
  for (const [target, bytes] of limits) {
    const body = Buffer.alloc(bytes + 1, ' ')
    const headers = { 'content-md5': createHash('md5').update(body).digest('base64') }
    const answer = await ask(wire, { ...target, body, headers })
    const elements = { MaxMessageLengthBytes: String(bytes) }
    wantError(t, answer, 400, 'MaxMessageLengthExceeded', elements)
  }
  const entities =
    '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' +
    '<Delete><Object><Key>&b;</Key></Object></Delete>'
  const headers = { 'content-md5': createHash('md5').update(entities).digest('base64') }
  wantError(t, await ask(wire, { ...deletion, body: entities, headers }), 400, 'MalformedXML')
}
