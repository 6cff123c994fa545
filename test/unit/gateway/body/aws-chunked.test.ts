// aws-chunked: whatever the cut of the bytes, the payload comes out whole, or an error does.
import * as fc from 'fast-check'
import t from 'tap'
import { ChunkChain, type ChunkSeed } from '../../../../src/gateway/auth/chunk-chain.ts'
import {
  chunkStringToSign,
  EMPTY_SHA256,
  sha256Hex,
  sign,
  signingKey,
  trailerStringToSign,
} from '../../../../src/gateway/auth/sigv4.ts'
import {
  AwsChunkedDecoder,
  type AwsChunkedOptions,
} from '../../../../src/gateway/body/aws-chunked.ts'

const SCOPE = { date: '20261121', region: 'us-east-1', service: 's3' }
const TIME = '20261121T120000Z'
const SEED: ChunkSeed = {
  key: signingKey('secret', SCOPE),
  time: TIME,
  scope: SCOPE,
  signature: 'f'.repeat(64),
}

interface Framed {
  wire: Buffer
  payload: Buffer
}

/** Frames `chunks` as a client would; signed when `signed`. */
function frame(
  chunks: readonly Uint8Array[],
  { signed = false, trailer = '', separator = '' } = {},
): Framed {
  const parts: Buffer[] = []
  let previous = SEED.signature
  const extension = (chunk: Uint8Array): string => {
    if (!signed) return ''
    const hash = chunk.length === 0 ? EMPTY_SHA256 : sha256Hex(chunk)
    previous = sign(SEED.key, chunkStringToSign(TIME, SCOPE, previous, hash))
    return `;chunk-signature=${previous}`
  }
  for (const chunk of chunks) {
    parts.push(Buffer.from(`${chunk.length.toString(16)}${extension(chunk)}\r\n`))
    parts.push(Buffer.from(chunk), Buffer.from('\r\n'))
  }
  parts.push(Buffer.from(`0${extension(Buffer.alloc(0))}\r\n`))
  if (trailer !== '') parts.push(Buffer.from(`${trailer}\r\n`))
  if (trailer !== '' && signed) {
    const text = trailerStringToSign(TIME, SCOPE, previous, `${trailer}\n`)
    parts.push(Buffer.from(`${separator}x-amz-trailer-signature:${sign(SEED.key, text)}\r\n`))
  }
  parts.push(Buffer.from('\r\n'))
  return {
    wire: Buffer.concat(parts),
    payload: Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))),
  }
}

function open(bytes: number, options: Partial<AwsChunkedOptions> = {}): AwsChunkedDecoder {
  return new AwsChunkedDecoder({
    bytes,
    trailers: true,
    verifier: undefined,
    strict: false,
    ...options,
  })
}

/** Decodes `wire` cut at `cuts`. */
function decode(
  decoder: AwsChunkedDecoder,
  wire: Uint8Array,
  cuts: readonly number[] = [],
): Buffer {
  const payload: Uint8Array[] = []
  let from = 0
  for (const to of [...cuts, wire.length].sort((left, right) => left - right)) {
    payload.push(...decoder.push(wire.subarray(from, to)))
    from = to
  }
  decoder.end()
  return Buffer.concat(payload)
}

const text = (value: string): Buffer => Buffer.from(value)

t.test('any chunks, any cuts, signed or not, with or without trailer', async (t) => {
  const property = fc.property(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }),
    fc.boolean(),
    fc.boolean(),
    fc.array(fc.nat(), { maxLength: 8 }),
    (chunks, signed, hasTrailer, cuts) => {
      const trailer = hasTrailer ? 'x-amz-checksum-crc32:AAAAAA==' : ''
      const { wire, payload } = frame(chunks, { signed, trailer })
      const verifier = signed ? new ChunkChain(SEED) : undefined
      const decoder = open(payload.length, { verifier, trailers: hasTrailer || !signed })
      const places = cuts.map((cut) => cut % (wire.length + 1))
      const same = decode(decoder, wire, places).equals(payload)
      return same && decoder.trailers.size === (hasTrailer ? 1 : 0)
    },
  )
  const details = fc.check(property, { numRuns: 300 })
  t.notOk(details.failed, `seed ${details.seed}: ${details.errorInstance ?? ''}`)
})

t.test('byte by byte', async (t) => {
  const trailer = 'x-amz-checksum-crc32:AAAAAA=='
  const { wire, payload } = frame([text('hello '), text('world')], { signed: true, trailer })
  const everywhere = Array.from({ length: wire.length }, (_, at) => at)
  const decoder = open(payload.length, { verifier: new ChunkChain(SEED) })
  t.equal(decode(decoder, wire, everywhere).toString(), 'hello world')
  t.same([...decoder.trailers], [['x-amz-checksum-crc32', 'AAAAAA==']])
})

t.test('the habits of clients', async (t) => {
  const accepted: [what: string, wire: string][] = [
    ['the usual', '5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n'],
    ['no empty line at the end', '5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n'],
    ['minio-go', '5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAA\n\r\n\r\n'],
    ['no trailer', '5\r\nhello\r\n0\r\n\r\n'],
    ['nothing after the last chunk', '5\r\nhello\r\n0\r\n'],
    ['capitals and spaces', '5 ;a=b\r\nhello\r\n00\r\nX-Amz-Checksum-CRC32 : AAAA \r\n\r\n'],
    ['leading zeros', '0005\r\nhello\r\n0\r\n\r\n'],
  ]
  for (const [what, wire] of accepted) {
    t.equal(decode(open(5), text(wire)).toString(), 'hello', what)
  }
  const trailer = 'x-amz-checksum-crc32:AAAAAA=='
  const { wire } = frame([text('hello')], { signed: true, trailer, separator: '\r\n' })
  const decoder = open(5, { verifier: new ChunkChain(SEED) })
  t.equal(decode(decoder, wire).toString(), 'hello', 'an empty line before the signature')
})

