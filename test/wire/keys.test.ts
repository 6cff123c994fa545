// Keys and paths as they stand on the wire: odd ones are ordinary and round-trip, impossible ones are refused.
import t, { type Test } from 'tap'
import { sha256Hex, strictEncode } from './signing.ts'
import {
  type Answer,
  ask,
  BUCKET,
  elementOf,
  elementsOf,
  listed,
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

/** Different keys, each as ordinary as any other (2, 3, 5). */
const ODD_KEYS = [
  'a',
  'a/',
  '/a',
  '//a',
  'a//b',
  'a/b',
  'a/../b',
  'a/./b',
  './a',
  'a/b/..',
  'b',
  'a/..',
  ' a ',
  'a+b',
  'a b',
  'a%20b',
  'a%2Fb',
  'a=b&c=d',
  "!'()*~-_.",
  'a?acl',
  'a#b',
  'ä/€/😀',
  'a\u0308',
  '\ufeffa',
  'tab\tand\nline',
  '<&>"\'',
  'a;b,c:d@e$f',
  '\\..\\a',
  'k'.repeat(1024),
  '€'.repeat(341),
]

/** A key in a path: slashes stay, nothing else does. */
function pathOf(key: string): string {
  return `/${BUCKET}/${key.split('/').map(strictEncode).join('/')}`
}

t.test('keys', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('odd keys round-trip', async (t) => roundTrip(t, wire))
    await t.test('odd keys in multipart uploads', async (t) => uploadOdd(t, wire))
    await t.test('odd keys are deleted each by itself', async (t) => deleteOdd(t, wire))
    await t.test('one key has many spellings', async (t) => spell(t, wire))
    await t.test('impossible paths are refused', async (t) => refusePaths(t, wire))
    await t.test('virtual hosts (1)', async (t) => virtualHosts(t, wire))
  })
})

async function roundTrip(t: Test, wire: Wire): Promise<void> {
  for (const key of ODD_KEYS) await put(wire, pathOf(key), `of ${key}`)
  for (const key of ODD_KEYS) {
    const got = await ask(wire, { path: pathOf(key) })
    t.equal(got.text, `of ${key}`, JSON.stringify(key.slice(0, 40)))
    const head = await ask(wire, { method: 'HEAD', path: pathOf(key) })
    t.equal(head.headers.etag, got.headers.etag)
  }
  const sorted = ODD_KEYS.map((key) => Buffer.from(key))
    .sort(Buffer.compare)
    .map(String)
  t.same(await listed(wire), sorted, 'all are listed in order of their bytes (79)')
  const encoded = await ask(wire, {
    path: `/${BUCKET}`,
    query: { 'list-type': '2', 'encoding-type': 'url' },
  })
  t.same(elementsOf(encoded, 'Key').map(decodeURIComponent), sorted, 'and encoded (84)')
  t.notMatch(encoded.text, /<Key>[^<]*\+/, 'space is %20, plus is %2B')
  for (const key of ODD_KEYS) {
    const answer = await ask(wire, {
      method: 'PUT',
      path: `/${BUCKET}/copy`,
      headers: { 'x-amz-copy-source': pathOf(key) },
    })
    t.equal(answer.status, 200, answer.text)
    t.equal((await ask(wire, { path: `/${BUCKET}/copy` })).text, `of ${key}`, 'is copied (97)')
  }
  await ask(wire, { method: 'DELETE', path: `/${BUCKET}/copy` })
}

async function uploadOdd(t: Test, wire: Wire): Promise<void> {
  for (const key of ['a/../b', 'a//b', '/a', 'a/', '<&>"\'']) {
    const path = pathOf(key)
    const created = await ask(wire, { method: 'POST', path, query: { uploads: '' } })
    t.equal(elementOf(created, 'Key'), key)
    const uploadId = elementOf(created, 'UploadId')!
    t.match(uploadId, /^[A-Za-z0-9._-]+$/, 'safe in any URL (105)')
    const part = await ask(wire, {
      ...{ method: 'PUT', path, body: `parts of ${key}` },
      query: { partNumber: '1', uploadId },
    })
    const xml = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`
    const done = await ask(wire, { method: 'POST', path, query: { uploadId }, body: xml })
    t.equal(elementOf(done, 'Key'), key, done.text)
    t.equal(elementOf(done, 'Location'), `http://${wire.host}${path}`, 'Location is a URL (111)')
    t.equal((await ask(wire, { path })).text, `parts of ${key}`)
  }
}

async function deleteOdd(t: Test, wire: Wire): Promise<void> {
  const [first, ...others] = ODD_KEYS
  const gone = await ask(wire, { method: 'DELETE', path: pathOf(first!) })
  t.equal(gone.status, 204)
  t.equal((await listed(wire)).length, others.length)
  const escapeKey = (key: string): string =>
    key.replace(/[&<>\t\n]/g, (character) => `&#${character.charCodeAt(0)};`)
  const objects = others.map((key) => `<Object><Key>${escapeKey(key)}</Key></Object>`)
  const body = `<Delete>${objects.join('')}</Delete>`
  const answer = await ask(wire, {
    ...{ method: 'POST', path: `/${BUCKET}`, query: { delete: '' }, body },
    headers: { 'x-amz-checksum-sha256': Buffer.from(sha256Hex(body), 'hex').toString('base64') },
  })
  t.equal(elementsOf(answer, 'Key').length, others.length, answer.text.slice(0, 300))
  t.same(await listed(wire), [])
}

