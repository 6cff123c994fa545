// PutObject, DeleteObject and DeleteObjects (pitfalls 34, 40, 41, 43, 64, 68, 69, 101 to 103).
import t from 'tap'
import { BucketGone } from '../../../../src/objects/object-store.ts'
import { openGateway, texts } from './fake-call.ts'

const MD5_OF_HELLO = '5d41402abc4b2a76b9719d911017c592'

t.test('a PUT answers with ETag and the default checksum (pitfalls 34, 40)', async (t) => {
  const { ask, store } = await openGateway()
  const { status, headers } = await ask('PutObject', { key: 'a', body: '123456789' })
  t.equal(status, 200)
  t.equal(headers.etag, '"25f9e794323b453885f5181f1b624d0b"')
  t.equal(
    Buffer.from(headers['x-amz-checksum-crc64nvme'] ?? '', 'base64').toString('hex'),
    'ae8b14860a799888',
  )
  t.equal(headers['x-amz-checksum-type'], 'FULL_OBJECT')
  t.equal(store.kept.get('photos/a')?.bytes.toString(), '123456789')
})

t.test('the checksum that the client sends is the one that is kept', async (t) => {
  const { ask } = await openGateway()
  const headers = { 'x-amz-trailer': 'x-amz-checksum-crc32' }
  const answer = await ask('PutObject', { key: 'a', body: 'hello', headers })
  t.equal(answer.headers['x-amz-checksum-crc32'], 'NhCmhg==')
})

t.test('an empty body is an object (pitfall 41)', async (t) => {
  const { ask } = await openGateway()
  const { headers } = await ask('PutObject', { key: 'empty' })
  t.equal(headers.etag, '"d41d8cd98f00b204e9800998ecf8427e"')
  const read = await ask('GetObject', { key: 'empty' })
  t.equal(read.status, 200)
  t.equal(read.headers['content-length'], '0')
  t.notOk('content-range' in read.headers, 'pitfall 77')
})

t.test('refused before the body is read', async (t) => {
  const gateway = await openGateway()
  const { ask, refused } = gateway
  await ask('PutObject', { key: 'there', body: 'hello' })
  gateway.bodiesRead = 0
  const rows: [headers: Record<string, string>, code: string, why: string][] = [
    [{ 'if-none-match': '*' }, 'PreconditionFailed', 'it is there (pitfall 64)'],
    [{ 'if-none-match': `"${MD5_OF_HELLO}"` }, 'PreconditionFailed', 'this one (pitfall 65)'],
    [{ 'if-match': '"other"' }, 'PreconditionFailed', 'it is another (pitfall 64)'],
    [{ 'if-modified-since': 'x' }, 'NotImplemented', 'unknown condition (pitfall 69)'],
    [{ 'x-amz-if-match-size': '5' }, 'NotImplemented', 'only DELETE knows it (pitfall 69)'],
    [{ 'x-amz-server-side-encryption': 'AES' }, 'InvalidArgument', 'no such method'],
    [{ 'x-amz-server-side-encryption': 'aws:kms:dsse' }, 'NotImplemented', 'two layers'],
    [{ 'x-amz-meta-a': 'x'.repeat(3000) }, 'MetadataTooLarge', 'pitfall 92'],
    [{ 'x-amz-storage-class': 'FAST' }, 'InvalidStorageClass', 'pitfall 120'],
    [{ 'content-length': '5368709121' }, 'EntityTooLarge', 'over 5 GiB (pitfall 43)'],
  ]
  for (const [headers, code, why] of rows)
    t.match(await refused('PutObject', { key: 'there', body: 'x', headers }), { code }, why)
  t.match(await refused('PutObject', { bucket: 'none', key: 'a' }), { code: 'NoSuchBucket' })
  t.match(await refused('PutObject', { key: 'gone', headers: { 'if-match': '*' } }), {
    code: 'NoSuchKey',
    status: 404,
  })
  t.equal(gateway.bodiesRead, 0)
})

t.test('conditions that hold (pitfalls 64, 65)', async (t) => {
  const { ask } = await openGateway()
  await ask('PutObject', { key: 'a', body: 'hello', headers: { 'if-none-match': '*' } })
  await ask('PutObject', { key: 'a', body: 'hello', headers: { 'if-none-match': '"x"' } })
  const headers = { 'if-match': `"${MD5_OF_HELLO}"` }
  t.equal((await ask('PutObject', { key: 'a', body: 'x', headers })).status, 200)
})

t.test(
  'a race that is lost at the commit is 412 with its condition (pitfalls 61, 67)',
  async (t) => {
    const { refused, store } = await openGateway()
    store.put = async () => ({ kind: 'condition-failed', condition: 'If-None-Match' })
    const error = await refused('PutObject', { key: 'a', headers: { 'if-none-match': '*' } })
    t.match(error, { status: 412, elements: { Condition: 'If-None-Match' } })
    store.put = async () => ({ kind: 'bucket-gone' })
    t.match(await refused('PutObject', { key: 'a' }), { code: 'NoSuchBucket' })
  },
)

t.test('DELETE is 204 whether it was there or not (pitfall 102)', async (t) => {
  const { ask, store } = await openGateway()
  await ask('PutObject', { key: 'a' })
  t.equal((await ask('DeleteObject', { key: 'a' })).status, 204)
  t.equal((await ask('DeleteObject', { key: 'a' })).status, 204)
  t.equal(store.kept.size, 0)
})

