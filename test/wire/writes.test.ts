// Copies and multipart uploads, in the answers that clients decide upon (37, 38, 76, 97 to 100, 106 to 113).
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { beginUpload, completeUpload, PART_BYTES_MIN, uploadAll, uploadPart } from './uploads.ts'
import {
  type Answer,
  type Ask,
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

const PATH = `/${BUCKET}/target`
const SOURCE = `/${BUCKET}/source`

t.test('writes', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 76: ranges of parts that are copied', async (t) => copiedParts(t, wire))
    await t.test('pitfall 97: how a source is written', async (t) => sources(t, wire))
    await t.test('pitfall 98: a copy onto itself changes something', async (t) =>
      ontoItself(t, wire),
    )
    await t.test('pitfall 99: what a copy takes from its source', async (t) => copies(t, wire))
    await t.test(
      'pitfall 100: answers that may take long begin with their declaration',
      async (t) => declarations(t, wire),
    )
    await t.test('pitfall 106: numbers and sizes of parts', async (t) => partLimits(t, wire))
    await t.test('pitfall 107: lists of parts that are wrong', async (t) => wrongLists(t, wire))
    await t.test('pitfall 108: a part that is sent again replaces the first', async (t) =>
      partsAgain(t, wire),
    )
    await t.test('pitfall 109: Complete is idempotent', async (t) => completeAgain(t, wire))
    await t.test('pitfall 110: Abort, once, and not after Complete', async (t) => aborts(t, wire))
    await t.test('pitfall 111: Complete says where the object is', async (t) => locations(t, wire))
    await t.test('pitfall 112: an object has what its Create said', async (t) => created(t, wire))
    await t.test('pitfall 113: an object is modified when it is completed', async (t) =>
      modified(t, wire),
    )
    await t.test('pitfall 38: x-amz-mp-object-size', async (t) => objectSize(t, wire))
    await t.test('pitfall 37: checksums of uploads', async (t) => checksums(t, wire))
  })
})

function copy(wire: Wire, headers: Record<string, string> = {}, path = PATH): Promise<Answer> {
  return ask(wire, { method: 'PUT', path, headers: { 'x-amz-copy-source': SOURCE, ...headers } })
}

function head(wire: Wire, path = PATH): Promise<Answer> {
  return ask(wire, { method: 'HEAD', path })
}

function putSource(wire: Wire): Promise<Answer> {
  return put(wire, SOURCE, 'hello', {
    'content-type': 'text/plain',
    'x-amz-meta-a': 'b',
    'x-amz-tagging': 'color=red&size=big',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-website-redirect-location': '/x',
  })
}

async function sources(t: Test, wire: Wire): Promise<void> {
  const stored = await putSource(wire)
  await put(wire, `/${BUCKET}/odd%3FversionId%3Dnull%2B%20`, 'odd')
  const forms: [source: string, etag: string][] = [
    [SOURCE, stored.headers.etag!],
    [SOURCE.slice(1), stored.headers.etag!],
    [`${SOURCE}?versionId=null`, stored.headers.etag!],
    [`/${BUCKET}/%73ource`, stored.headers.etag!],
    [`/${BUCKET}/odd%3FversionId%3Dnull%2B%20`, `"${md5('odd')}"`],
  ]
  for (const [source, etag] of forms) {
    const answer = await copy(wire, { 'x-amz-copy-source': source })
    t.equal(elementOf(answer, 'ETag'), etag, source)
    t.match(elementOf(answer, 'LastModified'), /^\d{4}-.*\.\d{3}Z$/)
  }
  const refused: [source: string, status: number, code: string, message?: string][] = [
    ['', 400, 'InvalidArgument'],
    ['/', 400, 'InvalidArgument', 'Invalid copy source bucket name'],
    [BUCKET, 400, 'InvalidArgument', 'Invalid copy source object key'],
    [`${SOURCE}%zz`, 400, 'InvalidArgument', 'Invalid copy source encoding'],
    [`/${BUCKET}/missing`, 404, 'NoSuchKey'],
    [`/${BUCKET}/../source`, 404, 'NoSuchKey'],
    [`/${BUCKET}/so%00urce`, 404, 'NoSuchKey'],
    ['/no-such-bucket/source', 404, 'NoSuchBucket'],
    [`${SOURCE}?versionId=abc`, 404, 'NoSuchVersion'],
    [`${SOURCE}?versionId=a/b`, 400, 'InvalidArgument'],
  ]
  for (const [source, status, code, message] of refused) {
    const elements = message === undefined ? {} : { Message: message }
    const answer = await copy(wire, { 'x-amz-copy-source': source })
    wantError(t, answer, status, code, elements, source)
  }
  await ask(wire, { method: 'DELETE', path: `/${BUCKET}/odd%3FversionId%3Dnull%2B%20` })
  t.same(await listed(wire), ['source', 'target'])
}