async function spell(t: Test, wire: Wire): Promise<void> {
  await put(wire, `/${BUCKET}/a%2Fb%20c`, 'one')
  t.same(await listed(wire), ['a/b c'], 'decoded exactly once (2)')
  for (const path of ['/a/b%20c', '/%61%2fb%20c']) {
    t.equal((await ask(wire, { path: `/${BUCKET}${path}` })).text, 'one', path)
  }
  t.equal((await ask(wire, { path: `/${BUCKET}/a/b+c` })).status, 404, 'plus is no space (3)')
  const proxied = `http://${wire.host}/${BUCKET}/x`
  t.equal((await ask(wire, { path: proxied, signer: false })).status, 403, 'a whole URL')
  await ask(wire, { method: 'DELETE', path: pathOf('a/b c') })
}

async function refusePaths(t: Test, wire: Wire): Promise<void> {
  const tooLong = { Size: '1025', MaxSizeAllowed: '1024' }
  const cases: [path: string, code: string, elements?: Record<string, string>][] = [
    [pathOf('k'.repeat(1025)), 'KeyTooLongError', tooLong],
    [pathOf(`${'€'.repeat(341)}kk`), 'KeyTooLongError', tooLong],
    [pathOf('k'.repeat(20_000)), 'KeyTooLongError', { Size: '20000' }],
    [`/${BUCKET}/a%00b`, 'InvalidURI'],
    [`/${BUCKET}/%`, 'InvalidURI'],
    [`/${BUCKET}/%4`, 'InvalidURI'],
    [`/${BUCKET}/%zz`, 'InvalidURI'],
    [`/${BUCKET}/%u0041`, 'InvalidURI'],
    [`/${BUCKET}/%ff`, 'InvalidURI'],
    [`/${BUCKET}/%c0%af`, 'InvalidURI'],
    [`/${BUCKET}/%ed%a0%80`, 'InvalidURI'],
    [`/${BUCKET}/\xff`, 'InvalidURI'],
    [`/${BUCKET}/\xc3\xa4`, 'InvalidURI'],
    [`/${BUCKET}/../x`, 'InvalidURI'],
    [`/${BUCKET}/%2e%2e/x`, 'InvalidURI'],
    [`/${BUCKET}/..%2fx`, 'InvalidURI'],
    [`/${BUCKET}/a/../../x`, 'InvalidURI'],
    [`/${BUCKET}/..`, 'InvalidURI'],
    ['/../x', 'InvalidBucketName', { BucketName: '..' }],
    ['/%2e%2e/x', 'InvalidBucketName', { BucketName: '..' }],
    ['//x', 'InvalidBucketName', { BucketName: '' }],
    ['/Wire/x', 'InvalidBucketName', { BucketName: 'Wire' }],
    ['/wi/x', 'InvalidBucketName'],
    ['/192.168.1.1/x', 'InvalidBucketName'],
    ['/xn--wire/x', 'InvalidBucketName'],
    ['/wire--ol-s3/x', 'InvalidBucketName'],
    ['/wi..re/x', 'InvalidBucketName'],
    [`/${'w'.repeat(64)}/x`, 'InvalidBucketName'],
  ]
  for (const [path, code, elements] of cases) {
    for (const method of ['PUT', 'GET', 'DELETE']) {
      const body = method === 'PUT' ? { body: 'hello' } : {}
      const answer = await ask(wire, { method, path, ...body })
      wantError(t, answer, 400, code, elements, `${method} ${path.slice(0, 40)}`)
    }
  }
  const badQuery = await ask(wire, { path: `/${BUCKET}?prefix=%zz`, signer: false })
  wantError(t, badQuery, 400, 'InvalidURI', {}, 'a bad escape in the query')
  t.same(await listed(wire), [], 'nothing is stored')
}

async function virtualHosts(t: Test, wire: Wire): Promise<void> {
  const host = `${BUCKET}.localhost:${wire.port}`
  const stored = await ask(wire, { method: 'PUT', path: '/a//b', host, body: 'by host' })
  t.equal(stored.status, 200, stored.text)
  t.equal((await ask(wire, { path: `/${BUCKET}/a//b` })).text, 'by host')
  t.equal((await ask(wire, { path: '/a//b', host: host.toUpperCase() })).text, 'by host')
  t.same(elementsOf(await ask(wire, { path: '/', host }), 'Key'), ['a//b'])
  t.equal((await ask(wire, { method: 'HEAD', path: '/', host })).status, 200)
  const asBucket = await ask(wire, { path: `/${BUCKET}/a//b`, host })
  wantError(t, asBucket, 404, 'NoSuchKey', { Key: `${BUCKET}/a//b` })
  const climbing = await ask(wire, { path: '/../x', host })
  wantError(t, climbing, 400, 'InvalidURI')
  const wrong = await ask(wire, { path: '/', host: `Not_a_bucket.localhost:${wire.port}` })
  wantError(t, wrong, 400, 'InvalidBucketName')
  const signedOther: Answer = await ask(wire, {
    ...{ path: '/a//b', host: false, headers: {} },
    unsigned: [['host', host]],
  })
  wantError(t, signedOther, 403, 'AccessDenied', { HeadersNotSigned: 'host' }, 'Host is signed')
  await ask(wire, { method: 'DELETE', path: '/a//b', host })
}