t.test('broken framing', async (t) => {
  const refused: [what: string, wire: string, code: string][] = [
    ['nothing', '', 'IncompleteBody'],
    ['no frame at all', 'hello', 'IncompleteBody'],
    ['not hexadecimal', 'xyz\r\nhello\r\n0\r\n\r\n', 'IncompleteBody'],
    ['negative', '-5\r\nhello\r\n0\r\n\r\n', 'IncompleteBody'],
    ['an empty size', '\r\nhello\r\n0\r\n\r\n', 'IncompleteBody'],
    ['a huge size', 'ffffffffffffffffff\r\nhello', 'IncompleteBody'],
    ['an endless line', `5;${'x'.repeat(2000)}`, 'IncompleteBody'],
    ['cut in the size', '5', 'IncompleteBody'],
    ['cut in the data', '5\r\nhel', 'IncompleteBody'],
    ['cut before the last chunk', '5\r\nhello\r\n', 'IncompleteBody'],
    ['too little', '4\r\nhell\r\n0\r\n\r\n', 'IncompleteBody'],
    ['too much', '6\r\nhello!\r\n0\r\n\r\n', 'IncompleteBody'],
    ['too much in a second chunk', '5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n', 'IncompleteBody'],
    ['data longer than its size', '4\r\nhello\r\n0\r\n\r\n', 'IncompleteBody'],
    ['something after the end', '5\r\nhello\r\n0\r\n\r\nmore\r\n', 'IncompleteBody'],
    ['a trailer without colon', '5\r\nhello\r\n0\r\nnonsense\r\n\r\n', 'MalformedTrailerError'],
    ['a trailer without name', '5\r\nhello\r\n0\r\n:x\r\n\r\n', 'MalformedTrailerError'],
    ['a trailer twice', '5\r\nhello\r\n0\r\na:1\r\na:2\r\n\r\n', 'MalformedTrailerError'],
    ['a trailer cut', '5\r\nhello\r\n0\r\na:1', 'MalformedTrailerError'],
    ['an endless trailer', `5\r\nhello\r\n0\r\na:${'x'.repeat(2000)}`, 'MalformedTrailerError'],
    ['endless trailers', `5\r\nhello\r\n0\r\n${many(1000)}\r\n`, 'MalformedTrailerError'],
  ]
  for (const [what, wire, code] of refused) {
    t.throws(() => decode(open(5), text(wire)), { code }, what)
  }
  t.throws(() => decode(open(5, { trailers: false }), text('5\r\nhello\r\n0\r\na:1\r\n\r\n')), {
    code: 'MalformedTrailerError',
  })
})

function many(count: number): string {
  return Array.from({ length: count }, (_, index) => `name-${index}:value\r\n`).join('')
}

t.test('strict: every chunk but the last has 8 KiB (pitfall 26)', async (t) => {
  const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`
  const end = '0\r\n\r\n'
  const read = (sizes: number[]) => {
    const total = sizes.reduce((sum, size) => sum + size, 0)
    const wire = Buffer.from(sizes.map(chunk).join('') + end)
    return () => decode(open(total, { strict: true }), wire)
  }
  for (const sizes of [[], [1], [8192, 1], [10_000, 8192, 8191]]) t.doesNotThrow(read(sizes))
  t.throws(read([8192, 8191, 1]), {
    code: 'InvalidChunkSizeError',
    elements: { Chunk: '2', BadChunkSize: '8191' },
  })
})

t.test('every flipped bit of a signed body is noticed', async (t) => {
  const trailer = 'x-amz-checksum-crc32:AAAAAA=='
  const { wire, payload } = frame([text('hello '), text('world')], { signed: true, trailer })
  let unnoticed = 0
  for (let at = 0; at < wire.length; at += 1) {
    const bent = Buffer.from(wire)
    bent[at]! ^= 1
    const decoder = open(payload.length, { verifier: new ChunkChain(SEED) })
    try {
      const same = decode(decoder, bent).equals(payload)
      t.ok(same && decoder.trailers.get('x-amz-checksum-crc32') === 'AAAAAA==', `bit at ${at}`)
      unnoticed += 1
    } catch (error) {
      t.match(
        (error as { code: string }).code,
        /SignatureDoesNotMatch|IncompleteBody|MalformedTrailerError/,
      )
    }
  }
  t.equal(unnoticed, 0)
})

t.test('signatures can be neither left out nor taken from elsewhere', async (t) => {
  const verifier = () => new ChunkChain(SEED)
  const trailer = 'x-amz-checksum-crc32:AAAAAA=='
  const unsigned = frame([text('hello')], { trailer })
  t.throws(() => decode(open(5, { verifier: verifier() }), unsigned.wire), {
    code: 'SignatureDoesNotMatch',
  })
  const signed = frame([text('he'), text('llo')], { signed: true, trailer }).wire.toString('latin1')
  const swapped = signed.replace(/^(2;.*?\r\nhe\r\n)(3;.*?\r\nllo\r\n)/s, '$2$1')
  t.not(swapped, signed)
  t.throws(() => decode(open(5, { verifier: verifier() }), text(swapped)), {
    code: 'SignatureDoesNotMatch',
  })
  const bare = signed.replace(/x-amz-trailer-signature.*\r\n/, '')
  t.throws(() => decode(open(5, { verifier: verifier() }), text(bare)), {
    code: 'MalformedTrailerError',
  })
})
