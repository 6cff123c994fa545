// Signatures that are wrong in every way there is: refused as AWS refuses them, and nothing stored (14 to 25).
import t, { type Test } from 'tap'
import { TEST_KEYS } from '../support/server.ts'
import { basicTime, presign, presignV2 } from './signing.ts'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  composeHead,
  elementOf,
  listed,
  talk,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/guarded`
const MINUTE_MS = 60_000

t.test('signatures', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('in the header', async (t) => byHeader(t, wire))
    await t.test('authorization headers that are none', async (t) => malformed(t, wire))
    await t.test('presigned, version 4 (21)', async (t) => presigned(t, wire))
    await t.test('presigned, version 2', async (t) => presignedV2(t, wire))
    await t.test('any region is accepted (20)', async (t) => regions(t, wire))
    t.same(await listed(wire), [], 'nothing is stored')
  })
  const strict = { options: ['--strict-region', '--region', 'eu-west-1'], region: 'eu-west-1' }
  await withWire(t, strict, async (wire) => {
    await t.test('a strict region', async (t) => strictRegion(t, wire))
  })
})

const mismatch = {
  AWSAccessKeyId: TEST_KEYS.accessKeyId,
  StringToSign: true,
  StringToSignBytes: true,
  CanonicalRequest: true,
  CanonicalRequestBytes: true,
  SignatureProvided: true,
} as const

async function byHeader(t: Test, wire: Wire): Promise<void> {
  const nowMs = Date.now()
  const skew = {
    RequestTime: true,
    ServerTime: true,
    MaxAllowedSkewMilliseconds: '900000',
  } as const
  type Case = [
    name: string,
    ask: Ask,
    status: number,
    code: string,
    elements?: Record<string, string | true>,
  ]
  const cases: Case[] = [
    ['wrong secret', { signer: { secretAccessKey: 'x' } }, 403, 'SignatureDoesNotMatch', mismatch],
    [
      'unknown key',
      { signer: { accessKeyId: 'NOBODY' } },
      403,
      'InvalidAccessKeyId',
      { AWSAccessKeyId: 'NOBODY' },
    ],
    ['too old', { signer: { ms: nowMs - 16 * MINUTE_MS } }, 403, 'RequestTimeTooSkewed', skew],
    ['too new', { signer: { ms: nowMs + 16 * MINUTE_MS } }, 403, 'RequestTimeTooSkewed', skew],
    ['other service', { signer: { service: 'ec2' } }, 400, 'AuthorizationHeaderMalformed'],
    [
      'unsigned metadata (18)',
      { unsigned: [['x-amz-meta-a', 'b']] },
      403,
      'AccessDenied',
      { HeadersNotSigned: 'x-amz-meta-a' },
    ],
    [
      'unsigned source (18)',
      { unsigned: [['x-amz-copy-source', `${PATH}`]] },
      403,
      'AccessDenied',
      { HeadersNotSigned: 'x-amz-copy-source' },
    ],
    ['session of nobody', { headers: { 'x-amz-security-token': 'abc' } }, 400, 'InvalidToken'],
    ['anonymous', { signer: false }, 403, 'AccessDenied'],
  ]
  for (const [name, wanted, status, code, elements] of cases) {
    const answer = await ask(wire, { method: 'PUT', path: PATH, body: 'hello', ...wanted })
    wantError(t, answer, status, code, elements, name)
  }
  const early = await ask(wire, { path: PATH, signer: { ms: nowMs - 14 * MINUTE_MS } })
  t.equal(early.status, 404, '14 minutes are no skew (19)')
  const bySpaces = await ask(wire, { path: PATH, headers: { 'x-amz-meta-a': '  a   b  ' } })
  t.equal(bySpaces.status, 404, 'inner spaces collapse (16)')
}

async function malformed(t: Test, wire: Wire): Promise<void> {
  const scope = `${basicTime().slice(0, 8)}/us-east-1/s3/aws4_request`
  const key = TEST_KEYS.accessKeyId
  const signature = `Signature=${'0'.repeat(64)}`
  const names = 'SignedHeaders=host;x-amz-content-sha256;x-amz-date'
  const cases: [authorization: string, code: string][] = [
    ['AWS4-HMAC-SHA256', 'AuthorizationHeaderMalformed'],
    [`AWS4-HMAC-SHA256 Credential=${key}, ${names}, ${signature}`, 'AuthorizationHeaderMalformed'],
    [`AWS4-HMAC-SHA256 Credential=${key}/${scope}, ${signature}`, 'AuthorizationHeaderMalformed'],
    [`AWS4-HMAC-SHA256 Credential=${key}/${scope}, ${names}`, 'AuthorizationHeaderMalformed'],
    [
      `AWS4-HMAC-SHA256 Credential=${key}/2020/us-east-1/s3/aws4_request, ${names}, ${signature}`,
      'AuthorizationHeaderMalformed',
    ],
    [
      `AWS4-HMAC-SHA256 Credential=${key}/20200101/us-east-1/s3/aws4_request, ${names}, ${signature}`,
      'AuthorizationHeaderMalformed',
    ],
    [
      `AWS4-HMAC-SHA256 Credential=${key}/${scope.replace('aws4_', 'aws5_')}, ${names}, ${signature}`,
      'AuthorizationHeaderMalformed',
    ],
    [`AWS ${key}`, 'InvalidArgument'],
    ['AWS4-ECDSA-P256-SHA256 Credential=a', 'InvalidRequest'],
    ['Basic dXNlcjpwYXNz', 'InvalidArgument'],
    ['Bearer abc', 'InvalidArgument'],
  ]
  for (const [authorization, code] of cases) {
    const time: [string, string][] = [
      ['x-amz-date', basicTime()],
      ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
    ]
    const answer = await ask(wire, {
      ...{ method: 'PUT', path: PATH, body: 'hello', signer: false },
      unsigned: [...time, ['authorization', authorization]],
    })
    wantError(t, answer, 400, code, {}, authorization.slice(0, 60))
  }
  const empty = await ask(wire, {
    ...{ method: 'PUT', path: PATH, body: 'hello', signer: false },
    unsigned: [['authorization', '']],
  })
  wantError(t, empty, 403, 'AccessDenied', {}, 'an empty one is none, and nobody may do nothing')
  const noHash = await ask(wire, {
    ...{ path: PATH, signer: false },
    unsigned: [
      ['x-amz-date', basicTime()],
      ['authorization', `AWS4-HMAC-SHA256 Credential=${key}/${scope}, ${names}, ${signature}`],
    ],
  })
  const message = 'Missing required header for this request: x-amz-content-sha256'
  wantError(t, noHash, 400, 'InvalidRequest', { Message: message }, 'no payload hash (17)')
  const noDate = await ask(wire, {
    ...{ path: PATH, signer: false },
    unsigned: [
      ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
      ['authorization', `AWS4-HMAC-SHA256 Credential=${key}/${scope}, ${names}, ${signature}`],
    ],
  })
  wantError(t, noDate, 403, 'AccessDenied', {}, 'no date')
}

/** Sends a request whose signature is in its query. */
async function send(
  wire: Wire,
  method: string,
  query: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const body = method === 'PUT' ? 'hello' : ''
  const length: Record<string, string> = body === '' ? {} : { 'content-length': '5' }
  const head = composeHead(
    `${method} ${PATH}?${query} HTTP/1.1`,
    Object.entries({ host: wire.host, ...headers, ...length, connection: 'close' }),
  )
  const [answer] = await talk(wire, Buffer.concat([head, Buffer.from(body)]), [method])
  return answer!
}

async function presigned(t: Test, wire: Wire): Promise<void> {
  const headers: [string, string][] = [['host', wire.host]]
  const sign = (signer: Parameters<typeof presign>[1] = {}, query = {}): string =>
    presign({ method: 'PUT', path: PATH, headers, query }, signer)
  const dayMs = 24 * 60 * MINUTE_MS
  const expired = { 'X-Amz-Expires': '60', Expires: true, ServerTime: true } as const
  type Case = [string, string, number, string, Record<string, string | true>?]
  const cases: Case[] = [
    ['wrong secret', sign({ secretAccessKey: 'x' }), 403, 'SignatureDoesNotMatch', mismatch],
    ['unknown key', sign({ accessKeyId: 'NOBODY' }), 403, 'InvalidAccessKeyId'],
    [
      'expired',
      sign({ ms: Date.now() - 2 * MINUTE_MS, expires: '60' }),
      403,
      'AccessDenied',
      expired,
    ],
    ['not yet valid', sign({ ms: Date.now() + dayMs }), 403, 'AccessDenied'],
    ['too long', sign({ expires: '604801' }), 400, 'AuthorizationQueryParametersError'],
    ['zero', sign({ expires: '0' }), 400, 'AuthorizationQueryParametersError'],
    ['negative', sign({ expires: '-1' }), 400, 'AuthorizationQueryParametersError'],
    ['no number', sign({ expires: 'soon' }), 400, 'AuthorizationQueryParametersError'],
    ['other service', sign({ service: 'ec2' }), 400, 'AuthorizationQueryParametersError'],
    ['cut', sign().replace(/&X-Amz-Signature=.*/, ''), 400, 'AuthorizationQueryParametersError'],
    ['one parameter more', `${sign()}&x-amz-meta-a=b`, 403, 'SignatureDoesNotMatch'],
    ['mixed with version 2', `${sign()}&Signature=abc`, 400, 'InvalidArgument'],
  ]
  for (const [name, query, status, code, elements] of cases) {
    wantError(t, await send(wire, 'PUT', query), status, code, elements, name)
  }
  wantError(
    t,
    await send(wire, 'GET', sign()),
    403,
    'SignatureDoesNotMatch',
    {},
    'the method is signed',
  )
  const unsigned = await send(wire, 'PUT', sign(), { 'x-amz-meta-a': 'b' })
  wantError(t, unsigned, 403, 'AccessDenied', { HeadersNotSigned: 'x-amz-meta-a' })
  const twice = await send(wire, 'PUT', sign(), { authorization: 'AWS4-HMAC-SHA256 x' })
  wantError(t, twice, 400, 'InvalidArgument', {}, 'signed twice')
  t.equal((await send(wire, 'PUT', sign({ expires: '604800' }))).status, 200, 'a week')
  await ask(wire, { method: 'DELETE', path: PATH })
}

async function presignedV2(t: Test, wire: Wire): Promise<void> {
  const put: { method: string; resource: string } = { method: 'PUT', resource: PATH }
  const past = String(Math.floor(Date.now() / 1000) - 60)
  const right = presignV2(put)
  type Case = [string, string, number, string, Record<string, string | true>?]
  const cases: Case[] = [
    [
      'wrong secret',
      presignV2(put, { secretAccessKey: 'x' }),
      403,
      'SignatureDoesNotMatch',
      { AWSAccessKeyId: TEST_KEYS.accessKeyId, StringToSign: true, SignatureProvided: true },
    ],
    ['unknown key', presignV2(put, { accessKeyId: 'NOBODY' }), 403, 'InvalidAccessKeyId'],
    [
      'expired',
      presignV2(put, { expires: past }),
      403,
      'AccessDenied',
      { Expires: true, ServerTime: true },
    ],
    ['no number', presignV2(put, { expires: 'soon' }), 403, 'AccessDenied'],
    ['no signature', right.replace(/&Signature=.*/, ''), 403, 'AccessDenied'],
    ['signed metadata left out', `${right}&x-amz-meta-a=b`, 403, 'SignatureDoesNotMatch'],
    ['sub-resource added', `${right}&uploads=`, 403, 'SignatureDoesNotMatch'],
  ]
  for (const [name, query, status, code, elements] of cases) {
    const answer = await send(wire, 'PUT', query)
    if (name === 'sub-resource added') t.equal(answer.status, 405, name)
    else wantError(t, answer, status, code, elements, name)
  }
  wantError(
    t,
    await send(wire, 'GET', right),
    403,
    'SignatureDoesNotMatch',
    {},
    'the method is signed',
  )
  const header = await send(wire, 'PUT', right, { 'x-amz-meta-a': 'b' })
  wantError(t, header, 403, 'SignatureDoesNotMatch', {}, 'so is metadata')
  const type = await send(wire, 'PUT', right, { 'content-type': 'text/x' })
  wantError(t, type, 403, 'SignatureDoesNotMatch', {}, 'and the type')
  t.equal((await send(wire, 'PUT', right)).status, 200)
  const get = presignV2({ method: 'GET', resource: PATH })
  t.equal((await send(wire, 'GET', get)).text, 'hello')
  const head = presignV2({ method: 'HEAD', resource: PATH })
  t.equal((await send(wire, 'HEAD', head)).headers['content-length'], '5')
  await ask(wire, { method: 'DELETE', path: PATH })
}

async function regions(t: Test, wire: Wire): Promise<void> {
  for (const region of ['us-east-1', 'eu-central-1', 'local', 'auto', '']) {
    const answer = await ask(wire, { path: PATH, signer: { region } })
    t.equal(answer.status, 404, `region '${region}'`)
  }
}

async function strictRegion(t: Test, wire: Wire): Promise<void> {
  const wrong = await ask(wire, { path: PATH })
  wantError(t, wrong, 400, 'AuthorizationHeaderMalformed', { Region: 'eu-west-1' })
  t.equal(wrong.headers['x-amz-bucket-region'], 'eu-west-1')
  const head = await ask(wire, { method: 'HEAD', path: `/${BUCKET}` })
  t.equal(`${head.status} ${head.headers['x-amz-bucket-region']}`, '400 eu-west-1', 'for HEAD too')
  for (const path of [`/${BUCKET}`, '/no-such-bucket']) {
    const anonymous = await ask(wire, { method: 'HEAD', path, signer: false })
    t.equal(`${anonymous.status} ${anonymous.headers['x-amz-bucket-region']}`, '403 eu-west-1')
  }
  const signer = { region: 'eu-west-1' }
  const right = await ask(wire, { path: PATH, signer })
  t.equal(elementOf(right, 'Code'), 'NoSuchKey')
  const headers: [string, string][] = [['host', wire.host]]
  const query = presign({ method: 'GET', path: PATH, headers })
  const presigned = await send(wire, 'GET', query)
  wantError(t, presigned, 400, 'AuthorizationQueryParametersError', { Region: 'eu-west-1' })
  const again = await ask(wire, { method: 'PUT', path: `/${BUCKET}`, signer })
  wantError(
    t,
    again,
    409,
    'BucketAlreadyOwnedByYou',
    { BucketName: BUCKET },
    'only us-east-1 says 200 (12)',
  )
  const where = await ask(wire, { path: `/${BUCKET}`, query: { location: '' }, signer })
  t.equal(elementOf(where, 'LocationConstraint'), 'eu-west-1')
}
