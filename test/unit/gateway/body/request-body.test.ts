// The body that an operation reads: lengths, digests, trailers, and everything a client may claim wrongly.
import { createHash } from 'node:crypto'
import t from 'tap'
import { digestOf, prepareDigests } from '../../../../src/digest/digest.ts'
import type { Payload } from '../../../../src/gateway/auth/payload.ts'
import { storedEncoding } from '../../../../src/gateway/body/body-claims.ts'
import { requestBody } from '../../../../src/gateway/body/request-body.ts'
import type { RequestBody } from '../../../../src/gateway/call.ts'
import type { OperationName } from '../../../../src/gateway/operation-names.ts'
import { CHECKSUM_ALGORITHMS } from '../../../../src/objects/object-store.ts'

t.before(prepareDigests)

interface Given {
  method?: string
  operation?: OperationName
  headers?: Record<string, string>
  payload?: Payload
  /** What comes off the socket, in one piece each. */
  wire?: string | readonly string[]
}

const CHUNKED: Payload = { kind: 'chunked', seed: undefined, trailers: true }

function bodyOf(given: Given, onRead = () => {}): RequestBody {
  const { method = 'PUT', operation = 'PutObject', payload = { kind: 'unsigned' } } = given
  const wire = [given.wire ?? []].flat()
  async function* read(): AsyncGenerator<Uint8Array> {
    onRead()
    for (const part of wire) yield Buffer.from(part)
  }
  const length = String(Buffer.byteLength(wire.join('')))
  const headers = given.headers ?? { 'content-length': length }
  return requestBody({ method, operation, payload, headers, strict: false }, read)
}

/** Reads everything: the text and the digests. */
async function readAll(given: Given, algorithm: 'CRC64NVME' | 'CRC32' = 'CRC64NVME') {
  const body = bodyOf(given).open(algorithm)
  const parts: Uint8Array[] = []
  for await (const chunk of body.chunks) parts.push(chunk)
  return { text: Buffer.concat(parts).toString(), bytes: body.bytes, ...body.finish() }
}

const md5 = (text: string) => createHash('md5').update(text).digest()
const base64 = (name: Parameters<typeof digestOf>[0], text: string) =>
  Buffer.from(digestOf(name, Buffer.from(text))).toString('base64')
const framed = (text: string, trailer = '') =>
  `${text.length.toString(16)}\r\n${text}\r\n0\r\n${trailer}${trailer && '\r\n'}\r\n`
const framedHeaders = (bytes: number, trailer?: string) => ({
  'transfer-encoding': 'chunked',
  'content-encoding': 'aws-chunked',
  'x-amz-decoded-content-length': String(bytes),
  ...(trailer === undefined ? {} : { 'x-amz-trailer': trailer }),
})

t.test('a plain body gives its digests', async (t) => {
  t.same(await readAll({ wire: ['he', 'llo'] }), {
    text: 'hello',
    bytes: 5,
    md5: md5('hello').toString('hex'),
    checksum: { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value: base64('CRC64NVME', 'hello') },
  })
  t.match(await readAll({ wire: '' }, 'CRC32'), { bytes: 0, checksum: { value: 'AAAAAA==' } })
})

t.test('claims that hold', async (t) => {
  const length = { 'content-length': '5' }
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = base64(algorithm, 'hello')
    const name = `x-amz-checksum-${algorithm.toLowerCase()}`
    const headers = { ...length, [name]: value, 'x-amz-sdk-checksum-algorithm': algorithm }
    t.match(
      await readAll({ wire: 'hello', headers }),
      { checksum: { algorithm, value } },
      algorithm,
    )
    const wire = framed('hello', `${name}:${value}`)
    const given = { wire, headers: framedHeaders(5, name), payload: CHUNKED }
    t.match(
      await readAll(given),
      { text: 'hello', checksum: { algorithm, value } },
      `${algorithm} trailer`,
    )
  }
  const sha256 = Buffer.from(digestOf('SHA256', Buffer.from('hello'))).toString('hex')
  const headers = { ...length, 'content-md5': md5('hello').toString('base64') }
  t.match(await readAll({ wire: 'hello', headers, payload: { kind: 'hashed', sha256 } }), {
    checksum: { algorithm: 'CRC64NVME' },
  })
  const both = { ...length, 'x-amz-checksum-sha256': base64('SHA256', 'hello') }
  t.match(await readAll({ wire: 'hello', headers: both, payload: { kind: 'hashed', sha256 } }), {
    checksum: { algorithm: 'SHA256' },
  })
})

