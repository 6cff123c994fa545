// Who sent a request: good signatures of every kind, and each way in which one can be wrong (pitfalls 14 to 25).
import t from 'tap'
import { parseAddress } from '../../../../src/gateway/address.ts'
import type { Authenticated } from '../../../../src/gateway/auth/auth-request.ts'
import { authenticate } from '../../../../src/gateway/auth/authenticate.ts'
import { rootCredentials } from '../../../../src/gateway/auth/credentials.ts'
import { hoistHeaders } from '../../../../src/gateway/auth/hoist.ts'
import { permit } from '../../../../src/gateway/auth/permit.ts'
import { SigningKeys } from '../../../../src/gateway/auth/signing-keys.ts'
import {
  canonicalPath,
  canonicalQuery,
  canonicalRequest,
  EMPTY_SHA256,
  sign,
  signingKey,
  stringToSign,
} from '../../../../src/gateway/auth/sigv4.ts'
import { formatBasicTime, formatIsoTime } from '../../../../src/gateway/auth/times.ts'
import type { S3Error } from '../../../../src/gateway/s3-error.ts'

const ID = 'AKIA/WITH/SLASHES'
const SECRET = 'secret'
const NOW = Date.UTC(2026, 10, 21, 12, 0, 0)
const HOST = 'localhost:9000'

interface Request {
  method?: string
  url?: string
  headers?: Record<string, string>
}

interface Knobs {
  nowMs?: number
  region?: { name: string; enforced: boolean }
}

function check(
  { method = 'GET', url = '/bkt/k', headers = {} }: Request,
  knobs: Knobs = {},
): Authenticated {
  const address = parseAddress(url, headers.host ?? HOST, ['localhost'])
  const parts = {
    credentials: rootCredentials(ID, SECRET),
    keys: new SigningKeys(),
    region: knobs.region ?? { name: 'us-east-1', enforced: false },
    nowMs: knobs.nowMs ?? NOW,
  }
  const request = {
    method,
    address,
    rawHeaders: headers,
    headers: hoistHeaders(address.query, headers),
  }
  return authenticate(request, parts)
}

interface Signing {
  atMs?: number
  id?: string
  secret?: string
  region?: string
  service?: string
  terminal?: string
  scopeDate?: string
  /** Headers that are sent but not signed. */
  unsigned?: Record<string, string>
  path?: string
}

