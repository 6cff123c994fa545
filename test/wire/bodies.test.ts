// Bodies that are not what they claim to be: the S3 error for each, nothing stored, the next request is fine.
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import {
  type ChunkSeed,
  EMPTY_SHA256,
  frameSigned,
  presign,
  sha256Hex,
  signTrailers,
} from './signing.ts'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  composeHead,
  elementOf,
  listed,
  openFiles,
  put,
  talk,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const HELLO = Buffer.from('hello')
const PATH = `/${BUCKET}/hostile`

/** base64 of each digest of `hello`, and of something else. */
const RIGHT = {
  crc32: 'NhCmhg==',
  crc32c: 'mnG7TA==',
  crc64nvme: 'M3eFcAZSQlc=',
  sha1: digest('sha1', 'hello'),
  sha256: digest('sha256', 'hello'),
}
const WRONG = {
  crc32: 'AAAAAA==',
  crc32c: 'AAAAAA==',
  crc64nvme: 'AAAAAAAAAAA=',
  sha1: digest('sha1', 'other'),
  sha256: digest('sha256', 'other'),
}
type Algorithm = keyof typeof RIGHT
const ALGORITHMS = Object.keys(RIGHT) as Algorithm[]

function digest(name: string, text: string): string {
  return createHash(name).update(text).digest('base64')
}

/** A PUT that must be refused. */
interface Hostile {
  name: string
  ask: Ask
  status?: number
  code: string
  elements?: Record<string, string | true>
  /** The client says that no more bytes come. */
  end?: boolean
}

async function refuseAll(t: Test, wire: Wire, cases: readonly Hostile[]): Promise<void> {
  for (const { name, ask: wanted, status = 400, code, elements, end = false } of cases) {
    const answer = await ask(wire, { method: 'PUT', path: PATH, ...wanted }, { end })
    wantError(t, answer, status, code, elements, name)
  }
  t.same(await listed(wire), [], 'nothing is stored')
  t.equal((await ask(wire, { path: PATH })).status, 404)
}

/** A body framed without signatures: chunks, then trailers as they stand. */
function framed(chunks: readonly (string | Uint8Array)[], trailers = ''): Buffer {
  const frames = chunks.map((chunk) => {
    const bytes = Buffer.from(chunk)
    return Buffer.concat([
      Buffer.from(`${bytes.length.toString(16)}\r\n`),
      bytes,
      Buffer.from('\r\n'),
    ])
  })
  return Buffer.concat([...frames, Buffer.from(`0\r\n${trailers}\r\n`)])
}

const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
const SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'

function withTrailer(algorithm: Algorithm, value: string): Ask {
  return {
    payload: UNSIGNED_TRAILER,
    headers: {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': '5',
      'x-amz-trailer': `x-amz-checksum-${algorithm}`,
    },
    body: framed(['hel', 'lo'], `x-amz-checksum-${algorithm}:${value}\r\n`),
  }
}

/** Frames signed one after the other, the last one empty. */
function signedFrames(
  seed: ChunkSeed,
  chunks: readonly string[],
): { body: Buffer; last: ChunkSeed } {
  const frames: Buffer[] = []
  let last = seed
  for (const chunk of [...chunks, '']) {
    const { frame, next } = frameSigned(last, Buffer.from(chunk))
    frames.push(frame)
    last = next
  }
  return { body: Buffer.concat(frames), last }
}

const DECODED_5 = { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': '5' }

t.test('bodies', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => refuseBodies(t, wire))
})

