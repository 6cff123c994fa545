// Bodies over real sockets: signed chunks as minio-go sends them, and uploads that are wrong.
import t from 'tap'
import {
  chunkStringToSign,
  EMPTY_SHA256,
  sha256Hex,
  sign,
  signingKey,
} from '../../../src/gateway/auth/sigv4.ts'
import {
  ask,
  codeOf,
  type Fixture,
  SECRET,
  signHeaders,
  startGateway,
  talkRaw,
  toldBy,
} from './server-fixture.ts'

/** Sends `payload` in signed chunks; `bend` changes the wire. */
async function putSigned(fixture: Fixture, payload: string, bend = (wire: string) => wire) {
  const headers = signHeaders(fixture.host, {
    ...{ method: 'PUT', url: '/bkt/k' },
    headers: {
      'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      'x-amz-decoded-content-length': String(payload.length),
    },
  })
  const time = headers['x-amz-date']!
  const scope = { date: time.slice(0, 8), region: 'us-east-1', service: 's3' }
  const key = signingKey(SECRET, scope)
  let previous = /Signature=(\w+)/.exec(headers.authorization!)![1]!
  let wire = ''
  for (const chunk of [payload.slice(0, 3), payload.slice(3), '']) {
    const hash = chunk === '' ? EMPTY_SHA256 : sha256Hex(Buffer.from(chunk))
    previous = sign(key, chunkStringToSign(time, scope, previous, hash))
    wire += `${chunk.length.toString(16)};chunk-signature=${previous}\r\n${chunk}\r\n`
  }
  const body = bend(wire)
  return ask(fixture, { method: 'PUT', url: '/bkt/k', body, headers, signed: false })
}

t.test('signed chunks', async (t) => {
  const fixture = await startGateway(t)
  const answer = await putSigned(fixture, 'hello world')
  t.equal(toldBy(answer).body, 'hello world')
  const bent = await putSigned(fixture, 'hello world', (wire) => wire.replace('hel', 'hal'))
  t.match(
    { status: bent.status, code: codeOf(bent) },
    { status: 403, code: 'SignatureDoesNotMatch' },
  )
  const cut = await putSigned(fixture, 'hello world', (wire) => wire.slice(0, -100))
  t.match({ status: cut.status, code: codeOf(cut) }, { status: 400, code: 'IncompleteBody' })
})

t.test('what is wrong with a body is told', async (t) => {
  const fixture = await startGateway(t)
  const put = { method: 'PUT', url: '/bkt/k', body: 'hello' }
  const faults: [headers: Record<string, string>, code: string][] = [
    [{ 'x-amz-content-sha256': EMPTY_SHA256 }, 'XAmzContentSHA256Mismatch'],
    [{ 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' }, 'BadDigest'],
    [{ 'content-md5': 'nonsense' }, 'InvalidDigest'],
    [{ 'x-amz-checksum-crc32': 'AAAAAA==' }, 'BadDigest'],
    [{ 'x-amz-sdk-checksum-algorithm': 'CRC32' }, 'InvalidRequest'],
    [{ 'transfer-encoding': 'chunked' }, 'NotImplemented'],
  ]
  for (const [headers, code] of faults) {
    t.equal(codeOf(await ask(fixture, { ...put, headers })), code, Object.keys(headers).join())
  }
  const unsigned = await ask(fixture, {
    ...put,
    headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  })
  t.equal(toldBy(unsigned).body, 'hello')
  t.equal((await ask(fixture, put)).status, 200)
})

t.test('a PUT without a length is 411', async (t) => {
  const fixture = await startGateway(t)
  const signed = signHeaders(fixture.host, { method: 'PUT', url: '/bkt/k' })
  const headers = Object.entries({ ...signed, connection: 'close' })
  const head = headers.map((pair) => pair.join(': ')).join('\r\n')
  const answer = await talkRaw(fixture.port, `PUT /bkt/k HTTP/1.1\r\n${head}\r\n\r\n`)
  t.match(answer, /^HTTP\/1.1 411 .*<Code>MissingContentLength<\/Code>/s)
})

t.test('header values are read as UTF-8, and as Latin-1 when they are none', async (t) => {
  const fixture = await startGateway(t)
  const utf8 = Buffer.from('café').toString('latin1')
  const headers = {
    'x-amz-meta-a': utf8,
    'x-amz-meta-b': 'caf\xe9',
    'content-encoding': 'gzip,aws-chunked',
  }
  const { headers: heard } = toldBy(await ask(fixture, { url: '/bkt/k', headers }))
  t.match(heard, { 'x-amz-meta-a': 'café', 'x-amz-meta-b': 'café', 'content-encoding': 'gzip' })
})