/** A request signed by header; `with` adds headers before signing. */
function signed(request: Request = {}, signing: Signing = {}): Request {
  const { method = 'GET', url = '/bkt/k' } = request
  const time = formatBasicTime(signing.atMs ?? NOW)
  const scope = {
    date: signing.scopeDate ?? time.slice(0, 8),
    region: signing.region ?? 'us-east-1',
    service: signing.service ?? 's3',
  }
  const headers: Record<string, string> = {
    host: HOST,
    'x-amz-date': time,
    'x-amz-content-sha256': EMPTY_SHA256,
    ...request.headers,
  }
  const names = Object.keys(headers).sort()
  const { rawPath, pairs } = parseAddress(url, HOST, [])
  const canonical = canonicalRequest({
    method,
    path: signing.path ?? canonicalPath(decodeURIComponent(rawPath)),
    query: canonicalQuery(pairs),
    headers: names.map((name) => [name, headers[name]!] as const),
    payloadHash: headers['x-amz-content-sha256']!,
  })
  const key = signingKey(signing.secret ?? SECRET, scope)
  const signature = sign(key, stringToSign(time, scope, canonical))
  const credential = [
    signing.id ?? ID,
    scope.date,
    scope.region,
    scope.service,
    signing.terminal ?? 'aws4_request',
  ]
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential.join('/')}, SignedHeaders=${names.join(';')},Signature=${signature}`
  return { method, url, headers: { ...headers, ...signing.unsigned, authorization } }
}

const ROOT = { identity: { kind: 'root', accessKeyId: ID } }

t.test('a signed header is the root, at any region', async (t) => {
  t.match(check(signed()), { ...ROOT, payload: { kind: 'hashed', sha256: EMPTY_SHA256 } })
  t.match(check(signed({}, { region: 'mars-1' })), ROOT)
  t.match(check(signed({}, { region: '' })), ROOT)
})

t.test('odd keys verify, encoded by the rule or as the client likes', async (t) => {
  for (const url of [
    '/bkt/a%20b%2Bc%3Dd',
    '/bkt/a/../b//c/',
    '/bkt/%C3%A9/%F0%9F%8D%8F',
    "/bkt/a=b+c!'()*~",
    '/bkt/a%2Fb',
    '/bkt?prefix=a%2Fb+c&delimiter&max-keys=',
  ]) {
    t.match(check(signed({ url })), ROOT, url)
  }
  t.match(check(signed({ url: '/bkt/a%2Fb' }, { path: '/bkt/a%2Fb' })), ROOT, 'as sent')
})

t.test('values with spaces and bytes beyond ASCII verify', async (t) => {
  const headers = { 'x-amz-meta-a': ' two   spaces ', 'x-amz-meta-b': 'caf\xc3\xa9 \xc3\xa0' }
  t.match(check(signed({ headers })), ROOT)
})

t.test('the Date header will do', async (t) => {
  const sent = signed()
  const { 'x-amz-date': _, ...others } = sent.headers!
  t.throws(() => check({ ...sent, headers: others }), { code: 'AccessDenied' }, 'none at all')
  const time = 'Sat, 21 Nov 2026 12:00:00 GMT'
  const names = ['date', 'host', 'x-amz-content-sha256']
  const values: Record<string, string> = {
    date: time,
    host: HOST,
    'x-amz-content-sha256': EMPTY_SHA256,
  }
  const scope = { date: '20261121', region: 'us-east-1', service: 's3' }
  const canonical = canonicalRequest({
    ...{ method: 'GET', path: '/bkt/k', query: '', payloadHash: EMPTY_SHA256 },
    headers: names.map((name) => [name, values[name]!] as const),
  })
  const signature = sign(
    signingKey(SECRET, scope),
    stringToSign('20261121T120000Z', scope, canonical),
  )
  const authorization = `AWS4-HMAC-SHA256 Credential=${ID}/20261121/us-east-1/s3/aws4_request,SignedHeaders=${names.join(';')},Signature=${signature}`
  t.match(check({ headers: { ...values, authorization } }), ROOT)
})

t.test('every payload mode', async (t) => {
  const payloadOf = (value: string) =>
    check(signed({ headers: { 'x-amz-content-sha256': value } })).payload
  t.same(payloadOf('UNSIGNED-PAYLOAD'), { kind: 'unsigned' })
  t.same(payloadOf('STREAMING-UNSIGNED-PAYLOAD-TRAILER'), {
    kind: 'chunked',
    seed: undefined,
    trailers: true,
  })
  t.match(payloadOf('STREAMING-AWS4-HMAC-SHA256-PAYLOAD'), {
    ...{ kind: 'chunked', trailers: false },
    seed: { time: formatBasicTime(NOW), signature: /^[0-9a-f]{64}$/ },
  })
  t.match(payloadOf('STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'), {
    kind: 'chunked',
    trailers: true,
  })
  t.throws(() => payloadOf('nonsense'), { code: 'InvalidArgument' })
  t.throws(() => payloadOf('STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD'), { code: 'NotImplemented' })
})

/** What an error must look like. */
type Wanted = { code: string; message?: string | RegExp; elements?: Record<string, string> }

const without = (name: string): Request => {
  const { [name]: _, ...headers } = signed().headers!
  return { headers }
}

t.test('each fault of a signed header has its error', async (t) => {
  const faults: [what: string, request: Request, wanted: Wanted][] = [
    [
      'unknown key',
      signed({}, { id: 'NOBODY' }),
      { code: 'InvalidAccessKeyId', elements: { AWSAccessKeyId: 'NOBODY' } },
    ],
    ['wrong secret', signed({}, { secret: 'x' }), { code: 'SignatureDoesNotMatch' }],
    ['other method', { ...signed(), method: 'HEAD' }, { code: 'SignatureDoesNotMatch' }],
    ['other key', { ...signed(), url: '/bkt/other' }, { code: 'SignatureDoesNotMatch' }],
    ['other query', { ...signed(), url: '/bkt/k?versionId=1' }, { code: 'SignatureDoesNotMatch' }],
    [
      'no hash',
      without('x-amz-content-sha256'),
      { code: 'InvalidRequest', message: /x-amz-content-sha256$/ },
    ],
    [
      'unsigned x-amz',
      signed({}, { unsigned: { 'x-amz-acl': 'public-read' } }),
      { code: 'AccessDenied', elements: { HeadersNotSigned: 'x-amz-acl' } },
    ],
    ['a token', signed({ headers: { 'x-amz-security-token': 'T' } }), { code: 'InvalidToken' }],
    ['other service', signed({}, { service: 'iam' }), { code: 'AuthorizationHeaderMalformed' }],
    [
      'other terminal',
      signed({}, { terminal: 'aws5_request' }),
      { code: 'AuthorizationHeaderMalformed' },
    ],
    ['other day', signed({}, { scopeDate: '20261120' }), { code: 'AuthorizationHeaderMalformed' }],
    ['no day', signed({}, { scopeDate: 'today' }), { code: 'AuthorizationHeaderMalformed' }],
    [
      'nothing in it',
      { headers: { host: HOST, authorization: 'AWS4-HMAC-SHA256' } },
      { code: 'AuthorizationHeaderMalformed' },
    ],
    [
      'SigV2 without a date',
      { headers: { host: HOST, authorization: `AWS ${ID}:x=` } },
      { code: 'AccessDenied', message: /valid Date or x-amz-date/ },
    ],
    [
      'SigV4A',
      { headers: { host: HOST, authorization: 'AWS4-ECDSA-P256-SHA256 Credential=x' } },
      { code: 'InvalidRequest' },
    ],
    [
      'Basic',
      { headers: { host: HOST, authorization: 'Basic abc' } },
      { code: 'InvalidArgument', message: 'Unsupported Authorization Type' },
    ],
    [
      'two of them',
      { ...signed(), url: '/bkt/k?X-Amz-Signature=0' },
      { code: 'InvalidArgument', message: /Only one auth mechanism/ },
    ],
  ]
  for (const [what, request, wanted] of faults) t.throws(() => check(request), wanted, what)
})

t.test('Host must be signed', async (t) => {
  const sent = signed()
  const authorization = sent.headers!.authorization!.replace(
    'SignedHeaders=host;',
    'SignedHeaders=',
  )
  t.throws(() => check({ headers: { ...sent.headers, authorization } }), {
    ...{ code: 'AccessDenied', elements: { HeadersNotSigned: 'host' } },
  })
})

t.test('a clock may be off by 15 minutes', async (t) => {
  for (const minutes of [-15, 15])
    t.match(check(signed({}, { atMs: NOW + minutes * 60_000 })), ROOT)
  for (const ms of [-900_001, 900_001].map(
    (off) => Math.round(off / 1000) * 1000 + Math.sign(off) * 1000,
  )) {
    const atMs = NOW + ms
    t.throws(() => check(signed({}, { atMs })), {
      code: 'RequestTimeTooSkewed',
      elements: {
        RequestTime: formatBasicTime(atMs),
        ServerTime: formatIsoTime(NOW),
        MaxAllowedSkewMilliseconds: '900000',
      },
    })
  }
})

t.test('an enforced region is told to those who use another', async (t) => {
  const region = { name: 'eu-west-1', enforced: true }
  t.throws(() => check(signed(), { region }), {
    ...{ code: 'AuthorizationHeaderMalformed', elements: { Region: 'eu-west-1' } },
  })
  t.match(check(signed({}, { region: 'eu-west-1' }), { region }), ROOT)
})

t.test('a wrong signature is explained', async (t) => {
  t.throws(() => check(signed({}, { secret: 'x' })), {
    code: 'SignatureDoesNotMatch',
    elements: {
      AWSAccessKeyId: ID,
      StringToSign: /^AWS4-HMAC-SHA256\n20261121T120000Z\n/,
      StringToSignBytes: /^41 57 53 34 /,
      CanonicalRequest: /^GET\n\/bkt\/k\n\nhost:localhost:9000\n/,
      CanonicalRequestBytes: /^47 45 54 0a /,
      SignatureProvided: /^[0-9a-f]{64}$/,
    },
  })
})

/** A URL presigned with V4; `over` replaces parameters before signing, `after` afterwards. */
function presigned(
  over: Record<string, string> = {},
  after: Record<string, string | undefined> = {},
): string {
  const time = over['X-Amz-Date'] ?? formatBasicTime(NOW)
  const parameters: Record<string, string> = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${ID}/${time.slice(0, 8)}/us-east-1/s3/aws4_request`,
    'X-Amz-Date': time,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
    ...over,
  }
  const [date = '', region = '', service = ''] =
    parameters['X-Amz-Credential']!.split('/').slice(-4)
  const scope = { date, region, service }
  const canonical = canonicalRequest({
    ...{ method: 'GET', path: '/bkt/k', headers: [['host', HOST]] },
    query: canonicalQuery(Object.entries(parameters)),
    payloadHash: over['X-Amz-Content-Sha256'] ?? 'UNSIGNED-PAYLOAD',
  })
  const signature = sign(signingKey(SECRET, scope), stringToSign(time, scope, canonical))
  const all = { ...parameters, 'X-Amz-Signature': signature, ...after }
  const pairs = Object.entries(all).filter(([, value]) => value !== undefined)
  return `/bkt/k?${new URLSearchParams(pairs as [string, string][])}`
}

