// GetObject and HeadObject: ranges, parts, conditions, headers (pitfalls 39, 51, 53 to 55, 60 to 63, 70 to 78, 103).
import t, { type Test } from 'tap'
import { digestOf } from '../../../../src/digest/digest.ts'
import { type Answered, type Asked, type Gateway, openGateway } from './fake-call.ts'

const BODY = 'abcdefghij'.repeat(500)
const ETAG = '"5623f56f63faf7a90c89379c0129d05d"'
const CHECKSUM_MODE = { 'x-amz-checksum-mode': 'ENABLED' }

async function withObject(headers: Record<string, string> = {}): Promise<Gateway> {
  const gateway = await openGateway()
  await gateway.ask('PutObject', { key: 'a', body: BODY, headers })
  return gateway
}

/** The answer of GET; HEAD must say the same. */
async function read(t: Test, { ask }: Gateway, asked: Asked = {}): Promise<Answered> {
  const got = await ask('GetObject', { key: 'a', ...asked })
  const head = await ask('HeadObject', { key: 'a', ...asked })
  t.same(head, { ...got, text: '' }, 'HEAD is GET without the bytes (pitfall 51)')
  return got
}

t.test('everything', async (t) => {
  const { status, headers, text } = await read(t, await withObject())
  t.equal(status, 200)
  t.equal(text, BODY)
  t.same(headers, {
    'content-type': 'binary/octet-stream',
    etag: ETAG,
    'last-modified': 'Fri, 20 Nov 2026 12:00:00 GMT',
    'accept-ranges': 'bytes',
    'content-length': '5000',
  })
})

t.test('what the PUT said comes back (pitfalls 92 to 94)', async (t) => {
  const sent = {
    'content-type': 'text/x-odd; a=b',
    'content-encoding': 'gzip',
    'cache-control': 'no-cache',
    expires: 'whenever',
    'x-amz-meta-mtime': '1.5',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-website-redirect-location': '/b',
  }
  const gateway = await withObject(sent)
  t.match((await read(t, gateway)).headers, sent)
})

t.test('ranges (pitfalls 70 to 72)', async (t) => {
  const gateway = await withObject()
  const rows: [range: string, status: number, contentRange: string | undefined, text: string][] = [
    ['bytes=2-5', 206, 'bytes 2-5/5000', 'cdef'],
    ['bytes=4998-9999', 206, 'bytes 4998-4999/5000', 'ij'],
    ['bytes=-3', 206, 'bytes 4997-4999/5000', 'hij'],
    ['bytes=0-', 206, 'bytes 0-4999/5000', BODY],
    ['bytes=-9999', 206, 'bytes 0-4999/5000', BODY],
    ['bytes=5-2', 200, undefined, BODY],
    ['bytes=0-1,9-3', 200, undefined, BODY],
  ]
  for (const [range, status, contentRange, text] of rows) {
    const answer = await read(t, gateway, { headers: { range } })
    t.equal(answer.status, status, range)
    t.equal(answer.headers['content-range'], contentRange, range)
    t.equal(answer.text, text, range)
    t.equal(answer.headers['content-length'], String(text.length), range)
  }
  for (const range of ['bytes=5000-', 'bytes=-0'])
    for (const operation of ['GetObject', 'HeadObject'] as const)
      t.match(await gateway.refused(operation, { key: 'a', headers: { range } }), {
        code: 'InvalidRange',
        status: 416,
        headers: { 'content-range': 'bytes */5000' },
      })
})

t.test('several ranges are one answer', async (t) => {
  const gateway = await withObject({ 'content-type': 'text/plain' })
  const headers = { ...CHECKSUM_MODE, range: 'bytes=4998-,0-1' }
  const answer = await read(t, gateway, { headers })
  t.equal(answer.status, 206)
  t.equal(answer.headers['content-type'], 'multipart/byteranges; boundary=kintsugi-R1')
  t.notOk('content-range' in answer.headers)
  t.notOk('x-amz-checksum-crc64nvme' in answer.headers)
  t.same(
    answer.text.split('\r\n').filter((line) => /^[a-j]+$/.test(line)),
    ['ij', 'ab'],
  )
})

t.test('an empty object (pitfalls 72, 77)', async (t) => {
  const gateway = await openGateway()
  await gateway.ask('PutObject', { key: 'a' })
  for (const headers of [{}, { range: 'bytes=-5' }]) {
    const answer = await read(t, gateway, { headers })
    t.equal(answer.status, 200)
    t.notOk('content-range' in answer.headers)
  }
  const one = await read(t, gateway, { query: { partNumber: '1' } })
  t.match(one, { status: 200, headers: { 'content-length': '0' } })
  const headers = { range: 'bytes=0-8388607' }
  t.match(await gateway.refused('GetObject', { key: 'a', headers }), { code: 'InvalidRange' })
})

t.test('If-Range that names another version sends everything (pitfall 73)', async (t) => {
  const gateway = await withObject()
  const status = async (ifRange: string) =>
    (await read(t, gateway, { headers: { range: 'bytes=0-1', 'if-range': ifRange } })).status
  t.equal(await status(ETAG), 206)
  t.equal(await status('Fri, 20 Nov 2026 12:00:00 GMT'), 206)
  t.equal(await status('"other"'), 200)
  t.equal(await status('Fri, 20 Nov 2026 11:00:00 GMT'), 200)
})