t.test('a checksum may be wanted beside the one that was sent', async (t) => {
  const own = { algorithm: 'CRC64NVME', value: base64('CRC64NVME', 'hello') }
  const read = async (given: Given) => {
    const body = bodyOf(given).open('CRC64NVME', { always: true })
    for await (const _ of body.chunks) t.equal(body.claimed, undefined, 'not before it is compared')
    const { checksum } = body.finish()
    return { checksum, claimed: body.claimed }
  }
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = base64(algorithm, 'hello')
    const name = `x-amz-checksum-${algorithm.toLowerCase()}`
    const claimed = { algorithm, type: 'FULL_OBJECT', value }
    const headers = { 'content-length': '5', [name]: value }
    t.match(await read({ wire: 'hello', headers }), { checksum: own, claimed }, algorithm)
    const wire = framed('hello', `${name}:${value}`)
    const trailing = { wire, headers: framedHeaders(5, name), payload: CHUNKED }
    t.match(await read(trailing), { checksum: own, claimed }, `${algorithm} trailer`)
    const wrong = { ...headers, [name]: base64(algorithm, 'other') }
    await t.rejects(read({ wire: 'hello', headers: wrong }), {
      code: 'BadDigest',
      message: `The ${algorithm} you specified did not match the calculated checksum.`,
      elements: { CalculatedDigest: value },
    })
  }
  t.match(await read({ wire: 'hello' }), { checksum: own, claimed: undefined })
})

t.test('claims that do not hold are known at finish()', async (t) => {
  const length = { 'content-length': '5' }
  const wrong: [what: string, given: Given, wanted: { code: string }][] = [
    [
      'MD5',
      { headers: { ...length, 'content-md5': md5('other').toString('base64') } },
      {
        code: 'BadDigest',
        elements: {
          ExpectedDigest: md5('other').toString('hex'),
          CalculatedDigest: md5('hello').toString('base64'),
        },
      } as { code: string },
    ],
    [
      'CRC32',
      { headers: { ...length, 'x-amz-checksum-crc32': 'AAAAAA==' } },
      { code: 'BadDigest' },
    ],
    [
      'SHA-256',
      { payload: { kind: 'hashed', sha256: '0'.repeat(64) } },
      { code: 'XAmzContentSHA256Mismatch' },
    ],
    [
      'a trailer',
      {
        ...{ wire: framed('hello', 'x-amz-checksum-crc32:AAAAAA=='), payload: CHUNKED },
        headers: framedHeaders(5, 'x-amz-checksum-crc32'),
      },
      { code: 'BadDigest' },
    ],
    [
      'a trailer that is missing',
      {
        ...{ wire: framed('hello'), payload: CHUNKED },
        headers: framedHeaders(5, 'x-amz-checksum-crc32'),
      },
      { code: 'MalformedTrailerError' },
    ],
    [
      'a trailer that was not announced',
      {
        ...{ wire: framed('hello', 'x-amz-checksum-crc32:AAAAAA=='), payload: CHUNKED },
        headers: framedHeaders(5),
      },
      { code: 'MalformedTrailerError' },
    ],
    [
      'a trailer that is no digest',
      {
        ...{ wire: framed('hello', 'x-amz-checksum-crc32:!'), payload: CHUNKED },
        headers: framedHeaders(5, 'x-amz-checksum-crc32'),
      },
      { code: 'InvalidRequest' },
    ],
    ['too few bytes', { wire: 'hell', headers: length }, { code: 'IncompleteBody' }],
    ['too many bytes', { wire: 'hello!', headers: length }, { code: 'IncompleteBody' }],
    [
      'framed, too few',
      { wire: framed('hell'), payload: CHUNKED, headers: framedHeaders(5) },
      { code: 'IncompleteBody' },
    ],
  ]
  for (const [what, given, wanted] of wrong) {
    await t.rejects(readAll({ wire: 'hello', ...given }), wanted, what)
  }
})

t.test('finish() before the end of the body is refused', async (t) => {
  const body = bodyOf({ wire: 'hello' }).open('CRC32')
  t.throws(() => body.finish(), { code: 'IncompleteBody' })
})