const fromHost = { headers: { host: HOST } }

t.test('a presigned URL holds for its time', async (t) => {
  const url = presigned()
  t.match(check({ url, ...fromHost }), { ...ROOT, payload: { kind: 'unsigned' } })
  t.match(check({ url, ...fromHost }, { nowMs: NOW + 60_000 }), ROOT)
  t.throws(() => check({ url, ...fromHost }, { nowMs: NOW + 60_001 }), {
    code: 'AccessDenied',
    message: 'Request has expired',
    elements: {
      'X-Amz-Expires': '60',
      Expires: '2026-11-21T12:01:00Z',
      ServerTime: '2026-11-21T12:01:00Z',
    },
  })
  t.throws(() => check({ url, ...fromHost }, { nowMs: NOW - 901_000 }), {
    message: /not yet valid/,
  })
  t.match(check({ url: presigned({ 'X-Amz-Expires': '604800' }), ...fromHost }), ROOT)
})

t.test('a presigned URL may fix its payload', async (t) => {
  const url = presigned({ 'X-Amz-Content-Sha256': EMPTY_SHA256 })
  t.match(check({ url, ...fromHost }).payload, { kind: 'hashed', sha256: EMPTY_SHA256 })
})

t.test('each fault of a presigned URL has its error', async (t) => {
  const badParameters = { code: 'AuthorizationQueryParametersError' }
  const faults: [what: string, url: string, wanted: Wanted][] = [
    ...['Algorithm', 'Credential', 'Date', 'Expires', 'SignedHeaders', 'Signature'].map(
      (name) =>
        [`no ${name}`, presigned({}, { [`X-Amz-${name}`]: undefined }), badParameters] as [
          string,
          string,
          Wanted,
        ],
    ),
    ['expires at once', presigned({ 'X-Amz-Expires': '0' }), badParameters],
    [
      'negative',
      presigned({ 'X-Amz-Expires': '-1' }),
      { ...badParameters, message: /non-negative/ },
    ],
    [
      'over a week',
      presigned({ 'X-Amz-Expires': '604801' }),
      { ...badParameters, message: /less than 604800/ },
    ],
    ['no number', presigned({ 'X-Amz-Expires': 'soon' }), { ...badParameters, message: /number/ }],
    ['other algorithm', presigned({ 'X-Amz-Algorithm': 'AWS4-HMAC-SHA1' }), badParameters],
    ['bad date', presigned({ 'X-Amz-Date': '20261399T000000Z' }), badParameters],
    [
      'other day',
      presigned({ 'X-Amz-Credential': `${ID}/20261120/us-east-1/s3/aws4_request` }),
      badParameters,
    ],
    [
      'other service',
      presigned({ 'X-Amz-Credential': `${ID}/20261121/us-east-1/sts/aws4_request` }),
      badParameters,
    ],
    ['malformed credential', presigned({ 'X-Amz-Credential': ID }), badParameters],
    [
      'unknown key',
      presigned({ 'X-Amz-Credential': 'NOBODY/20261121/us-east-1/s3/aws4_request' }),
      { code: 'InvalidAccessKeyId' },
    ],
    ['a token', presigned({ 'X-Amz-Security-Token': 'T' }), { code: 'InvalidToken' }],
    ['one parameter more', presigned({}, { versionId: 'x' }), { code: 'SignatureDoesNotMatch' }],
    ['a longer life', presigned({}, { 'X-Amz-Expires': '61' }), { code: 'SignatureDoesNotMatch' }],
  ]
  for (const [what, url, wanted] of faults)
    t.throws(() => check({ url, ...fromHost }), wanted, what)
  const headers = { host: HOST, 'x-amz-meta-a': 'b' }
  t.throws(() => check({ url: presigned(), headers }), {
    code: 'AccessDenied',
    elements: { HeadersNotSigned: 'x-amz-meta-a' },
  })
  const region = { name: 'eu-west-1', enforced: true }
  t.throws(() => check({ url: presigned(), ...fromHost }, { region }), {
    ...badParameters,
    elements: { Region: 'eu-west-1' },
  })
})

