// ListObjects, ListObjectsV2 and ListObjectVersions (pitfalls 80 to 89).
import t from 'tap'
import { openGateway, texts } from './fake-call.ts'

async function withKeys(...keys: string[]) {
  const gateway = await openGateway()
  for (const key of keys) await gateway.ask('PutObject', { key, body: 'x' })
  return gateway
}

t.test('V2: what is always there, and what only when asked (pitfalls 80, 86, 87)', async (t) => {
  const { ask } = await withKeys('a')
  const { text, headers } = await ask('ListObjectsV2')
  t.equal(headers['content-type'], 'application/xml')
  t.equal(
    text.replace(/<LastModified>[^<]*/, '<LastModified>'),
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
      '<Name>photos</Name><Prefix></Prefix><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys>' +
      '<IsTruncated>false</IsTruncated><Contents><Key>a</Key><LastModified></LastModified>' +
      '<ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>' +
      '<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>' +
      '<Size>1</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>',
  )
  const query = {
    'start-after': ' ',
    'fetch-owner': 'true',
    delimiter: '/',
    'encoding-type': 'url',
  }
  const more = (await ask('ListObjectsV2', { query })).text
  t.same(texts(more, 'StartAfter'), ['%20'])
  t.same(texts(more, 'Delimiter'), ['/'])
  t.same(texts(more, 'EncodingType'), ['url'])
  t.match(more, /<Owner><ID>/)
})

t.test('V2 in pages: the token says where to go on (pitfalls 82, 83)', async (t) => {
  const { ask, refused } = await withKeys('a', 'b/1', 'b/2', 'c', 'd')
  const seen: string[] = []
  let token: string | undefined
  for (let pages = 0; pages < 10; pages++) {
    const query = {
      'max-keys': '1',
      delimiter: '/',
      'start-after': token === undefined ? '' : 'zzz',
      ...(token === undefined ? {} : { 'continuation-token': token }),
    }
    const { text } = await ask('ListObjectsV2', { query })
    seen.push(...texts(text, 'Key'), ...texts(text, 'Prefix').slice(1))
    t.same(texts(text, 'KeyCount'), ['1'])
    t.same(texts(text, 'ContinuationToken'), token === undefined ? [] : [token])
    token = texts(text, 'NextContinuationToken')[0]
    t.equal(texts(text, 'IsTruncated')[0], String(token !== undefined))
    if (token === undefined) break
  }
  t.same(seen, ['a', 'b/', 'c', 'd'])
  const bad = { query: { 'continuation-token': 'garbage' } }
  t.match(await refused('ListObjectsV2', bad), {
    code: 'InvalidArgument',
    message: 'The continuation token provided is incorrect',
  })
  const empty = await ask('ListObjectsV2', { query: { 'continuation-token': '' } })
  t.match(empty.text, /<ContinuationToken><\/ContinuationToken>/, 'echoed')
  t.equal(texts(empty.text, 'Key').length, 5)
})

t.test('max-keys of 0 is empty and complete (pitfall 82)', async (t) => {
  const { ask } = await withKeys('a')
  for (const operation of ['ListObjects', 'ListObjectsV2', 'ListObjectVersions'] as const) {
    const { text } = await ask(operation, { query: { 'max-keys': '0' } })
    t.same(texts(text, 'IsTruncated'), ['false'])
    t.same(texts(text, 'Key'), [])
  }
})

t.test(
  'V1: Marker always, NextMarker only with a delimiter, Owner always (pitfalls 80, 87)',
  async (t) => {
    const { ask } = await withKeys('a', 'b/1', 'b/2', 'c')
    const first = (await ask('ListObjects', { query: { 'max-keys': '1' } })).text
    t.match(first, /<Marker><\/Marker>/)
    t.match(first, /<Owner>/)
    t.same(texts(first, 'IsTruncated'), ['true'])
    t.notMatch(first, /NextMarker/)
    const query = { 'max-keys': '2', delimiter: '/' }
    const rolled = (await ask('ListObjects', { query })).text
    t.same(texts(rolled, 'NextMarker'), ['b/'], 'may be a common prefix')
    const rest = (await ask('ListObjects', { query: { ...query, marker: 'b/' } })).text
    t.same(texts(rest, 'Key'), ['c'], 'the whole prefix is skipped (pitfall 81)')
  },
)

t.test('names are encoded when asked, but not the prefix of V1 (pitfall 84)', async (t) => {
  const { ask } = await withKeys('p \n1', 'p \n2/x')
  const query = { prefix: 'p \n', delimiter: '/', 'encoding-type': 'url', marker: 'p \n' }
  const v1 = (await ask('ListObjects', { query })).text
  t.same(texts(v1, 'Key'), ['p%20%0A1'])
  t.same(texts(v1, 'Marker'), ['p%20%0A'])
  t.same(texts(v1, 'Prefix'), ['p \n', 'p%20%0A2/'])
  const v2 = (await ask('ListObjectsV2', { query })).text
  t.same(texts(v2, 'Prefix'), ['p%20%0A', 'p%20%0A2/'])
})

t.test('control characters without encoding are references (pitfall 85)', async (t) => {
  const { ask } = await withKeys('a\u0001\r&')
  t.same(texts((await ask('ListObjectsV2')).text, 'Key'), ['a&#x1;&#13;&amp;'])
})

t.test('ListObjectVersions where nothing is versioned (pitfall 89)', async (t) => {
  const { ask, refused } = await withKeys('a', 'b/1', 'c')
  const query = { 'max-keys': '1' }
  const first = (await ask('ListObjectVersions', { query })).text
  t.same(texts(first, 'VersionId'), ['null'])
  t.same(texts(first, 'IsLatest'), ['true'])
  t.same(texts(first, 'NextKeyMarker'), ['a'])
  t.match(texts(first, 'NextVersionIdMarker')[0], /^[0-9a-v]{26}$/, 'says where, not what')
  const rest = { 'key-marker': 'a', 'version-id-marker': 'null', delimiter: '/' }
  const second = (await ask('ListObjectVersions', { query: rest })).text
  t.same(texts(second, 'Key'), ['c'])
  t.match(second, /<CommonPrefixes><Prefix>b\/<\/Prefix><\/CommonPrefixes>/)
  t.notMatch(second, /NextKeyMarker/)
  const lonely = { query: { 'version-id-marker': 'null' } }
  t.match(await refused('ListObjectVersions', lonely), { code: 'InvalidArgument' })
})

t.test('listing a bucket that is not there', async (t) => {
  const { refused } = await openGateway()
  for (const operation of ['ListObjects', 'ListObjectsV2', 'ListMultipartUploads'] as const)
    t.match(await refused(operation, { bucket: 'none' }), { code: 'NoSuchBucket' })
})