async function refuseBodies(t: Test, wire: Wire): Promise<void> {
  const filesBefore = openFiles(wire)

  await t.test('lengths that do not hold', async (t) => {
    const chunked = { payload: UNSIGNED_TRAILER, headers: DECODED_5 }
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
      {
        name: 'over 5 GiB (43)',
        ask: { body: HELLO, length: 5 * 2 ** 30 + 1 },
        code: 'EntityTooLarge',
        elements: { ProposedSize: String(5 * 2 ** 30 + 1), MaxSizeAllowed: String(5 * 2 ** 30) },
      },
      {
        name: 'no decoded length (26)',
        ask: {
          payload: UNSIGNED_TRAILER,
          headers: { 'content-encoding': 'aws-chunked' },
          body: framed(['hello']),
        },
        status: 411,
        code: 'MissingContentLength',
      },
      {
        name: 'decoded too short',
        ask: { ...chunked, body: framed(['hell']) },
        code: 'IncompleteBody',
      },
      {
        name: 'decoded too long',
        ask: { ...chunked, body: framed(['hello!']) },
        code: 'IncompleteBody',
      },
      {
        name: 'too long by a chunk',
        ask: { ...chunked, body: framed(['hello', '!']) },
        code: 'IncompleteBody',
      },
      {
        name: 'decoded length no number',
        ask: {
          payload: UNSIGNED_TRAILER,
          headers: { 'x-amz-decoded-content-length': '5x' },
          body: framed(['hello']),
        },
        code: 'InvalidArgument',
        elements: { ArgumentName: 'x-amz-decoded-content-length', ArgumentValue: '5x' },
      },
    ])
  })

  await t.test('broken chunk framing (26, 28)', async (t) => {
    const broken = (body: string): Ask => ({ payload: UNSIGNED_TRAILER, headers: DECODED_5, body })
    const cases: [name: string, body: string, code?: string][] = [
      ['no size', '\r\nhello\r\n0\r\n\r\n'],
      ['size no hex', 'zz\r\nhello\r\n0\r\n\r\n'],
      ['negative size', '-5\r\nhello\r\n0\r\n\r\n'],
      ['huge size', 'ffffffffffffff\r\nhello\r\n0\r\n\r\n'],
      ['no line end after data', '5\r\nhello0\r\n\r\n'],
      ['no last chunk', '5\r\nhello\r\n'],
      ['ends in a size', '5\r\nhello\r\n0'],
      ['ends in data', '5\r\nhel'],
      ['plain bytes', 'hello'],
      ['empty', ''],
      ['more after the end', '5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n'],
      ['endless size line', `${'0'.repeat(5000)}5\r\nhello\r\n0\r\n\r\n`],
      ['trailer without a colon', '5\r\nhello\r\n0\r\nnonsense\r\n\r\n', 'MalformedTrailerError'],
      [
        'trailer nobody announced',
        '5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n',
        'MalformedTrailerError',
      ],
      [
        'endless trailers',
        `5\r\nhello\r\n0\r\n${'a:b\r\n'.repeat(4000)}\r\n`,
        'MalformedTrailerError',
      ],
    ]
    await refuseAll(
      t,
      wire,
      cases.map(([name, body, code = 'IncompleteBody']) => ({ name, ask: broken(body), code })),
    )
  })

  await t.test('checksums in headers (30 to 33)', async (t) => {
    const checksum = (algorithm: string, value: string): Ask => ({
      body: HELLO,
      headers: { [`x-amz-checksum-${algorithm}`]: value },
    })
    await refuseAll(t, wire, [
      ...ALGORITHMS.map((algorithm) => ({
        name: `wrong ${algorithm}`,
        ask: checksum(algorithm, WRONG[algorithm]),
        code: 'BadDigest',
        elements: { ExpectedDigest: WRONG[algorithm], CalculatedDigest: RIGHT[algorithm] },
      })),
      ...ALGORITHMS.map((algorithm) => ({
        name: `mangled ${algorithm}`,
        ask: checksum(algorithm, `${RIGHT[algorithm]}x`),
        code: 'InvalidRequest',
      })),
      {
        name: 'two algorithms (32)',
        ask: {
          body: HELLO,
          headers: { 'x-amz-checksum-crc32': RIGHT.crc32, 'x-amz-checksum-sha1': RIGHT.sha1 },
        },
        code: 'InvalidRequest',
        elements: {
          Message:
            'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
        },
      },
      {
        name: 'algorithm without value (32)',
        ask: { body: HELLO, headers: { 'x-amz-sdk-checksum-algorithm': 'CRC32' } },
        code: 'InvalidRequest',
      },
      {
        name: 'wrong Content-MD5',
        ask: { body: HELLO, headers: { 'content-md5': digest('md5', 'other') } },
        code: 'BadDigest',
        elements: {
          ExpectedDigest: digest('md5', 'other'),
          CalculatedDigest: digest('md5', 'hello'),
        },
      },
      ...['%%%', 'aGVsbG8=', `${digest('md5', 'hello')}==`].map((value) => ({
        name: `no MD5: ${value}`,
        ask: { body: HELLO, headers: { 'content-md5': value } },
        code: 'InvalidDigest',
        elements: { 'Content-MD5': value },
      })),
      {
        name: 'wrong x-amz-content-sha256 (17)',
        ask: { body: HELLO, payload: EMPTY_SHA256 },
        code: 'XAmzContentSHA256Mismatch',
        elements: {
          ClientComputedContentSHA256: EMPTY_SHA256,
          S3ComputedContentSHA256: sha256Hex('hello'),
        },
      },
      {
        name: 'x-amz-content-sha256 is none (17)',
        ask: { body: HELLO, payload: 'nonsense' },
        code: 'InvalidArgument',
        elements: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: 'nonsense' },
      },
    ])
  })

  await t.test('checksums in trailers', async (t) => {
    await refuseTrailers(t, wire)
  })

  await t.test('signed chunks (28)', async (t) => {
    const signed = (body: (seed: ChunkSeed) => Buffer, payload = SIGNED): Ask => ({
      payload,
      headers: DECODED_5,
      body,
    })
    const trailed = (bend: (trailer: string, signature: string) => string): Ask => ({
      payload: SIGNED_TRAILER,
      headers: { ...DECODED_5, 'x-amz-trailer': 'x-amz-checksum-crc32' },
      body: (seed) => {
        const { body, last } = signedFrames(seed, ['hello'])
        const trailer = `x-amz-checksum-crc32:${RIGHT.crc32}\n`
        const text = bend(trailer, signTrailers(last, trailer))
        return Buffer.concat([body, Buffer.from(text)])
      },
    })
    const right = (trailer: string, signature: string): string =>
      `${trailer.replace('\n', '\r\n')}x-amz-trailer-signature:${signature}\r\n\r\n`
    const ends = (seed: ChunkSeed, chunks: string[]): Buffer =>
      Buffer.concat([signedFrames(seed, chunks).body, Buffer.from('\r\n')])
    await refuseAll(t, wire, [
      {
        name: 'byte changed in a chunk',
        ask: signed((seed) =>
          Buffer.from(ends(seed, ['hel', 'lo']).toString('latin1').replace('hel', 'hex')),
        ),
        status: 403,
        code: 'SignatureDoesNotMatch',
        elements: { StringToSign: true, SignatureProvided: true },
      },
      {
        name: 'chunks swapped',
        ask: signed((seed) => {
          const [first, second, end] = ['he', 'llo', ''].map((text) => Buffer.from(text))
          const one = frameSigned(seed, first!)
          const two = frameSigned(one.next, second!)
          const three = frameSigned(two.next, end!)
          return Buffer.concat([two.frame, one.frame, three.frame, Buffer.from('\r\n')])
        }),
        status: 403,
        code: 'SignatureDoesNotMatch',
      },
      {
        name: 'no signatures at all',
        ask: signed(() => framed(['hello'])),
        status: 403,
        code: 'SignatureDoesNotMatch',
      },
      {
        name: 'wrong key',
        ask: signed((seed) => ends({ ...seed, key: Buffer.alloc(32) }, ['hello'])),
        status: 403,
        code: 'SignatureDoesNotMatch',
      },
      {
        name: 'last chunk left out',
        ask: signed((seed) => frameSigned(seed, HELLO).frame),
        code: 'IncompleteBody',
      },
      {
        name: 'wrong trailer signature',
        ask: trailed((trailer) => right(trailer, '0'.repeat(64))),
        status: 403,
        code: 'SignatureDoesNotMatch',
      },
      {
        name: 'trailer changed',
        ask: trailed((trailer, signature) => right(trailer.replace('NhC', 'NhD'), signature)),
        status: 403,
        code: 'SignatureDoesNotMatch',
      },
      {
        name: 'trailer signature left out',
        ask: trailed((trailer) => `${trailer.replace('\n', '\r\n')}\r\n`),
        code: 'MalformedTrailerError',
      },
    ])
    for (const wanted of [signed((seed) => ends(seed, ['hel', 'lo'])), trailed(right)]) {
      const answer = await ask(wire, { method: 'PUT', path: PATH, ...wanted })
      t.equal(answer.status, 200, answer.text)
      const got = await ask(wire, { path: PATH })
      t.equal(got.text, 'hello')
      t.notOk('content-encoding' in got.headers, 'aws-chunked is not stored (27)')
    }
    await ask(wire, { method: 'DELETE', path: PATH })
  })

  await t.test('framing beside a real encoding, and in odd cuts (27, 28)', async (t) => {
    const headers = { 'x-amz-decoded-content-length': '5' }
    const cases: [encoding: string | undefined, stored: string | undefined][] = [
      ['gzip,aws-chunked', 'gzip'],
      ['aws-chunked, gzip', 'gzip'],
      ['aws-chunked', undefined],
      ['AWS-Chunked', undefined],
      [undefined, undefined],
    ]
    for (const [encoding, stored] of cases) {
      const encodings = encoding === undefined ? {} : { 'content-encoding': encoding }
      const wanted = { payload: UNSIGNED_TRAILER, headers: { ...headers, ...encodings } }
      const answer = await ask(wire, {
        ...{ method: 'PUT', path: PATH, ...wanted },
        body: framed(['h', 'e', 'llo']),
      })
      t.equal(answer.status, 200, `${encoding} ${answer.text}`)
      const got = await ask(wire, { path: PATH })
      t.equal(got.text, 'hello')
      t.equal(got.headers['content-encoding'], stored, encoding ?? 'none')
    }
    await ask(wire, { method: 'DELETE', path: PATH })
  })

  await t.test('an empty object, and one more than a buffer (41)', async (t) => {
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
  })

  await t.test('presigned bodies', async (t) => {
    const headers: [string, string][] = [['host', wire.host]]
    const sent = [...headers, ['content-length', '5'], ['connection', 'close']] as [
      string,
      string,
    ][]
    const query = presign(
      { method: 'PUT', path: PATH, headers },
      { payloadHash: 'UNSIGNED-PAYLOAD' },
    )
    const head = composeHead(`PUT ${PATH}?${query} HTTP/1.1`, sent)
    const [answer] = await talk(wire, Buffer.concat([head, HELLO]))
    t.equal(answer?.status, 200)
    const wrong = presign({
      ...{ method: 'PUT', path: PATH, headers },
      query: { 'x-amz-checksum-crc32': WRONG.crc32 },
    })
    const wrongHead = composeHead(`PUT ${PATH}?${wrong} HTTP/1.1`, sent)
    const [refused] = await talk(wire, Buffer.concat([wrongHead, Buffer.from('other')]))
    wantError(t, refused as Answer, 400, 'BadDigest', {}, 'checksum as a parameter')
    t.equal((await ask(wire, { path: PATH })).text, 'hello')
    await ask(wire, { method: 'DELETE', path: PATH })
  })

  await t.test('clients that vanish in the middle leave nothing (42)', async (t) => {
    for (let count = 0; count < 20; count += 1) {
      const body = Buffer.alloc(200_000)
      await ask(wire, { method: 'PUT', path: PATH, body, length: 10_000_000 }, { end: true }).catch(
        () => undefined, // The connection may be closed without an answer.
      )
    }
    t.same(await listed(wire), [])
    t.ok(openFiles(wire) < filesBefore + 20, `open files ${filesBefore}, now ${openFiles(wire)}`)
    t.equal(elementOf(await ask(wire, { path: PATH }), 'Code'), 'NoSuchKey')
  })
}