t.test('DELETE with conditions (pitfall 68)', async (t) => {
  const { ask, refused } = await openGateway()
  await ask('PutObject', { key: 'a', body: 'hello' })
  const other = { 'if-match': '"other"' }
  t.match(await refused('DeleteObject', { key: 'a', headers: other }), { status: 412 })
  t.equal((await ask('DeleteObject', { key: 'none', headers: other })).status, 204)
  const size = { 'x-amz-if-match-size': '6' }
  t.match(await refused('DeleteObject', { key: 'a', headers: size }), {
    status: 412,
    elements: { Condition: 'x-amz-if-match-size' },
  })
  const strict = { key: 'none', strict: true }
  t.match(await refused('DeleteObject', { ...strict, headers: other }), { code: 'NoSuchKey' })
  t.match(await refused('DeleteObject', { ...strict, headers: { 'if-match': '*' } }), {
    code: 'PreconditionFailed',
  })
  t.equal((await ask('DeleteObject', { key: 'a', headers: { 'if-match': '*' } })).status, 204)
})

t.test('DELETE of a version (pitfall 103)', async (t) => {
  const { ask, refused, store } = await openGateway()
  await ask('PutObject', { key: 'a' })
  const deleteVersion = { key: 'a', query: { versionId: 'of-another-store-by-its-form' } }
  t.equal((await ask('DeleteObject', deleteVersion)).status, 204)
  t.equal(store.kept.size, 1, 'another version is not this one')
  t.match(await refused('DeleteObject', { key: 'a', query: { versionId: '?' } }), {
    code: 'InvalidArgument',
  })
  await ask('DeleteObject', { key: 'a', query: { versionId: 'null' } })
  t.equal(store.kept.size, 0)
})

const md5 = { 'content-md5': 'x' }
const list = (inner: string) => `<Delete>${inner}</Delete>`
const object = (key: string, more = '') => `<Object><Key>${key}</Key>${more}</Object>`

t.test('DeleteObjects tells every key, missing ones as deleted (pitfall 101)', async (t) => {
  const { ask, store } = await openGateway()
  for (const key of ['a', ' b ', 'c&d', 'e\u0001', 'kept']) await ask('PutObject', { key })
  const keys = [object('a'), object(' b '), object('c&amp;d'), object('e&#x1;'), object('missing')]
  const body = list(keys.join(''))
  const { status, text } = await ask('DeleteObjects', { body, headers: md5 })
  t.equal(status, 200)
  t.same(texts(text, 'Key'), ['a', ' b ', 'c&amp;d', 'e&#x1;', 'missing'])
  t.notMatch(text, /<Error>/)
  t.same([...store.kept.keys()], ['photos/kept'])
})

t.test(
  'DeleteObjects: failures of keys stay in a 200; quiet names only them (pitfall 101)',
  async (t) => {
    const { ask, store } = await openGateway()
    await ask('PutObject', { key: 'a' })
    const keys = [
      object('a', '<ETag>"other"</ETag>'),
      object('a', '<Size>3</Size>'),
      object('a', '<LastModifiedTime>soon</LastModifiedTime>'),
      object('a', '<VersionId>a b</VersionId>'),
      object('x'.repeat(1025)),
      object('fine', '<VersionId>null</VersionId>'),
    ]
    const { text } = await ask('DeleteObjects', { body: list(keys.join('')), headers: md5 })
    const codes = [
      'PreconditionFailed',
      'PreconditionFailed',
      'InvalidArgument',
      'NoSuchVersion',
      'KeyTooLongError',
    ]
    t.same(texts(text, 'Code'), codes)
    t.match(text, /<Deleted><Key>fine<\/Key><VersionId>null<\/VersionId><\/Deleted>/)
    const quiet = list(`${keys.join('')}<Quiet>true</Quiet>`)
    const answer = await ask('DeleteObjects', { body: quiet, headers: md5 })
    t.notMatch(answer.text, /<Deleted>/)
    t.same(texts(answer.text, 'Code'), codes)
    t.equal(store.kept.size, 1)
  },
)

t.test('DeleteObjects wants a digest of its body (pitfall 31)', async (t) => {
  const { ask, refused } = await openGateway()
  const body = list(object('a'))
  for (const headers of [{}, { 'x-amz-checksum-type': 'FULL_OBJECT' }])
    t.match(await refused('DeleteObjects', { body, headers }), {
      code: 'InvalidRequest',
      message: 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*',
    })
  for (const headers of [
    md5,
    { 'x-amz-checksum-crc32': 'x' },
    { 'x-amz-trailer': 'x-amz-checksum-crc64nvme' },
  ])
    t.equal((await ask('DeleteObjects', { body, headers })).status, 200)
})

t.test(
  'DeleteObjects: a thousand keys, asked for at once and told in the order asked',
  async (t) => {
    const { ask, store } = await openGateway()
    const asked: string[][] = []
    store.deleteMany = async (_bucket, keys) => {
      asked.push(keys.map(({ key }) => key))
      return keys.map(({ key }) => ({ kind: key === 'k7' ? 'locked' : 'done' }))
    }
    const names = Array.from({ length: 1000 }, (_, index) => `k${index}`)
    // What is no key is not asked for, and every other one has the outcome of its own.
    names[5] = 'x'.repeat(1025)
    const body = list(names.map((name) => object(name)).join(''))
    const { text } = await ask('DeleteObjects', { body, headers: md5 })
    t.same(texts(text, 'Key'), names)
    t.same(asked, [names.filter((_, index) => index !== 5)])
    t.same(texts(text, 'Code'), ['KeyTooLongError', 'AccessDenied'])
    t.match(text, /<Error><Key>k7</)
  },
)

t.test('DeleteObjects: what is no refusal fails the request, to be sent again', async (t) => {
  const { ask, store } = await openGateway()
  const body = list(object('a'))
  for (const error of [new BucketGone('it is gone'), new Error('no quorum')]) {
    store.deleteMany = () => Promise.reject(error)
    await t.rejects(ask('DeleteObjects', { body, headers: md5 }), error)
  }
})
