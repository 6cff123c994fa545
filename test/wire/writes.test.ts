// Conditional writes, copies and multipart uploads, in the answers that clients decide upon (63 to 69, 76, 97 to 114).
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  elementOf,
  listed,
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/target`
const SOURCE = `/${BUCKET}/source`
const MIB = 1024 * 1024

t.test('writes', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('conditions (64 to 69)', async (t) => conditions(t, wire))
    await t.test('copies (63, 97 to 99)', async (t) => copies(t, wire))
    await t.test('multipart uploads (106 to 109)', async (t) => uploads(t, wire))
    await t.test('checksums of uploads (35 to 38)', async (t) => checksums(t, wire))
    await t.test('parts that are copied (76)', async (t) => copiedParts(t, wire))
  })
})

async function conditions(t: Test, wire: Wire): Promise<void> {
  const missing = await ask(wire, {
    method: 'PUT',
    path: PATH,
    body: 'x',
    headers: { 'if-match': '*' },
  })
  wantError(t, missing, 404, 'NoSuchKey', { Key: 'target' }, 'If-Match on nothing')
  const write = (headers: Record<string, string>, body = 'new'): Promise<Answer> =>
    ask(wire, { method: 'PUT', path: PATH, body, headers })
  const first = await write({ 'if-none-match': '*' }, 'first')
  t.equal(first.status, 200)
  const etag = first.headers.etag!
  const refused: [headers: Record<string, string>, status: number, code: string][] = [
    [{ 'if-none-match': '*' }, 412, 'PreconditionFailed'],
    [{ 'if-none-match': etag }, 412, 'PreconditionFailed'],
    [{ 'if-match': '"00000000000000000000000000000000"' }, 412, 'PreconditionFailed'],
    [{ 'if-match': '' }, 412, 'PreconditionFailed'],
    [{ 'if-match': etag, 'if-none-match': '*' }, 501, 'NotImplemented'],
    [{ 'if-modified-since': 'Sat, 01 Jan 2000 00:00:00 GMT' }, 501, 'NotImplemented'],
    [{ 'if-unmodified-since': 'Sat, 01 Jan 2000 00:00:00 GMT' }, 501, 'NotImplemented'],
  ]
  for (const [headers, status, code] of refused) {
    wantError(t, await write(headers), status, code, {}, JSON.stringify(headers))
  }
  t.equal((await ask(wire, { path: PATH })).text, 'first')
  const swaps = await Promise.all(
    Array.from({ length: 20 }, (_, index) => write({ 'if-match': etag }, `swap ${index}`)),
  )
  t.equal(swaps.filter(({ status }) => status === 200).length, 1, 'one swap of many wins (67)')
  for (const { status } of swaps) t.ok([200, 409, 412].includes(status), String(status))
  const remove = (headers: Record<string, string>): Promise<Answer> =>
    ask(wire, { method: 'DELETE', path: PATH, headers })
  wantError(t, await remove({ 'if-match': etag }), 412, 'PreconditionFailed')
  t.equal((await remove({ 'if-match': '*' })).status, 204)
  t.equal((await remove({ 'if-match': '*' })).status, 204, 'nothing to delete (68)')
  t.equal((await remove({})).status, 204, 'DELETE of nothing (102)')
  const races = await Promise.all(
    Array.from({ length: 20 }, (_, index) => write({ 'if-none-match': '*' }, `race ${index}`)),
  )
  t.equal(races.filter(({ status }) => status === 200).length, 1, 'one creator of many wins (67)')
  await remove({})
}

async function copies(t: Test, wire: Wire): Promise<void> {
  const stored = await put(wire, SOURCE, 'hello', {
    'content-type': 'text/plain',
    'x-amz-meta-a': 'b',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-website-redirect-location': '/x',
  })
  const copy = (headers: Record<string, string>, path = PATH): Promise<Answer> =>
    ask(wire, { method: 'PUT', path, headers: { 'x-amz-copy-source': SOURCE, ...headers } })
  for (const source of [
    SOURCE,
    SOURCE.slice(1),
    `${SOURCE}?versionId=null`,
    `/${BUCKET}/%73ource`,
  ]) {
    const answer = await copy({ 'x-amz-copy-source': source })
    t.equal(elementOf(answer, 'ETag'), stored.headers.etag, source)
    t.match(elementOf(answer, 'LastModified'), /^\d{4}-.*\.\d{3}Z$/)
  }
  const kept = (await ask(wire, { method: 'HEAD', path: PATH })).headers
  t.equal(`${kept['content-type']} ${kept['x-amz-meta-a']}`, 'text/plain b', 'COPY keeps')
  t.notOk(kept['x-amz-website-redirect-location'], 'but never the redirect (99)')
  const replace = { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-c': 'd' }
  t.equal((await copy(replace)).status, 200)
  const replaced = (await ask(wire, { method: 'HEAD', path: PATH })).headers
  t.notOk(replaced['x-amz-meta-a'], 'REPLACE replaces all')
  t.equal(`${replaced['content-type']} ${replaced['x-amz-meta-c']}`, 'binary/octet-stream d')
  wantError(t, await copy({}, SOURCE), 400, 'InvalidRequest', {}, 'onto itself (98)')
  t.equal((await copy(replace, SOURCE)).status, 200, 'onto itself with REPLACE')
  t.equal((await copy({ 'x-amz-storage-class': 'GLACIER' }, SOURCE)).status, 200)
  t.equal((await ask(wire, { path: SOURCE })).text, 'hello', 'it outlives its copies onto itself')
  const refused: [headers: Record<string, string>, status: number, code: string][] = [
    [{ 'x-amz-metadata-directive': 'MERGE' }, 400, 'InvalidArgument'],
    [{ 'x-amz-copy-source': '' }, 400, 'InvalidArgument'],
    [{ 'x-amz-copy-source': '/' }, 400, 'InvalidArgument'],
    [{ 'x-amz-copy-source': BUCKET }, 400, 'InvalidArgument'],
    [{ 'x-amz-copy-source': `${SOURCE}%zz` }, 400, 'InvalidArgument'],
    [{ 'x-amz-copy-source': `/${BUCKET}/missing` }, 404, 'NoSuchKey'],
    [{ 'x-amz-copy-source': `/${BUCKET}/../source` }, 404, 'NoSuchKey'],
    [{ 'x-amz-copy-source': `/${BUCKET}/so%00urce` }, 404, 'NoSuchKey'],
    [{ 'x-amz-copy-source': '/no-such-bucket/source' }, 404, 'NoSuchBucket'],
    [{ 'x-amz-copy-source': `${SOURCE}?versionId=abc` }, 404, 'NoSuchVersion'],
    [{ 'x-amz-copy-source-if-match': 'abc' }, 412, 'PreconditionFailed'],
    [{ 'x-amz-copy-source-if-none-match': stored.headers.etag! }, 412, 'PreconditionFailed'],
    [{ 'if-none-match': '*' }, 412, 'PreconditionFailed'],
    [{ 'x-amz-tagging': 'a=b' }, 501, 'NotImplemented'],
  ]
  for (const [headers, status, code] of refused) {
    wantError(t, await copy(headers), status, code, {}, JSON.stringify(headers))
  }
  t.same(await listed(wire), ['source', 'target'])
}

interface UploadAt {
  wire: Wire
  uploadId: string
}

async function begin(wire: Wire, headers: Record<string, string> = {}): Promise<UploadAt> {
  const created = await ask(wire, { method: 'POST', path: PATH, query: { uploads: '' }, headers })
  return { wire, uploadId: elementOf(created, 'UploadId')! }
}

function sendPart({ wire, uploadId }: UploadAt, partNumber: number, wanted: Ask): Promise<Answer> {
  const query = { partNumber: String(partNumber), uploadId }
  return ask(wire, { method: 'PUT', path: PATH, query, ...wanted })
}

function complete(
  { wire, uploadId }: UploadAt,
  parts: readonly (readonly [number: number, etag: string, more?: string])[],
  headers: Record<string, string> = {},
): Promise<Answer> {
  const items = parts.map(
    ([number, etag, more = '']) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${more}</Part>`,
  )
  const body = `<CompleteMultipartUpload>${items.join('')}</CompleteMultipartUpload>`
  return ask(wire, { method: 'POST', path: PATH, query: { uploadId }, body, headers })
}