async function refuseTrailers(t: Test, wire: Wire): Promise<void> {
  await refuseAll(t, wire, [
    ...ALGORITHMS.map((algorithm) => ({
      name: `wrong ${algorithm}`,
      ask: withTrailer(algorithm, WRONG[algorithm]),
      code: 'BadDigest',
    })),
    {
      name: 'no base64',
      ask: withTrailer('crc32', '????'),
      code: 'InvalidRequest',
    },
    {
      name: 'another than announced',
      ask: {
        ...withTrailer('crc32', ''),
        body: framed(['hello'], `x-amz-checksum-sha1:${RIGHT.sha1}\r\n`),
      },
      code: 'MalformedTrailerError',
    },
    {
      name: 'announced and not sent',
      ask: { ...withTrailer('crc32', ''), body: framed(['hello']) },
      code: 'MalformedTrailerError',
    },
    {
      name: 'sent twice',
      ask: {
        ...withTrailer('crc32', ''),
        body: framed(['hello'], `x-amz-checksum-crc32:${RIGHT.crc32}\r\n`.repeat(2)),
      },
      code: 'MalformedTrailerError',
    },
  ])
  for (const algorithm of ALGORITHMS) {
    const answer = await ask(wire, {
      ...{ method: 'PUT', path: PATH },
      ...withTrailer(algorithm, RIGHT[algorithm]),
    })
    t.equal(answer.status, 200, answer.text)
    t.equal(answer.headers[`x-amz-checksum-${algorithm}`], RIGHT[algorithm], algorithm)
  }
  await ask(wire, { method: 'DELETE', path: PATH })
}

function crcOf(bytes: Uint8Array): string {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(crc32(bytes))
  return value.toString('base64')
}