t.test('claims that can not hold are refused before a byte is read', async (t) => {
  const length = { 'content-length': '5' }
  const crc = { 'x-amz-checksum-crc32': 'AAAAAA==' }
  const wrong: [what: string, given: Given, wanted: { code: string; message?: RegExp }][] = [
    ['MD5 no base64', { headers: { ...length, 'content-md5': '!' } }, { code: 'InvalidDigest' }],
    ['MD5 too short', { headers: { ...length, 'content-md5': 'AAAA' } }, { code: 'InvalidDigest' }],
    [
      'CRC too long',
      { headers: { ...length, 'x-amz-checksum-crc32': 'AAAAAAAA' } },
      { code: 'InvalidRequest', message: /x-amz-checksum-crc32/ },
    ],
    [
      'two checksums',
      { headers: { ...length, ...crc, 'x-amz-checksum-sha1': base64('SHA1', '') } },
      { code: 'InvalidRequest', message: /Multiple checksum/ },
    ],
    [
      'header and trailer',
      { headers: { ...length, ...crc, 'x-amz-trailer': 'x-amz-checksum-crc32' } },
      { code: 'InvalidRequest', message: /Multiple checksum/ },
    ],
    [
      'algorithm alone',
      { headers: { ...length, 'x-amz-sdk-checksum-algorithm': 'CRC32' } },
      { code: 'InvalidRequest', message: /no corresponding/ },
    ],
    [
      'other algorithm',
      { headers: { ...length, ...crc, 'x-amz-sdk-checksum-algorithm': 'SHA1' } },
      { code: 'InvalidRequest' },
    ],
    [
      'unknown algorithm',
      { headers: { ...length, 'x-amz-checksum-sha384': 'AAAA' } },
      { code: 'InvalidRequest', message: /algorithm type/ },
    ],
    [
      'trailer of an unknown algorithm',
      { headers: { ...length, 'x-amz-trailer': 'x-amz-checksum-sha384' } },
      { code: 'InvalidRequest', message: /x-amz-trailer/ },
    ],
    [
      'other trailer',
      { headers: { ...length, 'x-amz-trailer': 'x-foo' } },
      { code: 'InvalidRequest', message: /x-amz-trailer/ },
    ],
    ['no length', { headers: {} }, { code: 'MissingContentLength' }],
    ['framed, no length', { headers: {}, payload: CHUNKED }, { code: 'MissingContentLength' }],
    [
      'framed, no number',
      { headers: { 'x-amz-decoded-content-length': '-1' }, payload: CHUNKED },
      { code: 'MissingContentLength' },
    ],
    [
      'chunked by HTTP alone',
      { headers: { 'transfer-encoding': 'chunked' } },
      { code: 'NotImplemented' },
    ],
    [
      'compressed by HTTP',
      { headers: { ...framedHeaders(5), 'transfer-encoding': 'gzip, chunked' }, payload: CHUNKED },
      { code: 'NotImplemented' },
    ],
  ]
  for (const [what, given, wanted] of wrong) {
    let reads = 0
    const body = bodyOf(given, () => {
      reads += 1
    })
    t.throws(() => body.open('CRC32'), wanted, what)
    t.equal(reads, 0)
  }
  const both = { 'transfer-encoding': 'chunked', 'content-length': '5' }
  t.throws(() => bodyOf({ headers: both }), { code: 'BadRequest' }, 'refused even if nobody reads')
})

t.test('the length is that of the payload', async (t) => {
  t.equal(bodyOf({ headers: framedHeaders(5), payload: CHUNKED }).bytes, 5)
  t.equal(bodyOf({ headers: { 'content-length': '7' } }).bytes, 7)
  t.equal(bodyOf({ headers: {}, method: 'GET' }).bytes, 0)
  t.throws(() => bodyOf({ headers: {} }).bytes, { code: 'MissingContentLength', status: 411 })
})

t.test('aws-chunked is decoded with either of its signs, and never stored', async (t) => {
  const { 'content-encoding': _, ...bare } = framedHeaders(5)
  t.equal((await readAll({ wire: framed('hello'), headers: bare, payload: CHUNKED })).text, 'hello')
  const listed = { ...framedHeaders(5), 'content-encoding': 'gzip, aws-chunked' }
  t.equal((await readAll({ wire: framed('hello'), headers: listed })).text, 'hello')
  t.equal(storedEncoding('aws-chunked'), undefined)
  t.equal(storedEncoding('gzip,aws-chunked'), 'gzip')
  t.equal(storedEncoding('aws-chunked, gzip, br'), 'gzip, br')
  t.equal(storedEncoding('gzip, br'), 'gzip, br')
  t.equal(storedEncoding(undefined), undefined)
})

