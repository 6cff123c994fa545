// Presigned URLs of Signature Version 2: the documentation's example, and URLs that boto3 made.
import t from 'tap'
import { parseAddress } from '../../../../src/gateway/address.ts'
import { authenticate } from '../../../../src/gateway/auth/authenticate.ts'
import { rootCredentials } from '../../../../src/gateway/auth/credentials.ts'
import { hoistHeaders } from '../../../../src/gateway/auth/hoist.ts'
import { SigningKeys } from '../../../../src/gateway/auth/signing-keys.ts'
import { signV2, stringToSignV2 } from '../../../../src/gateway/auth/sigv2.ts'

t.test("the documentation's presigned GET", async (t) => {
  const text = stringToSignV2({
    ...{ method: 'GET', headers: {}, expires: '1175139620', pairs: [] },
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
    expires: '1',
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
    ...{ method: 'GET', headers: {}, expires: String(EXPIRES), pairs: [], path: '/bkt/k' },
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
