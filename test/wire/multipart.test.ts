// Multipart uploads, in the answers that clients decide upon (37, 38, 106 to 113).
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
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/target`

t.test('multipart uploads', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 106: numbers and sizes of parts', async (t) => partLimits(t, wire))
    await t.test('pitfall 107: lists of parts that are wrong', async (t) => wrongLists(t, wire))
    await t.test('pitfall 108: a part that is sent again replaces the first', async (t) =>
      partsAgain(t, wire),
    )
    await t.test('pitfall 109: Complete is idempotent', async (t) => completeAgain(t, wire))
    await t.test('pitfall 110: Abort, once, and not after Complete', async (t) => aborts(t, wire))
    await t.test('pitfall 111: Complete says where the object is', async (t) => locations(t, wire))
    await t.test('pitfall 112: an object has what its Create said', async (t) => created(t, wire))
    await t.test('pitfall 112: what later requests say of the object is refused', async (t) =>
      saidLate(t, wire),
    )
    await t.test('pitfall 113: an object is modified when it is completed', async (t) =>
      modified(t, wire),
    )
    await t.test('pitfall 38: x-amz-mp-object-size', async (t) => objectSize(t, wire))
    await t.test('pitfall 37: checksums of uploads', async (t) => checksums(t, wire))
  })
})

t.test('multipart uploads, strict', { timeout: 60_000 }, async (t) => {
  await withWire(t, { options: ['--strict-s3'] }, async (wire) => {
    const { uploadId } = await beginUpload(wire, PATH)
    for (const body of ['', '<CompleteMultipartUpload/>']) {
      const none = await ask(wire, { method: 'POST', path: PATH, query: { uploadId }, body })
      const Message = 'You must specify at least one part'
      wantError(t, none, 400, 'InvalidRequest', { Message }, 'no parts')
    }
  })
})

function head(wire: Wire, path = PATH): Promise<Answer> {
  return ask(wire, { method: 'HEAD', path })
}

async function partLimits(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, PATH)
  for (const number of [0, 10_001, -1]) {
    const message = 'Part number must be an integer between 1 and 10000, inclusive'
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

async function saidLate(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/late`
  const kept = { 'x-amz-storage-class': 'STANDARD_IA', 'x-amz-website-redirect-location': '/new' }
  const described = { 'x-amz-meta-shape': 'round', 'x-amz-tagging': 'a=1&b=2' }
  const upload = await beginUpload(wire, path, { ...kept, ...described })
  await put(wire, `${path}-source`, 'bytes')
  const copied = { 'x-amz-copy-source': `${path}-source` }
  const context = 'The specified header is not valid in this context'
  const ofParts: [name: string, value: string, message: string][] = [
    ['x-amz-meta-color', 'red', 'Metadata cannot be specified in this context.'],
    ['x-amz-tagging', 'color=red', context],
  ]
  for (const [name, value, Message] of ofParts) {
    const elements = { Message, ArgumentName: name, ArgumentValue: value }
    for (const more of [{}, copied]) {
      const body = 'x-amz-copy-source' in more ? '' : 'bytes'
      const answer = await uploadPart(upload, 1, body, { [name]: value, ...more })
      wantError(t, answer, 400, 'InvalidArgument', elements, name)
    }
  }
  const part = await uploadPart(upload, 1, 'bytes', { ...kept, 'x-amz-tagging': '' })
  t.equal(part.status, 200, 'what is so anyway may be said again')
  const parts = [{ number: 1, etag: part.headers.etag! }]
  const others: [name: string, value: string][] = [
    ['x-amz-storage-class', 'STANDARD'],
    ['x-amz-website-redirect-location', '/newer'],
    ['x-amz-object-lock-legal-hold', 'ON'],
  ]
  for (const [Header, value] of others) {
    const answer = await uploadPart(upload, 2, 'bytes', { [Header]: value })
    wantError(t, answer, 501, 'NotImplemented', { Header }, `${Header} of a part`)
  }
  for (const [Header, value] of [...others, ...ofParts]) {
    const answer = await completeUpload(upload, parts, { [Header]: value })
    wantError(t, answer, 501, 'NotImplemented', { Header }, `${Header} with Complete`)
  }
  const again = { ...kept, ...described, 'x-amz-tagging': 'b=2&a=1' }
  t.equal((await completeUpload(upload, parts, again)).status, 200, 'said again with Complete')
  t.match((await head(wire, path)).headers, { ...kept, 'x-amz-meta-shape': 'round' })
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
  wantError(t, await complete('5'), 400, 'InvalidRequest')
  for (const wrong of ['many', '-4']) {
    const Message = `Value for x-amz-mp-object-size header is invalid: '${wrong}'`
    wantError(t, await complete(wrong), 400, 'InvalidRequest', { Message })
  }
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