async function uploads(t: Test, wire: Wire): Promise<void> {
  const upload = await begin(wire, { 'x-amz-meta-a': 'b', 'content-type': 'text/plain' })
  for (const number of [0, 10_001, -1]) {
    const answer = await sendPart(upload, number, { body: 'x' })
    const message = 'Part number must be an integer between 1 and 10000, inclusive.'
    wantError(t, answer, 400, 'InvalidArgument', { Message: message }, `part ${number}`)
  }
  const { uploadId } = upload
  const large = Buffer.alloc(5 * MIB, 'kintsugi')
  const [one, small] = [
    await sendPart(upload, 2, { body: large }),
    await sendPart(upload, 5, { body: 'small' }),
  ]
  const etags = [one.headers.etag!, small.headers.etag!] as const
  const again = await sendPart(upload, 5, { body: 'again' })
  await sendPart(upload, 9, { body: 'not listed' })
  const wrong: [parts: [number, string][], code: string, elements?: Record<string, string>][] = [
    [[], 'MalformedXML'],
    [
      [
        [5, again.headers.etag!],
        [2, etags[0]],
      ],
      'InvalidPartOrder',
    ],
    [
      [
        [2, etags[0]],
        [2, etags[0]],
      ],
      'InvalidPartOrder',
    ],
    [
      [
        [2, etags[0]],
        [5, etags[1]],
      ],
      'InvalidPart',
      { UploadId: uploadId, PartNumber: '5' },
    ],
    [
      [
        [2, etags[0]],
        [6, etags[1]],
      ],
      'InvalidPart',
      { UploadId: uploadId, PartNumber: '6' },
    ],
    [
      [
        [5, again.headers.etag!],
        [9, `"${md5('not listed')}"`],
      ],
      'EntityTooSmall',
      { ProposedSize: '5', MinSizeAllowed: String(5 * MIB), PartNumber: '5' },
    ],
  ]
  for (const [parts, code, elements] of wrong) {
    wantError(t, await complete(upload, parts), 400, code, elements, `${code} ${parts.length}`)
  }
  t.equal((await ask(wire, { path: PATH })).text, 'hello', 'the old object is still there')
  const listedParts = [
    [2, etags[0]],
    [5, again.headers.etag!],
  ] as const
  const done = await complete(upload, listedParts)
  const etag = `"${multipartEtag([large, Buffer.from('again')])}"`
  t.equal(elementOf(done, 'ETag'), etag, done.text.slice(0, 300))
  const head = await ask(wire, { method: 'HEAD', path: PATH })
  t.match(head.headers, {
    etag,
    'content-length': String(5 * MIB + 5),
    'x-amz-meta-a': 'b',
    'content-type': 'text/plain',
  })
  const part = await ask(wire, { path: PATH, query: { partNumber: '2' } })
  t.equal(part.text, 'again', 'partNumber counts from one without gaps (74)')
  t.equal(part.headers['x-amz-mp-parts-count'], '2')
  t.equal(part.headers['content-range'], `bytes ${5 * MIB}-${5 * MIB + 4}/${5 * MIB + 5}`)
  const repeated = await complete(upload, listedParts)
  t.equal(repeated.text.replace(/<Re.*/, ''), done.text.replace(/<Re.*/, ''), 'idempotent (109)')
  wantError(t, await complete(upload, [[2, etags[0]]]), 404, 'NoSuchUpload', { UploadId: uploadId })
  const late = await sendPart(upload, 1, { body: 'late' })
  wantError(t, late, 404, 'NoSuchUpload', { UploadId: uploadId })
  const next = await begin(wire)
  const only = await sendPart(next, 1, { body: 'tiny' })
  const exists = await complete(next, [[1, only.headers.etag!]], { 'if-none-match': '*' })
  wantError(t, exists, 412, 'PreconditionFailed', { Condition: 'If-None-Match' })
  const size = await complete(next, [[1, only.headers.etag!]], { 'x-amz-mp-object-size': '5' })
  wantError(t, size, 400, 'InvalidRequest', {}, 'x-amz-mp-object-size (38)')
  t.equal((await complete(next, [[1, only.headers.etag!]])).status, 200)
}

