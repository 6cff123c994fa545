// The multipart family (pitfalls 35 to 38, 40, 74, 76, 90, 105 to 112).
import t from 'tap'
import type { CompleteOutcome, Uid } from '../../../../src/objects/object-store.ts'
import { type Gateway, openGateway, texts } from './fake-call.ts'

async function createUpload({ ask }: Gateway, headers: Record<string, string> = {}, key = 'a/ü') {
  const { text } = await ask('CreateMultipartUpload', { key, headers })
  return texts(text, 'UploadId')[0] ?? ''
}

async function uploadPart({ ask }: Gateway, uploadId: string, number: number, body: string) {
  const query = { uploadId, partNumber: String(number) }
  const { headers } = await ask('UploadPart', { key: 'a/ü', query, body })
  return headers.etag ?? ''
}

function listOf(etags: string[]): string {
  const parts = etags.map(
    (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
  )
  return `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
}

async function complete(gateway: Gateway, uploadId: string, etags: string[]) {
  const asked = { key: 'a/ü', query: { uploadId }, body: listOf(etags) }
  return await gateway.ask('CompleteMultipartUpload', asked)
}

t.test('an upload from beginning to end (pitfalls 107, 111, 112)', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway, {
    'content-type': 'text/plain',
    'x-amz-meta-a': 'b',
    'x-amz-checksum-algorithm': 'CRC32',
  })
  t.match(uploadId, /^[\w-]+$/, 'fit for a URL (pitfall 105)')
  const etags = [
    await uploadPart(gateway, uploadId, 1, 'hello '),
    await uploadPart(gateway, uploadId, 2, 'world'),
  ]
  const { text, status } = await complete(gateway, uploadId, etags)
  t.equal(status, 200)
  t.match(text, /^<\?xml[^>]*>\n<CompleteMultipartUploadResult xmlns=/, 'the root that Arrow wants')
  t.same(texts(text, 'Location'), ['http://localhost:9000/photos/a/%C3%BC'])
  t.same(texts(text, 'Bucket'), ['photos'])
  t.same(texts(text, 'Key'), ['a/ü'])
  t.match(texts(text, 'ETag')[0], /^&quot;[0-9a-f]{32}-2&quot;$/)
  t.same(texts(text, 'ChecksumType'), ['COMPOSITE'])
  const got = await gateway.ask('GetObject', { key: 'a/ü' })
  t.equal(got.text, 'hello world')
  t.match(got.headers, { 'content-type': 'text/plain', 'x-amz-meta-a': 'b' })
})

t.test('Create says which checksum it expects (pitfall 35)', async (t) => {
  const { ask, refused } = await openGateway()
  const headers = { 'x-amz-checksum-algorithm': 'CRC64NVME' }
  const created = await ask('CreateMultipartUpload', { key: 'a', headers })
  t.match(created.headers, {
    'x-amz-checksum-algorithm': 'CRC64NVME',
    'x-amz-checksum-type': 'FULL_OBJECT',
  })
  const bad = { ...headers, 'x-amz-checksum-type': 'COMPOSITE' }
  t.match(await refused('CreateMultipartUpload', { key: 'a', headers: bad }), {
    code: 'InvalidRequest',
  })
  const acl = { 'x-amz-acl': 'public-read' }
  t.match(await refused('CreateMultipartUpload', { key: 'a', headers: acl }), {
    code: 'NotImplemented',
  })
})

t.test(
  'a part answers with its checksum (pitfall 40) in the algorithm of the upload',
  async (t) => {
    const gateway = await openGateway()
    const uploadId = await createUpload(gateway, { 'x-amz-checksum-algorithm': 'CRC32' })
    const asked = { key: 'a/ü', query: { uploadId, partNumber: '1' }, body: 'hello' }
    const { headers } = await gateway.ask('UploadPart', asked)
    t.same(headers, {
      etag: '"5d41402abc4b2a76b9719d911017c592"',
      'x-amz-checksum-crc32': 'NhCmhg==',
    })
    const other = { ...asked, headers: { 'x-amz-checksum-sha1': 'x' } }
    t.match(await gateway.refused('UploadPart', other), {
      code: 'InvalidRequest',
      message: /expected checksum Type: crc32, actual checksum Type: sha1/,
    })
  },
)

t.test('a part answers with what it was sent with, where the upload chose nothing', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway)
  const query = { uploadId, partNumber: '1' }
  const asked = { key: 'a/ü', query, body: 'hello' }
  const crc32 = { 'x-amz-checksum-crc32': 'NhCmhg==' }
  const part = await gateway.ask('UploadPart', { ...asked, headers: crc32 })
  t.same(part.headers, { etag: '"5d41402abc4b2a76b9719d911017c592"', ...crc32 })
  const bucket = gateway.store.findBucket('photos')!
  const upload = await gateway.store.findUpload(bucket, 'a/ü', uploadId as Uid)
  const { parts } = await gateway.store.listParts(bucket, 'a/ü', upload!.uploadId, 0, 1)
  t.match(parts, [{ checksum: { algorithm: 'CRC64NVME', value: 'M3eFcAZSQlc=' } }], 'it keeps')
  const plain = await gateway.ask('UploadPart', asked)
  t.match(plain.headers, { 'x-amz-checksum-crc64nvme': 'M3eFcAZSQlc=' })
  const listed = await gateway.ask('ListParts', { key: 'a/ü', query: { uploadId } })
  t.notMatch(listed.text, 'Checksum', 'ListParts shows none')
})

t.test('parts that are refused before their body is read (pitfalls 43, 69, 106)', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway)
  gateway.bodiesRead = 0
  const part = (partNumber: string, headers = {}, id = uploadId) =>
    gateway.refused('UploadPart', { key: 'a/ü', query: { uploadId: id, partNumber }, headers })
  for (const number of ['0', '10001']) t.match(await part(number), { code: 'InvalidArgument' })
  t.match(await part('1', { 'content-length': '5368709121' }), { code: 'EntityTooLarge' })
  t.match(await part('1', { 'if-match': '*' }), { code: 'NotImplemented' })
  t.match(await part('1', {}, 'f'.repeat(32)), { code: 'NoSuchUpload' })
  t.match(await part('1', {}, 'nonsense'), { code: 'NoSuchUpload' })
  t.equal(gateway.bodiesRead, 0)
})

t.test('refusals of Complete, each with its elements (pitfalls 37, 38, 106 to 109)', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway)
  const failed = (claim: 'bytes' | 'checksum' | 'checksum-type' | 'part-checksum') =>
    ({ kind: 'claim-failed', claim, wanted: 'W', actual: 'A' }) as const
  const rows: [outcome: CompleteOutcome, expected: object][] = [
    [{ kind: 'no-upload' }, { code: 'NoSuchUpload', elements: { UploadId: uploadId } }],
    [
      { kind: 'invalid-part', number: 2, etag: 'e' },
      { code: 'InvalidPart', elements: { UploadId: uploadId, PartNumber: '2', ETag: 'e' } },
    ],
    [{ kind: 'part-order' }, { code: 'InvalidPartOrder' }],
    [
      { kind: 'part-too-small', number: 1, bytes: 7, etag: 'e' },
      {
        code: 'EntityTooSmall',
        elements: { ProposedSize: '7', MinSizeAllowed: '5242880', PartNumber: '1', ETag: 'e' },
      },
    ],
    [failed('bytes'), { code: 'InvalidRequest', message: /x-amz-mp-object-size/ }],
    [
      failed('checksum'),
      {
        code: 'BadDigest',
        elements: { ExpectedDigest: 'W', CalculatedDigest: 'A' },
      },
    ],
    [failed('checksum-type'), { code: 'InvalidRequest', message: /checksum Type/ }],
    [failed('part-checksum'), { code: 'InvalidPart' }],
    [
      { kind: 'condition-failed', condition: 'If-None-Match' },
      { code: 'PreconditionFailed', elements: { Condition: 'If-None-Match' } },
    ],
    [{ kind: 'missing' }, { code: 'NoSuchKey' }],
    [{ kind: 'bucket-gone' }, { code: 'NoSuchBucket' }],
  ]
  for (const [outcome, expected] of rows) {
    gateway.store.nextCompletion = outcome
    const asked = { key: 'a/ü', query: { uploadId }, body: listOf(['e']) }
    t.match(await gateway.refused('CompleteMultipartUpload', asked), expected)
  }
  gateway.store.nextCompletion = failed('checksum')
  const headers = { 'x-amz-checksum-crc32c': 'AAAAAA==' }
  const asked = { key: 'a/ü', query: { uploadId }, headers, body: listOf(['e']) }
  const { message } = await gateway.refused('CompleteMultipartUpload', asked)
  t.equal(message, 'The crc32c you specified did not match the calculated checksum.')
})

t.test('what Complete claims of the whole goes to the store (pitfalls 37, 38)', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway)
  let claimed: unknown
  gateway.store.completeUpload = async (request) => {
    claimed = request.claimed
    return { kind: 'no-upload' }
  }
  const asked = (headers: Record<string, string>) => ({
    key: 'a/ü',
    query: { uploadId },
    headers,
    body: listOf(['e']),
  })
  await gateway.refused(
    'CompleteMultipartUpload',
    asked({
      'x-amz-mp-object-size': '11',
      'x-amz-checksum-crc32': 'AAAAAA==',
      'x-amz-checksum-type': 'FULL_OBJECT',
    }),
  )
  t.same(claimed, {
    bytes: 11,
    checksum: { algorithm: 'CRC32', value: 'AAAAAA==' },
    checksumType: 'FULL_OBJECT',
  })
  await gateway.refused('CompleteMultipartUpload', asked({}))
  t.same(claimed, {})
  const nonsense = asked({ 'x-amz-mp-object-size': 'many' })
  t.match(await gateway.refused('CompleteMultipartUpload', nonsense), { code: 'InvalidRequest' })
})

t.test('Complete of a list that is none (pitfalls 44, 107)', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway)
  const body = (text: string) => ({ key: 'a/ü', query: { uploadId }, body: text })
  for (const text of ['', '<x', listOf([])])
    t.match(await gateway.refused('CompleteMultipartUpload', body(text)), { code: 'MalformedXML' })
  const huge = body('x'.repeat(4 * 1024 * 1024 + 1))
  t.match(await gateway.refused('CompleteMultipartUpload', huge), {
    code: 'MaxMessageLengthExceeded',
  })
})

t.test('parts are read by number, with their own checksum (pitfalls 39, 74)', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway, { 'x-amz-checksum-algorithm': 'CRC32' })
  const etags = [
    await uploadPart(gateway, uploadId, 1, 'hello'),
    await uploadPart(gateway, uploadId, 2, 'world'),
  ]
  await complete(gateway, uploadId, etags)
  const headers = { 'x-amz-checksum-mode': 'ENABLED' }
  const asked = { key: 'a/ü', query: { partNumber: '1' }, headers }
  const part = await gateway.ask('GetObject', asked)
  t.equal(part.text, 'hello')
  t.match(part, {
    status: 206,
    headers: {
      'content-range': 'bytes 0-4/10',
      'x-amz-mp-parts-count': '2',
      'x-amz-checksum-crc32': 'NhCmhg==',
      'x-amz-checksum-type': 'COMPOSITE',
    },
  })
  t.match(await gateway.refused('HeadObject', { ...asked, query: { partNumber: '3' } }), {
    code: 'InvalidPartNumber',
    elements: { ActualPartCount: '2', PartNumberRequested: '3' },
  })
})

t.test('UploadPartCopy takes a range of its source (pitfall 76)', async (t) => {
  const gateway = await openGateway()
  await gateway.ask('PutObject', { key: 'source', body: 'say hello twice' })
  const uploadId = await createUpload(gateway, { 'x-amz-checksum-algorithm': 'CRC32' })
  const asked = (headers: Record<string, string> = {}) => ({
    key: 'a/ü',
    query: { uploadId, partNumber: '1' },
    headers: { 'x-amz-copy-source': 'photos/source', ...headers },
  })
  const range = asked({ 'x-amz-copy-source-range': 'bytes=4-8' })
  const { text } = await gateway.ask('UploadPartCopy', range)
  t.match(text, /<CopyPartResult /)
  t.same(texts(text, 'ETag'), ['&quot;5d41402abc4b2a76b9719d911017c592&quot;'])
  t.same(texts(text, 'ChecksumCRC32'), ['NhCmhg=='])
  t.equal((await gateway.ask('UploadPartCopy', asked())).status, 200)
  const outside = asked({ 'x-amz-copy-source-range': 'bytes=4-15' })
  t.match(await gateway.refused('UploadPartCopy', outside), {
    code: 'InvalidArgument',
    message: 'Range specified is not valid for source object of size: 15',
  })
  const other = asked({ 'x-amz-copy-source-if-match': '"other"' })
  t.match(await gateway.refused('UploadPartCopy', other), { status: 412 })
})

t.test('Abort is 204 once, then there is no such upload (pitfall 110)', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway)
  const asked = { key: 'a/ü', query: { uploadId } }
  t.equal((await gateway.ask('AbortMultipartUpload', asked)).status, 204)
  const error = await gateway.refused('AbortMultipartUpload', asked)
  t.match(error, { code: 'NoSuchUpload', elements: { UploadId: uploadId } })
})

t.test('an Abort may say when the upload began', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway)
  const asked = (date: string) => ({
    key: 'a/ü',
    query: { uploadId },
    headers: { 'x-amz-if-match-initiated-time': date },
  })
  const other = asked('Fri, 20 Nov 2026 12:00:01 GMT')
  t.match(await gateway.refused('AbortMultipartUpload', other), {
    code: 'PreconditionFailed',
    elements: { Condition: 'x-amz-if-match-initiated-time' },
  })
  const right = asked('Fri, 20 Nov 2026 12:00:00 GMT')
  t.equal((await gateway.ask('AbortMultipartUpload', right)).status, 204)
})

t.test('Complete names the version, and gives the retention of the bucket', async (t) => {
  const gateway = await openGateway()
  const { store } = gateway
  const bucket = store.findBucket('photos')!
  const defaultRetention = { mode: 'GOVERNANCE', days: 1 } as const
  await store.changeBucket(bucket, { versioning: 'enabled', objectLock: { defaultRetention } })
  const uploadId = await createUpload(gateway)
  const { headers } = await complete(gateway, uploadId, [
    await uploadPart(gateway, uploadId, 1, 'hello'),
  ])
  t.match(headers['x-amz-version-id'], /^[0-9a-v]{26}$/)
  t.match(store.completedWith, { mode: 'GOVERNANCE', untilMs: Number })
})

t.test('ListParts in pages (pitfall 90)', async (t) => {
  const gateway = await openGateway()
  const uploadId = await createUpload(gateway, { 'x-amz-storage-class': 'STANDARD_IA' })
  for (const number of [1, 3, 7]) await uploadPart(gateway, uploadId, number, `part ${number}`)
  const list = (more: Record<string, string>) =>
    gateway.ask('ListParts', { key: 'a/ü', query: { uploadId, ...more } })
  const first = (await list({ 'max-parts': '2' })).text
  t.same(texts(first, 'PartNumber'), ['1', '3'])
  t.same(texts(first, 'NextPartNumberMarker'), ['3'])
  t.same(texts(first, 'IsTruncated'), ['true'])
  t.same(texts(first, 'StorageClass'), ['STANDARD_IA'])
  const second = (await list({ 'part-number-marker': '3' })).text
  t.same(texts(second, 'PartNumber'), ['7'])
  t.same(texts(second, 'Size'), ['6'])
  t.same(texts(second, 'IsTruncated'), ['false'])
  t.same(texts((await list({ 'max-parts': '0' })).text, 'IsTruncated'), ['false'])
  const unknown = { key: 'other', query: { uploadId } }
  t.match(await gateway.refused('ListParts', unknown), { code: 'NoSuchUpload' })
})

t.test('ListMultipartUploads by prefix, in pages (pitfall 90)', async (t) => {
  const gateway = await openGateway()
  const ids: string[] = []
  for (const key of ['a', 'a', 'b/1', 'b/2', 'c']) ids.push(await createUpload(gateway, {}, key))
  const list = async (query: Record<string, string>) =>
    (await gateway.ask('ListMultipartUploads', { query })).text
  const first = await list({ 'max-uploads': '1' })
  t.same(texts(first, 'UploadId'), [ids[0]])
  t.same(texts(first, 'NextKeyMarker'), ['a'])
  t.same(texts(first, 'NextUploadIdMarker'), [ids[0]])
  const second = await list({ 'key-marker': 'a', 'upload-id-marker': ids[0] ?? '' })
  t.same(texts(second, 'UploadId'), ids.slice(1))
  t.same(texts(second, 'IsTruncated'), ['false'])
  t.same(texts(second, 'NextKeyMarker'), ['c'], 'of a last page they are those of its last upload')
  t.same(texts(second, 'NextUploadIdMarker'), [ids[4]])
  const none = await list({ prefix: 'none' })
  t.match(none, /<NextKeyMarker><\/NextKeyMarker><NextUploadIdMarker><\/NextUploadIdMarker>/)
  t.same(texts(await list({ 'key-marker': 'a' }), 'Key'), ['b/1', 'b/2', 'c'])
  t.same(texts(await list({ 'upload-id-marker': ids[0] ?? '' }), 'UploadId'), ids)
  t.same(texts(await list({ prefix: 'b/' }), 'Key'), ['b/1', 'b/2'])
  const rolled = await list({ delimiter: '/', 'max-uploads': '3' })
  t.match(rolled, /<CommonPrefixes><Prefix>b\/<\/Prefix><\/CommonPrefixes>/)
  t.same(texts(rolled, 'NextKeyMarker'), ['b/'])
  t.same(texts(rolled, 'NextUploadIdMarker'), [''])
})
