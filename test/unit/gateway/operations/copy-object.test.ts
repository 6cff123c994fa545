// CopyObject (pitfalls 63, 64, 97 to 100).
import t from 'tap'
import { type Asked, type Gateway, openGateway, texts } from './fake-call.ts'

async function withSource(): Promise<Gateway> {
  const gateway = await openGateway()
  const headers = {
    'content-type': 'text/plain',
    'x-amz-meta-color': 'red',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-website-redirect-location': '/elsewhere',
    'x-amz-checksum-sha256': 'sent',
  }
  await gateway.ask('PutObject', { key: 'a b', body: 'hello', headers })
  return gateway
}

function copy(headers: Record<string, string> = {}, key = 'copy'): Asked {
  return { key, headers: { 'x-amz-copy-source': '/photos/a%20b', ...headers } }
}

t.test(
  'bytes, headers and metadata; not storage class and redirect (pitfalls 91, 99)',
  async (t) => {
    const { ask, store } = await withSource()
    const { text, status } = await ask('CopyObject', copy())
    t.equal(status, 200)
    t.ok(text.startsWith('<?xml'), 'nothing before the declaration (pitfall 100)')
    t.same(texts(text, 'ETag'), ['&quot;5d41402abc4b2a76b9719d911017c592&quot;'])
    t.same(texts(text, 'LastModified'), ['2026-11-20T12:00:00.000Z'])
    t.same(texts(text, 'ChecksumSHA256'), ['LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='])
    t.same(texts(text, 'ChecksumType'), ['FULL_OBJECT'])
    const { version, bytes } = store.kept.get('photos/copy')!
    t.equal(bytes.toString(), 'hello')
    t.same(version.headers, { contentType: 'text/plain' })
    t.same(version.userMetadata, { color: 'red' })
    t.equal(version.storageClass, 'STANDARD')
  },
)

t.test('REPLACE takes all from the request (pitfall 99)', async (t) => {
  const { ask, store } = await withSource()
  const headers = { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-size': 'big' }
  await ask('CopyObject', copy(headers))
  const { version } = store.kept.get('photos/copy')!
  t.same(version.headers, {})
  t.same(version.userMetadata, { size: 'big' })
})

t.test('another checksum is computed on request (pitfall 99)', async (t) => {
  const { ask } = await withSource()
  const { text } = await ask('CopyObject', copy({ 'x-amz-checksum-algorithm': 'CRC32' }))
  t.same(texts(text, 'ChecksumCRC32'), ['NhCmhg=='])
})

t.test('a body that may come with a copy is refused, not dropped', async (t) => {
  const { ask, store } = await withSource()
  const chunked = { 'transfer-encoding': 'chunked' }
  const refused = { code: 'NotImplemented', elements: { Header: 'Transfer-Encoding' } }
  await t.rejects(ask('CopyObject', copy(chunked)), refused)
  t.notOk(store.kept.has('photos/copy'))
  await ask('CopyObject', copy({ ...chunked, 'x-amz-decoded-content-length': '0' }))
  const bytes = { ...chunked, 'x-amz-decoded-content-length': '5' }
  await t.rejects(ask('CopyObject', copy(bytes)), { code: 'InvalidRequest' })
})

t.test('an empty object is copied', async (t) => {
  const { ask, store } = await openGateway()
  await ask('PutObject', { key: 'empty' })
  await ask('CopyObject', { key: 'b', headers: { 'x-amz-copy-source': 'photos/empty' } })
  t.equal(store.kept.get('photos/b')?.version.etag, 'd41d8cd98f00b204e9800998ecf8427e')
})

t.test('onto itself only with a change (pitfall 98)', async (t) => {
  const { ask, refused } = await withSource()
  t.match(await refused('CopyObject', copy({}, 'a b')), {
    code: 'InvalidRequest',
    message: /^This copy request is illegal because/,
  })
  for (const change of [
    { 'x-amz-metadata-directive': 'REPLACE' },
    { 'x-amz-storage-class': 'STANDARD' },
    { 'x-amz-copy-source': 'photos/a%20b?versionId=null' },
    { 'x-amz-website-redirect-location': '/b' },
  ])
    t.equal((await ask('CopyObject', copy(change, 'a b'))).status, 200, JSON.stringify(change))
})

t.test('the source has to be there (pitfall 97)', async (t) => {
  const { refused } = await withSource()
  const rows: [source: string, code: string][] = [
    ['none/a', 'NoSuchBucket'],
    ['photos/none', 'NoSuchKey'],
    ['photos/a%20b?versionId=3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY', 'NoSuchVersion'],
    ['photos/a%20b?versionId=abc', 'InvalidArgument'],
    ['photos', 'InvalidArgument'],
    ['photos/%zz', 'InvalidArgument'],
  ]
  for (const [source, code] of rows)
    t.match(await refused('CopyObject', copy({ 'x-amz-copy-source': source })), { code }, source)
})

t.test('conditions on the source fail as 412, on the target too (pitfalls 63, 64)', async (t) => {
  const { ask, refused, store } = await withSource()
  const etag = '"5d41402abc4b2a76b9719d911017c592"'
  const failing = [
    { 'x-amz-copy-source-if-match': '"other"' },
    { 'x-amz-copy-source-if-none-match': etag },
    { 'x-amz-copy-source-if-modified-since': 'Fri, 20 Nov 2026 12:00:00 GMT' },
    { 'x-amz-copy-source-if-unmodified-since': 'Fri, 20 Nov 2026 11:00:00 GMT' },
  ]
  for (const headers of failing)
    t.match(await refused('CopyObject', copy(headers)), {
      status: 412,
      elements: { Condition: /^x-amz-copy-source-If-/ },
    })
  t.equal(store.kept.size, 1)
  await ask('CopyObject', copy({ 'x-amz-copy-source-if-match': etag, 'if-none-match': '*' }))
  t.match(await refused('CopyObject', copy({ 'if-none-match': '*' })), { status: 412 })
  t.match(await refused('CopyObject', copy({ 'if-match': '*' }, 'none')), { code: 'NoSuchKey' })
})

t.test('directives are COPY or REPLACE; a source has at most 5 GiB (pitfall 98)', async (t) => {
  const { ask, refused, store } = await withSource()
  for (const name of ['x-amz-metadata-directive', 'x-amz-tagging-directive'])
    t.match(await refused('CopyObject', copy({ [name]: 'MERGE' })), { code: 'InvalidArgument' })
  t.equal((await ask('CopyObject', copy({ 'x-amz-tagging-directive': 'COPY' }))).status, 200)
  store.kept.get('photos/a b')!.version.bytes = 5 * 1024 ** 3 + 1
  t.match(await refused('CopyObject', copy({}, 'large')), {
    code: 'InvalidRequest',
    message: /5368709120$/,
  })
})

t.test('another owner of the source is expected (pitfall 120)', async (t) => {
  const { refused } = await withSource()
  const headers = { 'x-amz-source-expected-bucket-owner': '123456789012' }
  t.match(await refused('CopyObject', copy(headers)), { code: 'AccessDenied' })
})