function md5(bytes: string | Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

function multipartEtag(parts: readonly Uint8Array[]): string {
  const digests = parts.map((part) => Buffer.from(md5(part), 'hex'))
  return `${md5(Buffer.concat(digests))}-${parts.length}`
}

async function checksums(t: Test, wire: Wire): Promise<void> {
  const create = (headers: Record<string, string>): Promise<Answer> =>
    ask(wire, { method: 'POST', path: PATH, query: { uploads: '' }, headers })
  const pairs: [algorithm: string, type: string | undefined, status: number][] = [
    ['CRC32', undefined, 200],
    ['CRC32', 'FULL_OBJECT', 200],
    ['CRC64NVME', 'COMPOSITE', 400],
    ['SHA256', 'FULL_OBJECT', 400],
    ['SHA1', 'COMPOSITE', 200],
    ['MD6', undefined, 400],
    ['', 'COMPOSITE', 400],
  ]
  for (const [algorithm, type, status] of pairs) {
    const headers = {
      ...(algorithm === '' ? {} : { 'x-amz-checksum-algorithm': algorithm }),
      ...(type === undefined ? {} : { 'x-amz-checksum-type': type }),
    }
    const answer = await create(headers)
    t.equal(answer.status, status, `${algorithm} ${type}`)
    if (status === 400) wantError(t, answer, 400, 'InvalidRequest', {}, `${algorithm} ${type}`)
    else t.equal(answer.headers['x-amz-checksum-algorithm'], algorithm)
  }
  const upload = await begin(wire, { 'x-amz-checksum-algorithm': 'SHA256' })
  const value = createHash('sha256').update('hello').digest('base64')
  const wrong = await sendPart(upload, 1, {
    body: 'hello',
    headers: { 'x-amz-checksum-crc32': 'NhCmhg==' },
  })
  wantError(t, wrong, 400, 'InvalidRequest', {}, 'another algorithm than Create')
  const part = await sendPart(upload, 1, {
    body: 'hello',
    headers: { 'x-amz-checksum-sha256': value },
  })
  t.equal(part.headers['x-amz-checksum-sha256'], value)
  const named = (text: string): [number, string, string][] => [
    [1, part.headers.etag!, `<ChecksumSHA256>${text}</ChecksumSHA256>`],
  ]
  const other = createHash('sha256').update('other').digest('base64')
  wantError(t, await complete(upload, named(other)), 400, 'InvalidPart')
  const composite = createHash('sha256').update(Buffer.from(value, 'base64')).digest('base64')
  const claimed = await complete(upload, named(value), { 'x-amz-checksum-sha256': `${other}-1` })
  wantError(t, claimed, 400, 'BadDigest', {}, 'wrong checksum of the object')
  const done = await complete(upload, named(value), { 'x-amz-checksum-sha256': `${composite}-1` })
  t.equal(elementOf(done, 'ChecksumSHA256'), `${composite}-1`, done.text)
  t.equal(elementOf(done, 'ChecksumType'), 'COMPOSITE')
  const head = await ask(wire, {
    method: 'HEAD',
    path: PATH,
    headers: { 'x-amz-checksum-mode': 'enabled' },
  })
  t.equal(head.headers['x-amz-checksum-sha256'], `${composite}-1`)
  t.equal(head.headers['x-amz-checksum-type'], 'COMPOSITE')
}

async function copiedParts(t: Test, wire: Wire): Promise<void> {
  const upload = await begin(wire)
  const copyPart = (headers: Record<string, string>): Promise<Answer> =>
    sendPart(upload, 1, { headers: { 'x-amz-copy-source': SOURCE, ...headers } })
  const ranges = [
    'bytes=0-5',
    'bytes=5-5',
    'bytes=3-1',
    'bytes=0-',
    'bytes=-2',
    '0-1',
    'bytes=0-1,2-3',
    'lines=0-1',
  ]
  for (const range of ranges) {
    const answer = await copyPart({ 'x-amz-copy-source-range': range })
    const message = 'Range specified is not valid for source object of size: 5'
    wantError(t, answer, 400, 'InvalidArgument', { Message: message }, range)
  }
  const stale = await copyPart({ 'x-amz-copy-source-if-match': 'abc' })
  wantError(t, stale, 412, 'PreconditionFailed')
  const middle = await copyPart({ 'x-amz-copy-source-range': 'bytes=1-3' })
  t.equal(elementOf(middle, 'ETag'), `"${md5('ell')}"`)
  const done = await complete(upload, [[1, elementOf(middle, 'ETag')!]])
  t.equal(done.status, 200)
  t.equal((await ask(wire, { path: PATH })).text, 'ell')
}
