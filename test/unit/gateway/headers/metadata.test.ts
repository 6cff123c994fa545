// What an object keeps of the headers of its PUT, and how it shows them (pitfalls 53, 92 to 94, 120).
import t from 'tap'
import { parseAttributes } from '../../../../src/gateway/headers/object-attributes.ts'
import {
  parseSystemHeaders,
  systemHeaderFields,
} from '../../../../src/gateway/headers/system-headers.ts'
import {
  parseUserMetadata,
  userMetadataHeaders,
} from '../../../../src/gateway/headers/user-metadata.ts'

t.test('user metadata is kept without its prefix (pitfall 92)', async (t) => {
  const headers = {
    'x-amz-meta-mtime': '1700000000.5',
    'x-amz-meta-with_underscore': ' a b ',
    'x-amz-meta-twice': 'one,two',
    'x-amz-meta-__proto__': 'kept',
    'x-amz-meta-': 'nameless',
    'x-amz-acl': 'private',
  }
  const metadata = parseUserMetadata(headers)
  t.same(Object.entries(metadata), [
    ['mtime', '1700000000.5'],
    ['with_underscore', 'a b'],
    ['twice', 'one,two'],
    ['__proto__', 'kept'],
  ])
  t.equal(userMetadataHeaders(metadata)['x-amz-meta-__proto__'], 'kept')
})

t.test('2 KiB of names and values, and not a byte more (pitfall 92)', async (t) => {
  const fits = { 'x-amz-meta-name': 'x'.repeat(2044) }
  t.equal(parseUserMetadata(fits).name?.length, 2044)
  const header = { 'x-amz-meta-name': 'ü'.repeat(1023) }
  t.throws(() => parseUserMetadata(header), {
    code: 'MetadataTooLarge',
    elements: { Size: '2050', MaxSizeAllowed: '2048' },
  })
})

t.test('values that HTTP can not carry are shown in RFC 2047 (pitfall 93)', async (t) => {
  t.same(userMetadataHeaders({ city: 'Zürich', plain: 'a b' }), {
    'x-amz-meta-city': '=?UTF-8?B?WsO8cmljaA==?=',
    'x-amz-meta-plain': 'a b',
  })
})

t.test('and read in it: the text counts, not the words (pitfall 93)', async (t) => {
  const headers = { 'x-amz-meta-city': ' =?UTF-8?Q?Z=C3=BCrich?= ', 'x-amz-meta-odd': '=?x' }
  t.same(parseUserMetadata(headers), { city: 'Zürich', odd: '=?x' })
  const word = (text: string) => `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`
  t.equal(parseUserMetadata({ 'x-amz-meta-name': word('x'.repeat(2044)) }).name?.length, 2044)
  t.throws(() => parseUserMetadata({ 'x-amz-meta-name': word('x'.repeat(2045)) }), {
    code: 'MetadataTooLarge',
  })
})

t.test('names that no header can have are counted (pitfall 93)', async (t) => {
  const metadata = { bell: 'a\u0007', break: 'a\r\nb', 'two words': 'x', tab: 'a\tb' }
  t.same(userMetadataHeaders(metadata), {
    'x-amz-meta-bell': '=?UTF-8?B?YQc=?=',
    'x-amz-meta-break': '=?UTF-8?B?YQ0KYg==?=',
    'x-amz-meta-tab': 'a\tb',
    'x-amz-missing-meta': '1',
  })
})

t.test('system headers are kept as they were sent (pitfall 94)', async (t) => {
  const headers = {
    'content-type': 'text/plain',
    'cache-control': 'no-cache , max-age=0',
    'content-disposition': 'attachment; filename="ü.txt"',
    'content-encoding': 'gzip',
    'content-language': 'de,en',
    expires: 'not a date',
    'x-amz-website-redirect-location': '/elsewhere',
    etag: '"x"',
  }
  const fields = systemHeaderFields(parseSystemHeaders(headers))
  const { etag: _, ...kept } = headers
  const bytes = Buffer.from(kept['content-disposition']).toString('latin1')
  t.same(fields, { ...kept, 'content-disposition': bytes }, 'UTF-8 goes out byte for byte')
})

t.test('a redirect leads to the bucket or to another site', async (t) => {
  const parse = (location: string) =>
    parseSystemHeaders({ 'x-amz-website-redirect-location': location }).websiteRedirectLocation
  for (const location of ['/a', 'http://a/b', 'https://a', `/${'x'.repeat(2047)}`])
    t.equal(parse(location), location)
  for (const location of ['a', 'ftp://a', ' /a', `/${'x'.repeat(2048)}`])
    t.throws(() => parse(location), { code: 'InvalidRedirectLocation', status: 400 })
})

t.test('an object without a type is binary/octet-stream (pitfall 53)', async (t) => {
  t.same(systemHeaderFields(parseSystemHeaders({ 'content-type': '' })), {
    'content-type': 'binary/octet-stream',
  })
})

t.test('storage classes of S3 are kept, others refused (pitfall 120)', async (t) => {
  t.equal(parseAttributes({}).storageClass, 'STANDARD')
  t.equal(parseAttributes({ 'x-amz-storage-class': 'STANDARD_IA' }).storageClass, 'STANDARD_IA')
  t.throws(() => parseAttributes({ 'x-amz-storage-class': 'FAST' }), {
    code: 'InvalidStorageClass',
    elements: { StorageClassRequested: 'FAST' },
  })
})