async function ontoItself(t: Test, wire: Wire): Promise<void> {
  await putSource(wire)
  const message = /^This copy request is illegal because/
  const refused = await copy(wire, {}, SOURCE)
  wantError(t, refused, 400, 'InvalidRequest')
  t.match(elementOf(refused, 'Message'), message)
  const changes: Record<string, string>[] = [
    { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-c': 'd' },
    { 'x-amz-storage-class': 'GLACIER' },
    { 'x-amz-website-redirect-location': '/y' },
    { 'x-amz-copy-source': `${SOURCE}?versionId=null` },
  ]
  for (const change of changes)
    t.equal((await copy(wire, change, SOURCE)).status, 200, JSON.stringify(change))
  t.equal((await ask(wire, { path: SOURCE })).text, 'hello', 'it outlives its copies onto itself')
  for (const what of ['metadata', 'tagging']) {
    const merge = await copy(wire, { [`x-amz-${what}-directive`]: 'MERGE' })
    wantError(t, merge, 400, 'InvalidArgument', { ArgumentValue: 'MERGE' }, what)
  }
}

async function copies(t: Test, wire: Wire): Promise<void> {
  await putSource(wire)
  const tags = async () => {
    const answer = await ask(wire, { path: PATH, query: { tagging: '' } })
    return elementsOf(answer, 'Value')
  }
  t.equal((await copy(wire)).status, 200)
  const kept = (await head(wire)).headers
  t.equal(`${kept['content-type']} ${kept['x-amz-meta-a']}`, 'text/plain b', 'COPY keeps')
  t.notOk(kept['x-amz-website-redirect-location'], 'but never the redirect')
  t.notOk(kept['x-amz-storage-class'], 'nor the storage class')
  t.same(await tags(), ['red', 'big'])
  const replace = { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-c': 'd' }
  t.equal((await copy(wire, replace)).status, 200)
  const replaced = (await head(wire)).headers
  t.notOk(replaced['x-amz-meta-a'], 'REPLACE replaces all')
  t.equal(`${replaced['content-type']} ${replaced['x-amz-meta-c']}`, 'binary/octet-stream d')
  t.same(await tags(), ['red', 'big'], 'tags have a directive of their own')
  const blue = { 'x-amz-tagging-directive': 'REPLACE', 'x-amz-tagging': 'color=blue' }
  t.equal((await copy(wire, blue)).status, 200)
  t.same(await tags(), ['blue'])
  t.equal((await head(wire)).headers['x-amz-meta-a'], 'b')
  const lost = await copy(wire, { 'x-amz-tagging': 'a=b' })
  wantError(t, lost, 400, 'InvalidRequest', {}, 'tags that would be dropped')
  const none = await copy(wire, { 'x-amz-tagging-directive': 'REPLACE' })
  t.same(elementsOf(none, 'ChecksumCRC64NVME').length, 1, 'the algorithm of the source')
  t.same(await tags(), [])
  const other = await copy(wire, { 'x-amz-checksum-algorithm': 'SHA256' })
  const sha256 = createHash('sha256').update('hello').digest('base64')
  t.equal(elementOf(other, 'ChecksumSHA256'), sha256, 'or the one asked for')
}

async function declarations(t: Test, wire: Wire): Promise<void> {
  await putSource(wire)
  const upload = await beginUpload(wire, PATH)
  const { uploadId } = upload
  const copied = await copy(wire)
  const query = { partNumber: '1', uploadId }
  const headers = { 'x-amz-copy-source': SOURCE }
  const part = await ask(wire, { method: 'PUT', path: PATH, query, headers })
  const done = await completeUpload(upload, [{ number: 1, etag: elementOf(part, 'ETag')! }])
  for (const { status, text } of [copied, part, done]) {
    t.equal(status, 200)
    t.ok(text.startsWith('<?xml version="1.0" encoding="UTF-8"?>\n<'), 'nothing before it')
  }
  const soon = await copy(wire, { 'x-amz-copy-source': `/${BUCKET}/missing` })
  wantError(t, soon, 404, 'NoSuchKey', {}, 'what is known soon has its own status')
}

async function partLimits(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, PATH)
  for (const number of [0, 10_001, -1]) {
    const message = 'Part number must be an integer between 1 and 10000, inclusive.'
    const answer = await uploadPart(upload, number, 'x')
    wantError(t, answer, 400, 'InvalidArgument', { Message: message }, `part ${number}`)
  }
  const small = await uploadPart(upload, 1, 'small')
  const last = await uploadPart(upload, 10_000, 'last')
  t.equal(last.status, 200)
  const parts = [
    { number: 1, etag: small.headers.etag! },
    { number: 10_000, etag: last.headers.etag! },
  ]
  wantError(t, await completeUpload(upload, parts), 400, 'EntityTooSmall', {
    ProposedSize: '5',
    MinSizeAllowed: String(PART_BYTES_MIN),
    PartNumber: '1',
    ETag: md5('small'),
  })
  const done = await completeUpload(upload, parts.slice(1))
  t.equal(done.status, 200, 'the highest that is listed may be small; gaps are fine')
  t.equal((await ask(wire, { path: PATH })).text, 'last')
}

async function wrongLists(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH, 'old')
  const upload = await beginUpload(wire, PATH)
  const { uploadId } = upload
  const etags = new Map<number, string>()
  for (const number of [2, 5]) {
    const sent = await uploadPart(upload, number, Buffer.alloc(PART_BYTES_MIN, number))
    etags.set(number, sent.headers.etag!)
  }
  const listOf = (...numbers: number[]) =>
    numbers.map((number) => ({ number, etag: etags.get(number) ?? etags.get(2)! }))
  const wrong: [parts: ReturnType<typeof listOf>, code: string, number?: string][] = [
    [[], 'MalformedXML'],
    [listOf(5, 2), 'InvalidPartOrder'],
    [listOf(2, 2), 'InvalidPartOrder'],
    [listOf(2, 6), 'InvalidPart', '6'],
    [[...listOf(2), { number: 5, etag: etags.get(2)! }], 'InvalidPart', '5'],
  ]
  for (const [parts, code, number] of wrong) {
    const elements = number === undefined ? {} : { UploadId: uploadId, PartNumber: number }
    wantError(t, await completeUpload(upload, parts), 400, code, elements)
  }
  t.equal((await ask(wire, { path: PATH })).text, 'old', 'the old object is still there')
  const bare = listOf(2).map(({ number, etag }) => ({ number, etag: etag.replaceAll('"', '') }))
  t.equal((await completeUpload(upload, bare)).status, 200, 'parts not listed are dropped')
  t.equal((await head(wire)).headers['content-length'], String(PART_BYTES_MIN))
}

