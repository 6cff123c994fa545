// Signature Version 2 in the query and in the header: the documentation's example, and what boto3 made.
import t from 'tap'
import { parseAddress } from '../../../../src/gateway/address.ts'
import { authenticate } from '../../../../src/gateway/auth/authenticate.ts'
import { rootCredentials } from '../../../../src/gateway/auth/credentials.ts'
import { hoistHeaders } from '../../../../src/gateway/auth/hoist.ts'
import { SigningKeys } from '../../../../src/gateway/auth/signing-keys.ts'
import { signV2, stringToSignV2 } from '../../../../src/gateway/auth/sigv2.ts'
import type { S3Error } from '../../../../src/gateway/s3-error.ts'

t.test("the documentation's presigned GET", async (t) => {
  const text = stringToSignV2({
    ...{ method: 'GET', headers: {}, date: '1175139620', pairs: [] },
    path: '/johnsmith/photos/puppy.jpg',
  })
  t.equal(text, 'GET\n\n\n1175139620\n/johnsmith/photos/puppy.jpg')
  const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
  t.equal(signV2(secret, text), 'NpgCjnDzrM+WFzoENXmpNDUsSn8=')
})

t.test('amz headers and sub-resources are sorted in', async (t) => {
  const text = stringToSignV2({
    method: 'PUT',
    headers: { 'x-amz-meta-b': '2', 'content-type': 'a/b', 'x-amz-meta-a': ' 1 ', accept: '*' },
    date: '1',
    path: '/bkt/k',
    pairs: [
      ['uploadId', 'ü'],
      ['partNumber', '1'],
      ['prefix', 'x'],
      ['acl', ''],
    ],
  })
  t.equal(text, 'PUT\n\na/b\n1\nx-amz-meta-a:1\nx-amz-meta-b:2\n/bkt/k?acl&partNumber=1&uploadId=ü')
})

t.test('no value makes a line of its own', async (t) => {
  const sign = (value: string) =>
    stringToSignV2({
      ...{ method: 'PUT', date: '1', path: '/bkt/k', pairs: [] },
      headers: { 'x-amz-meta-a': value },
    })
  t.equal(sign('1\nx-amz-meta-b:2'), 'PUT\n\n\n1\nx-amz-meta-a:1 x-amz-meta-b:2\n/bkt/k')
  t.equal(sign(' 1 \r\n\t2\r 3\n'), 'PUT\n\n\n1\nx-amz-meta-a:1 2 3\n/bkt/k', 'as AWS unfolds')
})

const EXPIRES = 1_795_267_534
const NOW = (EXPIRES - 60) * 1000

function check(method: string, url: string, sent: Record<string, string> = {}, nowMs = NOW) {
  const rawHeaders = { host: '127.0.0.1:9000', ...sent }
  const address = parseAddress(url, rawHeaders.host, ['localhost'])
  const headers = hoistHeaders(address.query, rawHeaders)
  return authenticate(
    { method, address, headers, rawHeaders },
    {
      credentials: rootCredentials('AK', 'SECRET'),
      keys: new SigningKeys(),
      region: { name: 'us-east-1', enforced: true },
      nowMs,
    },
  )
}

const GET =
  '/bkt/a%20b/%C3%A9%2B%3D.txt?response-content-disposition=attachment%3B%20filename%3D%22%C3%A4%20b.txt%22&AWSAccessKeyId=AK&Signature=W4iCP%2FiofaFUWr74fhSwX1cFByg%3D&Expires=1795267534'
const PUT =
  '/bkt/k?AWSAccessKeyId=AK&Signature=kydujuOmHQibsNyV02oy6LritH8%3D&x-amz-meta-foo=bar&content-type=text%2Fplain&Expires=1795267534'
const ROOT = { identity: { kind: 'root', accessKeyId: 'AK' }, payload: { kind: 'unsigned' } }

t.test("boto3's URLs verify", async (t) => {
  t.match(check('GET', GET), ROOT)
  t.match(check('PUT', PUT), ROOT)
  t.match(check('PUT', PUT, { 'content-type': 'text/plain' }), ROOT)
})

t.test('by virtual host the bucket is part of what is signed', async (t) => {
  const text = stringToSignV2({
    ...{ method: 'GET', headers: {}, date: String(EXPIRES), pairs: [], path: '/bkt/k' },
  })
  const signature = encodeURIComponent(signV2('SECRET', text))
  const url = `/k?AWSAccessKeyId=AK&Expires=${EXPIRES}&Signature=${signature}`
  t.match(check('GET', url, { host: 'bkt.localhost' }), ROOT)
})

