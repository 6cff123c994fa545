// aws-chunked over the wire: framing, its signatures and its trailers (pitfalls 26 to 29b).
import t, { type Test } from 'tap'
import {
  framed,
  HELLO,
  PATH,
  putFramed,
  RIGHT,
  refuseAll,
  UNSIGNED_TRAILER,
} from './framed-bodies.ts'
import { type ChunkSeed, frameSigned, signTrailers } from './signing.ts'
import {
  type Ask,
  ask,
  collect,
  compose,
  openSocket,
  readAnswers,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
const SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'
const DECODED_5 = { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': '5' }

t.test('framing', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 26: the decoded length is known, and kept', async (t) => decoded(t, wire))
    await t.test('pitfall 26: broken chunk framing', async (t) => broken(t, wire))
    await t.test('pitfall 26: malformed trailers', async (t) => refuseTrailers(t, wire))
    await t.test('pitfall 26: chunks of any size are taken', async (t) => smallChunks(t, wire))
    await t.test('pitfall 27: framing is never stored', async (t) => encodings(t, wire))
    await t.test('pitfall 28: signed chunks, and their trailers', async (t) => signatures(t, wire))
    await t.test('pitfall 28: framing cut anywhere', async (t) => oddCuts(t, wire))
    await t.test('pitfall 29: both ways of chunks at once', async (t) => bothLayers(t, wire))
    await t.test('pitfall 29b: trailers over plain http', async (t) => plainTrailers(t, wire))
  })
})

t.test('framing, strict', { timeout: 60_000 }, async (t) => {
  await withWire(t, { options: ['--strict-s3'] }, async (wire) => {
    await t.test('pitfall 26: small chunks are refused, as AWS does', async (t) => {
      await strictChunks(t, wire)
    })
  })
})

async function decoded(t: Test, wire: Wire): Promise<void> {
  const chunked = { payload: UNSIGNED_TRAILER, headers: DECODED_5 }
  await refuseAll(t, wire, [
    {
      name: 'no decoded length',
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
      status: 411,
      code: 'MissingContentLength',
    },
  ])
}

async function broken(t: Test, wire: Wire): Promise<void> {
  const wanted = (body: string): Ask => ({ payload: UNSIGNED_TRAILER, headers: DECODED_5, body })
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
    cases.map(([name, body, code = 'IncompleteBody']) => ({ name, ask: wanted(body), code })),
  )
}

function withTrailer(algorithm: 'crc32', value: string): Ask {
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

async function refuseTrailers(t: Test, wire: Wire): Promise<void> {
  await refuseAll(t, wire, [
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
      name: 'one more than announced',
      ask: {
        ...withTrailer('crc32', ''),
        body: framed(['hello'], `x-amz-checksum-crc32:${RIGHT.crc32}\r\nbonus:x\r\n`),
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
}

const chunksOf = (...sizes: number[]): Buffer[] => sizes.map((size) => Buffer.alloc(size, 'k'))

async function smallChunks(t: Test, wire: Wire): Promise<void> {
  for (const sizes of [
    [1, 1, 1],
    [8191, 9000, 1],
    [65_536, 5],
  ]) {
    const answer = await ask(wire, putFramed(chunksOf(...sizes)))
    t.equal(answer.status, 200, `${sizes} ${answer.text}`)
  }
}

async function strictChunks(t: Test, wire: Wire): Promise<void> {
  for (const sizes of [[5], [8192, 1], [65_536, 8192, 5]]) {
    const answer = await ask(wire, putFramed(chunksOf(...sizes)))
    t.equal(answer.status, 200, `${sizes} ${answer.text}`)
  }
  await ask(wire, { method: 'DELETE', path: PATH })
  const small = await ask(wire, putFramed(chunksOf(8192, 8191, 9000)))
  const elements = { Chunk: '2', BadChunkSize: '8191' }
  wantError(t, small, 400, 'InvalidChunkSizeError', elements)
  t.equal((await ask(wire, { path: PATH })).status, 404, 'nothing is stored')
}

async function encodings(t: Test, wire: Wire): Promise<void> {
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

async function signatures(t: Test, wire: Wire): Promise<void> {
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
}

/** Every byte of the framing comes by itself: a line of it may lie across any number of reads. */
async function oddCuts(t: Test, wire: Wire): Promise<void> {
  const bytes = compose(wire, putFramed([Buffer.from('hel'), Buffer.from('lo')]))
  const bodyAt = bytes.indexOf('\r\n\r\n') + 4
  const socket = openSocket(wire)
  const closed = collect(socket)
  socket.setNoDelay(true)
  socket.write(bytes.subarray(0, bodyAt))
  for (let at = bodyAt; at < bytes.length; at += 1) {
    await new Promise((resolve) => socket.write(bytes.subarray(at, at + 1), resolve))
  }
  const [answer] = readAnswers(await closed, ['PUT'])
  t.equal(answer?.status, 200, answer?.text ?? 'no answer')
  t.equal((await ask(wire, { path: PATH })).text, 'hello')
}

/** As boto3 sends it over https: HTTP chunks around framed chunks, and no Content-Length. */
async function bothLayers(t: Test, wire: Wire): Promise<void> {
  const wanted = putFramed([HELLO])
  const inner = wanted.body as Buffer
  const half = Math.floor(inner.length / 2)
  const outer = [inner.subarray(0, half), inner.subarray(half)].flatMap((part) => [
    Buffer.from(`${part.length.toString(16)}\r\n`),
    part,
    Buffer.from('\r\n'),
  ])
  const answer = await ask(wire, {
    ...wanted,
    headers: { ...(wanted.headers as Record<string, string>), 'transfer-encoding': 'chunked' },
    body: Buffer.concat([...outer, Buffer.from('0\r\n\r\n')]),
    length: false,
  })
  t.equal(answer.status, 200, answer.text)
  t.equal(answer.headers['x-amz-checksum-crc32'], RIGHT.crc32)
  t.equal((await ask(wire, { path: PATH })).text, 'hello')
}

/** boto3 sends them over https only (tls.test.ts), pyarrow and the CRT client without it too. */
async function plainTrailers(t: Test, wire: Wire): Promise<void> {
  const answer = await ask(wire, putFramed([HELLO]))
  t.equal(answer.headers['x-amz-checksum-crc32'], RIGHT.crc32, answer.text)
}