async function partsAgain(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, PATH)
  const first = await uploadPart(upload, 1, 'first')
  const second = await uploadPart(upload, 1, 'second')
  const { uploadId } = upload
  const half: Ask = { method: 'PUT', path: PATH, query: { partNumber: '1', uploadId } }
  await ask(wire, { ...half, body: 'half', length: 100 }, { end: true }).catch(() => undefined)
  const complete = ({ headers }: Answer) =>
    completeUpload(upload, [{ number: 1, etag: headers.etag! }])
  wantError(t, await complete(first), 400, 'InvalidPart', { PartNumber: '1' })
  t.equal((await complete(second)).status, 200, 'half a part replaces nothing')
  t.equal((await ask(wire, { path: PATH })).text, 'second')
}

async function completeAgain(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, PATH)
  const { uploadId } = upload
  const large = Buffer.alloc(PART_BYTES_MIN, 'kintsugi')
  const parts = [
    { number: 1, etag: (await uploadPart(upload, 1, large)).headers.etag! },
    { number: 2, etag: (await uploadPart(upload, 2, 'end')).headers.etag! },
  ]
  const done = await completeUpload(upload, parts)
  t.equal(elementOf(done, 'ETag'), `"${multipartEtag([large, Buffer.from('end')])}"`)
  t.equal((await completeUpload(upload, parts)).text, done.text)
  const other = await completeUpload(upload, parts.slice(1))
  wantError(t, other, 404, 'NoSuchUpload', { UploadId: uploadId }, 'other parts')
  const late = await uploadPart(upload, 1, 'late')
  wantError(t, late, 404, 'NoSuchUpload', { UploadId: uploadId })
  await put(wire, PATH, 'newer')
  t.equal((await completeUpload(upload, parts)).text, done.text, 'even when it was overwritten')
  t.equal((await ask(wire, { path: PATH })).text, 'newer', 'but it is not done again')
}