t.test('each fault has its error', async (t) => {
  const mismatch = { code: 'SignatureDoesNotMatch', elements: { AWSAccessKeyId: 'AK' } }
  t.throws(() => check('HEAD', GET), mismatch)
  t.throws(() => check('PUT', PUT, { 'content-type': 'text/html' }), mismatch)
  t.throws(() => check('PUT', `${PUT}&x-amz-acl=public-read`), mismatch)
  t.throws(() => check('PUT', PUT, { 'x-amz-acl': 'public-read' }), mismatch)
  t.throws(() => check('GET', GET.replace('AK', 'XX')), { code: 'InvalidAccessKeyId' })
  t.throws(() => check('GET', GET, {}, EXPIRES * 1000 + 1), {
    code: 'AccessDenied',
    message: 'Request has expired',
    elements: { Expires: '2026-11-21T13:25:34Z' },
  })
  t.throws(() => check('GET', GET.replace(/Expires=\d+/, 'Expires=soon')), {
    message: /since epoch/,
  })
  t.throws(() => check('GET', GET.replace(/&Expires=\d+/, '')), { code: 'AccessDenied' })
  t.throws(() => check('GET', `${GET}&x-amz-security-token=T`), { code: 'InvalidToken' })
  const streaming = { 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' }
  t.throws(() => check('PUT', PUT, streaming), mismatch)
})

/** A URL signed with the parameters `signed`, which has those of `sent` in their place. */
function forged(path: string, signed: Record<string, string>, sent: Record<string, string>) {
  const pairs = Object.entries(signed)
  const headers = Object.fromEntries(pairs.filter(([name]) => name.startsWith('x-amz-')))
  const text = stringToSignV2({ method: 'PUT', headers, date: String(EXPIRES), path, pairs })
  const signature = signV2('SECRET', text)
  const claim = { AWSAccessKeyId: 'AK', Signature: signature, Expires: String(EXPIRES) }
  return `${path}?${new URLSearchParams({ ...sent, ...claim })}`
}

t.test('a header that was signed can not be hidden in the value of another', async (t) => {
  const signed = { 'x-amz-meta-a': '1', 'x-amz-object-lock-mode': 'COMPLIANCE' }
  t.match(check('PUT', forged('/bkt/k', signed, signed)), ROOT)
  const sent = { 'x-amz-meta-a': '1\nx-amz-object-lock-mode:COMPLIANCE' }
  t.throws(() => check('PUT', forged('/bkt/k', signed, sent)), { code: 'SignatureDoesNotMatch' })
})

t.test('a sub-resource that was signed can not be hidden in the value of another', async (t) => {
  const type = 'response-content-type'
  const signed = { [type]: 'a/b', versionId: 'v1' }
  t.match(check('PUT', forged('/bkt/k', signed, signed)), ROOT)
  const refused = { code: 'SignatureDoesNotMatch' }
  const sent = { [type]: 'a/b&versionId=v1' }
  t.throws(() => check('PUT', forged('/bkt/k', signed, sent)), refused)
  t.throws(() => check('PUT', forged('/bkt/k', sent, sent)), refused, 'nobody can tell them apart')
  const flag = forged('/bkt/k', { [type]: 'a/b', uploads: '' }, { [type]: 'a/b&uploads' })
  t.throws(() => check('PUT', flag), refused)
  const harmless = { 'response-content-disposition': 'attachment; filename="a&b=c &versionIds"' }
  t.match(check('PUT', forged('/bkt/k', harmless, harmless)), ROOT)
})

t.test('a refusal repeats no key of a client (pitfall 119)', async (t) => {
  const name = 'x-amz-server-side-encryption-customer-key'
  const { elements } = t.throws(() => check('PUT', PUT, { [name]: 'KEYKEY' }), {
    code: 'SignatureDoesNotMatch',
    elements: { StringToSign: new RegExp(`${name}:\\.\\.\\.\n`) },
  }) as S3Error
  t.equal(elements.StringToSignBytes, undefined)
  const hoisted = t.throws(() => check('PUT', `${PUT}&${name}=KEYKEY`), {
    code: 'SignatureDoesNotMatch',
  }) as S3Error
  t.notMatch(JSON.stringify(hoisted.elements), /KEYKEY/)
  const other = t.throws(() => check('PUT', PUT, { [`${name}-md5`]: 'MD5' }), {
    code: 'SignatureDoesNotMatch',
  }) as S3Error
  t.ok(other.elements.StringToSignBytes, 'nothing was hidden')
})

const DATE = 'Sat, 21 Nov 2026 13:25:34 GMT'
const AT = Date.parse(DATE)

function byHeader(
  method: string,
  url: string,
  signature: string,
  sent: Record<string, string> = {},
  nowMs = AT,
) {
  return check(method, url, { date: DATE, authorization: `AWS AK:${signature}`, ...sent }, nowMs)
}

const TEXT = {
  'content-type': 'text/plain',
  'content-md5': 'XUFAKrxLKna5cZ2REBfFkg==',
  'x-amz-meta-b': ' 2 ',
  'x-amz-meta-a': '1',
}
type Signed = Parameters<typeof byHeader>
const SIGNED: { get: Signed; put: Signed; list: Signed } = {
  get: ['GET', '/bkt/a%20b?acl&versionId=v1&prefix=x', 'HXZauzbc5sOjWHpTOxp5JQ+uCwI='],
  put: ['PUT', '/bkt/k', 'pqIg06tcOQQQq8ev65yzFvYSb9U=', TEXT],
  list: ['GET', '/bkt/?uploads', 'cDJGqV5EmBpch15FLw7rPS3gDgw='],
}

t.test("botocore's headers verify", async (t) => {
  for (const [name, request] of Object.entries(SIGNED)) t.match(byHeader(...request), ROOT, name)
})

t.test('x-amz-date takes the place of Date', async (t) => {
  const text = stringToSignV2({
    ...{ method: 'GET', headers: { 'x-amz-date': DATE }, date: '', pairs: [], path: '/bkt/k' },
  })
  t.equal(text, `GET\n\n\n\nx-amz-date:${DATE}\n/bkt/k`)
  const sent = { 'x-amz-date': DATE, date: 'Sat, 21 Nov 2020 00:00:00 GMT' }
  t.match(byHeader('GET', '/bkt/k', signV2('SECRET', text), sent), ROOT)
})

t.test('each fault of a header has its error', async (t) => {
  const [method, url, signature] = SIGNED.put
  const put = (sent: Record<string, string>, nowMs = AT) =>
    byHeader(method, url, signature, { ...TEXT, ...sent }, nowMs)
  const mismatch = { code: 'SignatureDoesNotMatch', elements: { AWSAccessKeyId: 'AK' } }
  t.throws(() => put({ 'content-type': 'text/html' }), mismatch)
  t.throws(() => put({ 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' }), mismatch)
  t.throws(() => put({ 'x-amz-acl': 'public-read' }), mismatch)
  t.throws(() => put({ date: 'Sat, 21 Nov 2026 13:25:35 GMT' }), mismatch)
  t.throws(() => put({ date: 'soon' }), { code: 'AccessDenied', message: /valid Date/ })
  t.throws(() => put({}, AT + 901_000), { code: 'RequestTimeTooSkewed' })
  t.throws(() => put({}, AT - 901_000), { code: 'RequestTimeTooSkewed' })
  t.throws(() => put({ authorization: `AWS XX:${signature}` }), { code: 'InvalidAccessKeyId' })
  t.throws(() => put({ 'x-amz-security-token': 'T' }), { code: 'InvalidToken' })
  for (const authorization of ['AWS', 'AWS AK', 'AWS :x', 'AWS AK:', 'AWS AK:a b']) {
    t.throws(() => put({ authorization }), { code: 'InvalidArgument', message: /is invalid/ })
  }
  const streaming = { 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' }
  t.throws(() => put(streaming), mismatch)
})

t.test('a sub-resource that Version 2 does not cover can not be put behind a URL', async (t) => {
  const uncovered = { code: 'InvalidRequest', message: /does not cover/ }
  for (const name of ['legal-hold', 'retention', 'renameObject', 'attributes', 'annotation']) {
    t.throws(() => check('PUT', `${PUT}&${name}`), uncovered, name)
    t.throws(() => byHeader('PUT', `/bkt/k?${name}`, SIGNED.put[2], TEXT), uncovered, name)
  }
  t.throws(() => check('PUT', `${PUT}&tagging`), { code: 'SignatureDoesNotMatch' })
})
