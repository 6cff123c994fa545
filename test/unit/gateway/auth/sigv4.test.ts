// The examples of the AWS documentation ("Authenticating Requests (AWS Signature Version 4)"), figure for figure.
import { createHmac, randomBytes } from 'node:crypto'
import t from 'tap'
import { ChunkChain } from '../../../../src/gateway/auth/chunk-chain.ts'
import {
  canonicalPath,
  canonicalQuery,
  canonicalRequest,
  EMPTY_SHA256,
  encodeStrictly,
  type Scope,
  type SignedParts,
  sha256Hex,
  sign,
  signingKey,
  stringToSign,
} from '../../../../src/gateway/auth/sigv4.ts'

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const TIME = '20130524T000000Z'
const SCOPE: Scope = { date: '20130524', region: 'us-east-1', service: 's3' }
const KEY = signingKey(SECRET, SCOPE)
const HOST = ['host', 'examplebucket.s3.amazonaws.com'] as const
const DATE = ['x-amz-date', TIME] as const
const EMPTY = ['x-amz-content-sha256', EMPTY_SHA256] as const

function signatureOf(parts: Partial<SignedParts>): string {
  const whole = {
    method: 'GET',
    path: '/',
    query: '',
    headers: [],
    payloadHash: EMPTY_SHA256,
    ...parts,
  }
  return sign(KEY, stringToSign(TIME, SCOPE, canonicalRequest(whole)))
}

t.test('GET of an object', async (t) => {
  const headers = [HOST, ['range', 'bytes=0-9'] as const, EMPTY, DATE]
  t.equal(
    signatureOf({ path: '/test.txt', headers }),
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  )
})

t.test('PUT of an object', async (t) => {
  const payloadHash = sha256Hex(Buffer.from('Welcome to Amazon S3.'))
  const headers = [
    ['date', 'Fri, 24 May 2013 00:00:00 GMT'] as const,
    HOST,
    ['x-amz-content-sha256', payloadHash] as const,
    DATE,
    ['x-amz-storage-class', 'REDUCED_REDUNDANCY'] as const,
  ]
  t.equal(
    signatureOf({ method: 'PUT', path: canonicalPath('/test$file.text'), headers, payloadHash }),
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  )
})

t.test('GET of a lifecycle', async (t) => {
  t.equal(
    signatureOf({ query: canonicalQuery([['lifecycle', '']]), headers: [HOST, EMPTY, DATE] }),
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  )
})

t.test('GET of a list', async (t) => {
  const query = canonicalQuery([
    ['prefix', 'J'],
    ['max-keys', '2'],
  ])
  t.equal(
    signatureOf({ query, headers: [HOST, EMPTY, DATE] }),
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  )
})

t.test('a presigned GET', async (t) => {
  const query = canonicalQuery([
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'],
    ['X-Amz-Date', TIME],
    ['X-Amz-Expires', '86400'],
    ['X-Amz-SignedHeaders', 'host'],
  ])
  t.equal(
    signatureOf({ path: '/test.txt', query, headers: [HOST], payloadHash: 'UNSIGNED-PAYLOAD' }),
    'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  )
})

const CHUNKED_HEADERS = [
  ['content-encoding', 'aws-chunked'],
  ['content-length', '66824'],
  ['host', 's3.amazonaws.com'],
  ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'],
  ['x-amz-date', TIME],
  ['x-amz-decoded-content-length', '66560'],
  ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
] as const

t.test('an upload in signed chunks', async (t) => {
  const signature = signatureOf({
    method: 'PUT',
    path: '/examplebucket/chunkObject.txt',
    headers: CHUNKED_HEADERS,
    payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  })
  t.equal(signature, '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9')
  const chain = new ChunkChain({ key: KEY, time: TIME, scope: SCOPE, signature })
  chain.update(Buffer.alloc(65536, 'a'))
  chain.verifyChunk('ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648')
  chain.update(Buffer.alloc(1000, 'a'))
  chain.update(Buffer.alloc(24, 'a'))
  chain.verifyChunk('0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497')
  chain.verifyChunk('b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9')
})

t.test('an upload in signed chunks with a trailer', async (t) => {
  // Seed of the documentation's example; its chunks are the same 66,560 letters.
  const signature = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e'
  const chain = new ChunkChain({ key: KEY, time: TIME, scope: SCOPE, signature })
  chain.update(Buffer.alloc(65536, 'a'))
  chain.verifyChunk('b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2')
  chain.update(Buffer.alloc(1024, 'a'))
  chain.verifyChunk('1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7')
  chain.verifyChunk('2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992')
  t.doesNotThrow(() =>
    chain.verifyTrailers(
      'x-amz-checksum-crc32c:sOO8/Q==\n',
      'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435',
    ),
  )
})

t.test('a chunk with another signature, or none, is refused', async (t) => {
  for (const given of ['0'.repeat(64), undefined]) {
    const chain = new ChunkChain({ key: KEY, time: TIME, scope: SCOPE, signature: '1'.repeat(64) })
    chain.update(Buffer.from('x'))
    t.throws(() => chain.verifyChunk(given), { code: 'SignatureDoesNotMatch' })
  }
})

t.test('a signature is the HMAC of the text, whatever key and text are', async (t) => {
  const texts = [
    '',
    'a',
    'AWS4-HMAC-SHA256\n',
    'ü',
    'x'.repeat(447),
    'x'.repeat(448),
    'é'.repeat(300),
  ]
  for (const bytes of [0, 1, 32, 63, 64, 65, 200]) {
    const key = randomBytes(bytes)
    for (const text of [...texts, 'y'.repeat(5000), ...texts]) {
      const wanted = createHmac('sha256', key).update(text, 'utf8').digest('hex')
      t.equal(sign(key, text), wanted, `${bytes} bytes of key, ${text.length} characters`)
    }
  }
})

t.test('encoding is strict and single', async (t) => {
  t.equal(encodeStrictly("a b+c=d~e!'()*"), 'a%20b%2Bc%3Dd~e%21%27%28%29%2A')
  t.equal(canonicalPath('/b/a=b//c/é'), '/b/a%3Db//c/%C3%A9')
  t.equal(
    canonicalQuery([
      ['b', '2'],
      ['a', 'z'],
      ['a', ''],
      ['A', '/'],
    ]),
    'A=%2F&a=&a=z&b=2',
  )
})

t.test('header values lose spaces around and runs of them within, but no byte 0xa0', async (t) => {
  const headers = [['x', '  a   b\t c \xc3\xa0']] as const
  t.match(
    canonicalRequest({ method: 'GET', path: '/', query: '', headers, payloadHash: 'p' }),
    'x:a b c \xc3\xa0\n',
  )
})
