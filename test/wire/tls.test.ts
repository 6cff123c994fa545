// https, where boto3 and aws-cli send unsigned bodies of unknown length with their checksum behind them (29, 29b).
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Ask, ask, BUCKET, elementOf, listed, type Wire, wantError, withWire } from './wire.ts'

const PATH = `/${BUCKET}/secure`

/** base64 of each digest of `hello`. */
const RIGHT = {
  crc32: 'NhCmhg==',
  crc32c: 'mnG7TA==',
  crc64nvme: 'M3eFcAZSQlc=',
  sha1: createHash('sha1').update('hello').digest('base64'),
  sha256: createHash('sha256').update('hello').digest('base64'),
}
type Algorithm = keyof typeof RIGHT

t.test('https', { timeout: 60_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-tls-'))
  try {
    const [cert, key] = makeCertificate(directory)
    const options = ['--tls-cert', cert, '--tls-key', key]
    await withWire(t, { options, secure: true }, async (wire) => {
      await t.test('pitfall 29b: trailers of every algorithm', async (t) => trailers(t, wire))
      await t.test('pitfall 29: HTTP chunks around framed chunks', async (t) => layers(t, wire))
      await t.test('clients without TLS', async (t) => plain(t, wire))
    })
  } finally {
    await rm(directory, { recursive: true })
  }
})

function makeCertificate(directory: string): [cert: string, key: string] {
  const [cert, key] = [join(directory, 'crt.pem'), join(directory, 'key.pem')]
  const curve = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  const files = ['-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost']
  const args = ['req', '-x509', '-newkey', ...curve, '-nodes', ...files]
  execFileSync('openssl', args, { stdio: 'ignore' })
  return [cert, key]
}

/** Bytes in HTTP chunks of `size`, as they travel when no length was sent. */
function inHttpChunks(bytes: Buffer, size: number): Buffer {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size)
    chunks.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
  }
  return Buffer.concat([...chunks, Buffer.from('0\r\n\r\n')])
}

/** As boto3 sends it over https. */
function asBoto3(algorithm: Algorithm, framed: string, httpChunkBytes = 7): Ask {
  return {
    ...{ method: 'PUT', path: PATH, payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' },
    headers: {
      'content-encoding': 'aws-chunked',
      'transfer-encoding': 'chunked',
      'x-amz-decoded-content-length': '5',
      'x-amz-sdk-checksum-algorithm': algorithm.toUpperCase(),
      'x-amz-trailer': `x-amz-checksum-${algorithm}`,
    },
    body: inHttpChunks(Buffer.from(framed), httpChunkBytes),
    length: false,
  }
}

async function trailers(t: Test, wire: Wire): Promise<void> {
  for (const [algorithm, value] of Object.entries(RIGHT) as [Algorithm, string][]) {
    const trailer = (text: string): string => `x-amz-checksum-${algorithm}:${text}\r\n\r\n`
    const mangled = Buffer.from(value, 'base64')
    mangled[0]! ^= 1
    const wrong = asBoto3(algorithm, `5\r\nhello\r\n0\r\n${trailer(mangled.toString('base64'))}`)
    const elements = { ExpectedDigest: mangled.toString('base64'), CalculatedDigest: value }
    wantError(t, await ask(wire, wrong), 400, 'BadDigest', elements, algorithm)
    t.same(await listed(wire), [], 'nothing is stored')
    const answer = await ask(wire, asBoto3(algorithm, `5\r\nhello\r\n0\r\n${trailer(value)}`))
    t.equal(answer.status, 200, algorithm)
    t.equal(answer.headers[`x-amz-checksum-${algorithm}`], value)
    const got = await ask(wire, { path: PATH, headers: { 'x-amz-checksum-mode': 'ENABLED' } })
    t.equal(got.text, 'hello')
    t.equal(got.headers[`x-amz-checksum-${algorithm}`], value)
    t.notOk('content-encoding' in got.headers)
    await ask(wire, { method: 'DELETE', path: PATH })
  }
}

async function layers(t: Test, wire: Wire): Promise<void> {
  const whole = `3\r\nhel\r\n2\r\nlo\r\n0\r\nx-amz-checksum-crc32:${RIGHT.crc32}\r\n\r\n`
  for (const size of [1, 2, 3, 5, 1000]) {
    t.equal((await ask(wire, asBoto3('crc32', whole, size))).status, 200, `in chunks of ${size}`)
  }
  await ask(wire, { method: 'DELETE', path: PATH })
  const cut = await ask(wire, asBoto3('crc32', whole.slice(0, 8)))
  wantError(t, cut, 400, 'IncompleteBody', {}, 'the inner framing ends early')
  const missing = await ask(wire, asBoto3('crc32', '5\r\nhello\r\n0\r\n\r\n'))
  wantError(t, missing, 400, 'MalformedTrailerError', {}, 'no trailer')
  const wanted = asBoto3('crc32', whole)
  const half = (wanted.body as Buffer).subarray(0, 20)
  const broken = await ask(wire, { ...wanted, body: half }, { end: true })
  wantError(t, broken, 400, 'IncompleteBody', {}, 'the outer framing ends early')
  t.same(await listed(wire), [])
}

async function plain(t: Test, wire: Wire): Promise<void> {
  await t.rejects(ask({ ...wire, secure: false }, { path: PATH }), 'http to a port of https')
  const got = await ask(wire, { path: PATH })
  t.equal(elementOf(got, 'Code'), 'NoSuchKey')
}