t.test('a header that is said to be signed many times is written out once', async (t) => {
  const names = `host${';x-long'.repeat(500)}`
  const headers = { host: HOST, 'x-long': ' y'.repeat(15_000) }
  const lines = `host:${HOST}\nx-long:${'y '.repeat(15_000).trim()}\n\nhost;x-long\n`
  const url = presigned({ 'X-Amz-SignedHeaders': names })
  const credential = `Credential=${ID}/20261121/us-east-1/s3/aws4_request`
  const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, Signature=00`
  const sent = { 'x-amz-date': formatBasicTime(NOW), 'x-amz-content-sha256': EMPTY_SHA256 }
  t.throws(() => check({ url, headers }), {
    code: 'SignatureDoesNotMatch',
    elements: { CanonicalRequest: new RegExp(`\n${lines}`) },
  })
  t.throws(() => check({ headers: { host: HOST, ...sent, authorization } }), {
    code: 'AccessDenied',
    elements: { HeadersNotSigned: 'x-amz-date, x-amz-content-sha256' },
  })
})

t.test('a refusal repeats no key of a client (pitfall 119)', async (t) => {
  const name = 'x-amz-server-side-encryption-customer-key'
  const bytes = /4b 45 59 4b 45 59/
  const keys = { [name]: 'KEYKEY', [`x-amz-copy-source-${name.slice(6)}`]: 'KEYKEY' }
  const right = signed({ headers: { ...keys, [`${name}-md5`]: 'MD5' } })
  t.match(check(right), ROOT)
  const inQuery = presigned({}, { 'X-Amz-Server-Side-Encryption-Customer-Key': 'KEYKEY' })
  const requests = [
    { ...right, method: 'PUT' },
    { url: inQuery, ...fromHost },
  ]
  for (const request of requests) {
    const { elements } = t.throws(() => check(request), {
      code: 'SignatureDoesNotMatch',
    }) as S3Error
    t.notMatch(JSON.stringify(elements), /KEYKEY/)
    t.notMatch(JSON.stringify(elements), bytes)
    t.match(elements.CanonicalRequest, /customer-key[:=]\.\.\./i)
    t.equal(elements.CanonicalRequestBytes, undefined)
    t.ok(elements.StringToSignBytes, 'of a hash')
  }
  const { elements } = t.throws(() => check({ ...signed(), method: 'PUT' }), {
    code: 'SignatureDoesNotMatch',
  }) as S3Error
  t.ok(elements.CanonicalRequestBytes, 'nothing was hidden')
  t.throws(() => check({ ...signed({ headers: { [`${name}-md5`]: 'MD5' } }), method: 'PUT' }), {
    code: 'SignatureDoesNotMatch',
    elements: { CanonicalRequest: /customer-key-md5:MD5/ },
  })
})

t.test('anonymous requests carry no identity and may do nothing', async (t) => {
  const { identity } = check(fromHost)
  t.same(identity, { kind: 'anonymous' })
  const plain = { query: {}, region: 'us-east-1' }
  t.throws(() => permit(identity, 'GetObject', plain), { code: 'AccessDenied', status: 403 })
  t.throws(() => permit(identity, 'HeadBucket', plain), {
    code: 'AccessDenied',
    headers: { 'x-amz-bucket-region': 'us-east-1' },
  })
  const overriding = { ...plain, query: { 'response-content-type': 'x' } }
  t.throws(() => permit(identity, 'GetObject', overriding), {
    ...{ code: 'InvalidRequest', message: /anonymous/ },
  })
  t.doesNotThrow(() => permit(identity, 'CorsPreflight', plain))
  t.doesNotThrow(() => permit({ kind: 'root', accessKeyId: ID }, 'DeleteBucket', plain))
})

t.test('signing keys are kept, and not too many', async (t) => {
  const keys = new SigningKeys()
  const scope = { date: '20261121', region: 'r', service: 's3' }
  const first = keys.find(SECRET, scope)
  t.equal(keys.find(SECRET, scope), first)
  for (let index = 0; index < 300; index += 1) keys.find(SECRET, { ...scope, region: `r${index}` })
  t.not(keys.find(SECRET, { ...scope }), first, 'made anew')
  t.same(keys.find(SECRET, { ...scope }), first)
  t.equal(keys.find(SECRET, scope), first, 'the very scope has still its own')
  t.notSame(keys.find('another', scope), first, 'but not for another secret')
})

t.test('what is known of a client by its header is believed of no other signature', async (t) => {
  t.equal(check(signed()).identity.kind, 'root')
  t.equal(check(signed({ url: '/bkt/another' })).identity.kind, 'root', 'the same words once more')
  const { headers } = signed()
  const { authorization = '' } = headers ?? {}
  const forged = (change: string): Request => ({ headers: { ...headers, authorization: change } })
  const words = authorization.slice(0, -64)
  t.throws(() => check(forged(words + '0'.repeat(64))), { code: 'SignatureDoesNotMatch' })
  t.throws(() => check(forged(authorization.slice(0, -1))), { code: 'SignatureDoesNotMatch' })
  t.throws(() => check(forged(words)), { code: 'SignatureDoesNotMatch' })
  const buried = authorization.replace(',Signature=', ', Other= Signature=')
  t.throws(() => check(forged(buried)), { code: 'AuthorizationHeaderMalformed' })
  t.throws(() => check(forged(buried)), { code: 'AuthorizationHeaderMalformed' }, 'nor later')
})