t.test('304 has the headers of 304 (pitfalls 60, 61)', async (t) => {
  const gateway = await withObject({ 'cache-control': 'no-cache', expires: 'soon' })
  const answer = await read(t, gateway, { headers: { 'if-none-match': ETAG } })
  t.same(answer, {
    status: 304,
    headers: {
      etag: ETAG,
      'last-modified': 'Fri, 20 Nov 2026 12:00:00 GMT',
      'cache-control': 'no-cache',
      expires: 'soon',
    },
    text: '',
  })
})

t.test('412 names its condition (pitfall 61)', async (t) => {
  const { refused } = await withObject()
  const headers = { 'if-match': '"other"', range: 'bytes=0-1' }
  t.match(await refused('GetObject', { key: 'a', headers }), {
    code: 'PreconditionFailed',
    elements: { Condition: 'If-Match' },
  })
  t.match(await refused('HeadObject', { key: 'none', headers: { 'if-match': '""' } }), {
    code: 'NoSuchKey',
    status: 404,
  })
})

t.test('checksums only when asked, and only of exactly the bytes sent (pitfall 39)', async (t) => {
  const gateway = await withObject({ 'x-amz-checksum-crc32': 'sent' })
  const shown = async (headers: Record<string, string>) => {
    const answer = await read(t, gateway, { headers })
    return Object.keys(answer.headers).filter((name) => name.startsWith('x-amz-checksum'))
  }
  const both = ['x-amz-checksum-crc32', 'x-amz-checksum-type']
  t.same(await shown({}), [])
  t.same(await shown(CHECKSUM_MODE), both)
  t.same(await shown({ ...CHECKSUM_MODE, range: 'bytes=0-8388607' }), both)
})

t.test('GET computes the checksum of a range, HEAD does not (pitfall 39)', async (t) => {
  const gateway = await withObject()
  const asked = { key: 'a', headers: { ...CHECKSUM_MODE, range: 'bytes=10-4998' } }
  const got = await gateway.ask('GetObject', asked)
  const crc = Buffer.from(digestOf('CRC32', Buffer.from(BODY.slice(10, 4999)))).toString('base64')
  t.match(got.headers, { 'x-amz-checksum-crc32': crc, 'x-amz-checksum-type': 'FULL_OBJECT' })
  t.equal(got.text, BODY.slice(10, 4999))
  t.notOk('x-amz-checksum-crc32' in (await gateway.ask('HeadObject', asked)).headers)
})

t.test('bytes at hand make the same answers', async (t) => {
  const gateway = await withObject({ 'x-amz-checksum-crc32': 'sent' })
  const { store } = gateway
  let atHand = 0
  const withBytes = async (...asked: Parameters<typeof store.find>) => {
    const found = await find(...asked)
    if (found.kind === 'found')
      found.object.readAtHand = ({ first, last }) => {
        atHand += 1
        return Buffer.from(BODY).subarray(first, last + 1)
      }
    return found
  }
  const find = store.find.bind(store)
  const range = { range: 'bytes=10-4998' }
  const asked = [{}, range, { range: 'bytes=1-2,7-9' }, { 'if-none-match': ETAG }, CHECKSUM_MODE]
  for (const headers of [...asked, { ...CHECKSUM_MODE, ...range }]) {
    store.find = find
    const wanted = await gateway.ask('GetObject', { key: 'a', headers })
    store.find = withBytes
    t.same(await gateway.ask('GetObject', { key: 'a', headers }), wanted)
  }
  t.equal(atHand, 3, 'neither several ranges nor one whose checksum is computed')
})

t.test('response-* headers (pitfalls 25, 78)', async (t) => {
  const gateway = await withObject({ 'content-type': 'text/plain' })
  const query = { 'response-content-type': 'text/html', 'response-cache-control': 'no-store' }
  const { headers } = await read(t, gateway, { query })
  t.match(headers, { 'content-type': 'text/html', 'cache-control': 'no-store' })
  const asked = { key: 'a', query, anonymous: true }
  t.match(await gateway.refused('GetObject', asked), { code: 'InvalidRequest' })
})

t.test('versions of a bucket that has none (pitfall 103)', async (t) => {
  const gateway = await withObject()
  t.equal((await read(t, gateway, { query: { versionId: 'null' } })).text, BODY)
  const versionId = '3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY'
  t.match(await gateway.refused('GetObject', { key: 'a', query: { versionId } }), {
    code: 'NoSuchVersion',
    elements: { Key: 'a', VersionId: versionId },
  })
  t.match(await gateway.refused('GetObject', { key: 'a', query: { versionId: '{}' } }), {
    code: 'InvalidArgument',
  })
})

t.test('parts of a plain object (pitfall 74)', async (t) => {
  const gateway = await withObject()
  const answer = await read(t, gateway, { query: { partNumber: '1' } })
  t.match(answer, { status: 206, headers: { 'content-range': 'bytes 0-4999/5000' } })
  t.notOk('x-amz-mp-parts-count' in answer.headers)
  t.match(await gateway.refused('GetObject', { key: 'a', query: { partNumber: '2' } }), {
    code: 'InvalidPartNumber',
    status: 416,
    elements: { ActualPartCount: '1', PartNumberRequested: '2' },
  })
  const both = { key: 'a', query: { partNumber: '1' }, headers: { range: 'bytes=0-1' } }
  t.match(await gateway.refused('GetObject', both), { code: 'InvalidRequest' })
})

t.test('reading with a key of encryption is refused, not ignored', async (t) => {
  const { refused } = await withObject()
  const headers = { 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }
  t.match(await refused('GetObject', { key: 'a', headers }), { code: 'InvalidArgument' })
  const method = { 'x-amz-server-side-encryption': 'AES256' }
  t.match(await refused('GetObject', { key: 'a', headers: method }), { code: 'InvalidArgument' })
})