async function aborts(t: Test, wire: Wire): Promise<void> {
  const abort = (uploadId: string) =>
    ask(wire, { method: 'DELETE', path: PATH, query: { uploadId } })
  const upload = await beginUpload(wire, PATH)
  await uploadPart(upload, 1, 'x')
  t.equal((await abort(upload.uploadId)).status, 204)
  for (const gone of [upload.uploadId, 'f'.repeat(32), 'none'])
    wantError(t, await abort(gone), 404, 'NoSuchUpload', { UploadId: gone })
  for (let round = 0; round < 10; round += 1) {
    const raced = await beginUpload(wire, PATH)
    const { etag } = (await uploadPart(raced, 1, String(round))).headers
    const [done, aborted] = await Promise.all([
      completeUpload(raced, [{ number: 1, etag: etag! }]),
      abort(raced.uploadId),
    ])
    const outcome = `${done.status} ${aborted.status}`
    t.ok(['200 404', '404 204'].includes(outcome), `exactly one wins: ${outcome}`)
  }
}

async function locations(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/a%20%C3%BC/b`
  const done = await uploadAll(wire, path, ['x'])
  t.equal(elementOf(done, 'Location'), `http://${wire.host}${path}`)
  t.equal(elementOf(done, 'Bucket'), BUCKET)
  t.equal(elementOf(done, 'Key'), 'a ü/b')
  t.match(elementOf(done, 'ETag'), /^"[0-9a-f]{32}-1"$/)
  t.equal(elementOf(done, 'ChecksumType'), 'FULL_OBJECT')
  t.ok(elementOf(done, 'ChecksumCRC64NVME'))
  await ask(wire, { method: 'DELETE', path })
}