t.test('text() is the whole of a small body', async (t) => {
  const post = { method: 'POST', operation: 'CompleteMultipartUpload' } as const
  t.equal(await bodyOf({ ...post, wire: ['<a', '/>é'] }).text(100), '<a/>é')
  t.equal(await bodyOf({ ...post, headers: {} }).text(100), '')
  t.equal(
    await bodyOf({
      ...post,
      wire: framed('<a/>'),
      headers: framedHeaders(4),
      payload: CHUNKED,
    }).text(4),
    '<a/>',
  )
  await t.rejects(bodyOf({ ...post, wire: 'x'.repeat(101) }).text(100), {
    ...{ code: 'MaxMessageLengthExceeded', elements: { MaxMessageLengthBytes: '100' } },
  })
  const length = { 'content-length': '4' }
  const md5Header = { 'content-md5': md5('other').toString('base64') }
  await t.rejects(
    bodyOf({ ...post, wire: '<a/>', headers: { ...length, ...md5Header } }).text(100),
    {
      code: 'BadDigest',
    },
  )
  // There the checksum is the object's, not the document's.
  const ofObject = { ...length, 'x-amz-checksum-crc32': 'AAAAAA==' }
  t.equal(await bodyOf({ ...post, wire: '<a/>', headers: ofObject }).text(100), '<a/>')
})

t.test('bytes that are no UTF-8 are no XML', async (t) => {
  async function* read(): AsyncGenerator<Uint8Array> {
    yield Buffer.from([0xff, 0xfe])
  }
  const head = {
    method: 'POST',
    operation: 'DeleteObjects',
    payload: { kind: 'unsigned' },
    strict: false,
  } as const
  const body = requestBody({ ...head, headers: { 'content-length': '2' } }, read)
  await t.rejects(body.text(10), { code: 'MalformedXML' })
})

t.test('a body is read once', async (t) => {
  const body = bodyOf({ wire: 'hello' })
  await body.text(10)
  await t.rejects(body.text(10), { name: 'AssertionFailed' })
})

t.test('raw() is the body as it comes, and takes no claim on it', async (t) => {
  const form = { method: 'POST', operation: 'PostObject', wire: 'hello' } as const
  const { bytes, chunks } = bodyOf(form).raw()
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  t.same([bytes, Buffer.concat(parts).toString()], [5, 'hello'])
  const unknown = bodyOf({ ...form, headers: { 'transfer-encoding': 'chunked' } })
  t.equal(unknown.raw().bytes, undefined)
  const claims: [header: string, value: string][] = [
    ['content-md5', md5('hello').toString('base64')],
    ['x-amz-checksum-crc32', 'AAAAAA=='],
  ]
  for (const [Header, value] of claims) {
    const body = bodyOf({ ...form, headers: { 'content-length': '5', [Header]: value } })
    t.throws(() => body.raw(), { code: 'NotImplemented', elements: { Header } })
  }
  const hashed = bodyOf({ ...form, payload: { kind: 'hashed', sha256: '0'.repeat(64) } })
  const inHead = { code: 'NotImplemented', elements: { Header: 'x-amz-content-sha256' } }
  t.throws(() => hashed.raw(), inHead)
})

t.test('long texts have 64 MiB together; what is refused takes nothing', async (t) => {
  const mebibyte = 'x'.repeat(1024 * 1024)
  const long = (): RequestBody => bodyOf({ wire: Array<string>(4).fill(mebibyte) })
  for (let round = 0; round < 2; round += 1) {
    const texts = Array.from({ length: 20 }, () => long().text(8 * 1024 * 1024))
    const results = await Promise.allSettled(texts)
    const refused = results.filter(({ status }) => status === 'rejected')
    t.equal(refused.length, 4)
    for (const result of refused) t.match(result, { reason: { code: 'OVERLOADED' } })
  }
  await t.rejects(long().text(1000), { code: 'MaxMessageLengthExceeded' })
})