async function created(t: Test, wire: Wire): Promise<void> {
  await uploadAll(wire, PATH, ['x'], {
    ...{ 'content-type': 'text/plain', 'cache-control': 'no-cache', 'x-amz-meta-a': 'b' },
    ...{ 'x-amz-tagging': 'color=red', 'x-amz-storage-class': 'STANDARD_IA' },
  })
  t.match((await head(wire)).headers, {
    ...{ 'content-type': 'text/plain', 'cache-control': 'no-cache', 'x-amz-meta-a': 'b' },
    ...{ 'x-amz-tagging-count': '1', 'x-amz-storage-class': 'STANDARD_IA' },
  })
}

async function modified(t: Test, wire: Wire): Promise<void> {
  const begun = await beginUpload(wire, PATH)
  const { etag } = (await uploadPart(begun, 1, 'upload')).headers
  await sleep(1100)
  await put(wire, PATH, 'between')
  const between = Date.parse((await head(wire)).headers['last-modified']!)
  await completeUpload(begun, [{ number: 1, etag: etag! }])
  const completed = Date.parse((await head(wire)).headers['last-modified']!)
  t.ok(completed >= between, 'what is newer is never older')
}

async function objectSize(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, PATH)
  const { etag } = (await uploadPart(upload, 1, 'tiny')).headers
  const complete = (size: string) =>
    completeUpload(upload, [{ number: 1, etag: etag! }], { 'x-amz-mp-object-size': size })
  for (const wrong of ['5', 'many', '-4'])
    wantError(t, await complete(wrong), 400, 'InvalidRequest', {}, wrong)
  t.equal((await complete('4')).status, 200)
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
  const upload = await beginUpload(wire, PATH, { 'x-amz-checksum-algorithm': 'SHA256' })
  const value = createHash('sha256').update('hello').digest('base64')
  const wrong = await uploadPart(upload, 1, 'hello', { 'x-amz-checksum-crc32': 'NhCmhg==' })
  wantError(t, wrong, 400, 'InvalidRequest', {}, 'another algorithm than Create')
  const part = await uploadPart(upload, 1, 'hello', { 'x-amz-checksum-sha256': value })
  t.equal(part.headers['x-amz-checksum-sha256'], value)
  const named = (text: string) => [
    { number: 1, etag: part.headers.etag!, more: `<ChecksumSHA256>${text}</ChecksumSHA256>` },
  ]
  const other = createHash('sha256').update('other').digest('base64')
  wantError(t, await completeUpload(upload, named(other)), 400, 'InvalidPart')
  const composite = createHash('sha256').update(Buffer.from(value, 'base64')).digest('base64')
  const claimed = await completeUpload(upload, named(value), {
    'x-amz-checksum-sha256': `${other}-1`,
  })
  wantError(t, claimed, 400, 'BadDigest', {}, 'wrong checksum of the object')
  const done = await completeUpload(upload, named(value), {
    'x-amz-checksum-sha256': `${composite}-1`,
  })
  t.equal(elementOf(done, 'ChecksumSHA256'), `${composite}-1`, done.text)
  t.equal(elementOf(done, 'ChecksumType'), 'COMPOSITE')
  const mode = { 'x-amz-checksum-mode': 'enabled' }
  const shown = await ask(wire, { method: 'HEAD', path: PATH, headers: mode })
  t.equal(shown.headers['x-amz-checksum-sha256'], `${composite}-1`)
  t.equal(shown.headers['x-amz-checksum-type'], 'COMPOSITE')
}

async function copiedParts(t: Test, wire: Wire): Promise<void> {
  await putSource(wire)
  const upload = await beginUpload(wire, PATH)
  const query = { partNumber: '1', uploadId: upload.uploadId }
  const copyPart = (more: Record<string, string>): Promise<Answer> => {
    const headers = { 'x-amz-copy-source': SOURCE, ...more }
    return ask(wire, { method: 'PUT', path: PATH, query, headers })
  }
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
  const done = await completeUpload(upload, [{ number: 1, etag: elementOf(middle, 'ETag')! }])
  t.equal(done.status, 200)
  t.equal((await ask(wire, { path: PATH })).text, 'ell')
}
