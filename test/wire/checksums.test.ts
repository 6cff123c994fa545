// Checksums over the wire: every algorithm in headers, trailers, uploads and answers (pitfalls 30 to 40).
import t, { type Test } from 'tap'
import { digestOf, prepareDigests } from '../../src/digest/digest.ts'
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from '../../src/metadata/records.ts'
import {
  askAttributes,
  beginUpload,
  completeUpload,
  PART_BYTES_MIN,
  uploadAll,
  uploadPart,
} from './uploads.ts'
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

const PATH = `/${BUCKET}/checked`
const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
const MODE = { 'x-amz-checksum-mode': 'ENABLED' }
const FIRST = Buffer.alloc(PART_BYTES_MIN, 'kintsugi')
const SECOND = Buffer.from('hello')

t.before(prepareDigests)

t.test('checksums', { timeout: 120_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 30: Content-MD5', async (t) => contentMd5(t, wire))
    await t.test('pitfall 31: some operations want a digest', async (t) => required(t, wire))
    await t.test('pitfall 32: one algorithm in a request', async (t) => single(t, wire))
    await t.test('pitfall 33: ten algorithms', async (t) => everyAlgorithm(t, wire))
    await t.test('pitfall 34: CRC64NVME when none was sent', async (t) => byDefault(t, wire))
    await t.test('pitfall 34: and of uploads, whatever parts were sent with', async (t) =>
      uploadsByDefault(t, wire),
    )
    await t.test('pitfall 35: types that go with algorithms', async (t) => types(t, wire))
    await t.test('pitfall 36: COMPOSITE and FULL_OBJECT values', async (t) => values(t, wire))
    await t.test('pitfall 37: what Complete claims of them', async (t) => claims(t, wire))
    await t.test('pitfall 38: what Complete claims of the length', async (t) => lengths(t, wire))
    await t.test('pitfall 39: checksums of what is read', async (t) => reads(t, wire))
    await t.test('pitfall 40: answers to writes show checksums', async (t) => answers(t, wire))
  })
})

t.test('checksums, strict', { timeout: 60_000 }, async (t) => {
  await withWire(t, { options: ['--strict-s3'] }, async (wire) => {
    await t.test('pitfall 39: no checksum of a range, as AWS', async (t) => strictReads(t, wire))
    await t.test('pitfall 37: each part is listed with its checksum', async (t) =>
      strictComplete(t, wire),
    )
  })
})

function checksumOf(algorithm: ChecksumAlgorithm, bytes: string | Uint8Array): string {
  return Buffer.from(digestOf(algorithm, Buffer.from(bytes))).toString('base64')
}

function headerOf(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`
}

function compositeOf(algorithm: ChecksumAlgorithm, parts: readonly Uint8Array[]): string {
  const digests = Buffer.concat(parts.map((part) => digestOf(algorithm, part)))
  return `${checksumOf(algorithm, digests)}-${parts.length}`
}

function putHello(wire: Wire, headers: Record<string, string>): Promise<Answer> {
  return ask(wire, { method: 'PUT', path: PATH, body: 'hello', headers })
}

function trailing(algorithm: ChecksumAlgorithm, value: string): Ask {
  const name = headerOf(algorithm)
  return {
    ...{ method: 'PUT', path: PATH, payload: UNSIGNED_TRAILER },
    headers: {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': '5',
      'x-amz-trailer': name,
    },
    body: `3\r\nhel\r\n2\r\nlo\r\n0\r\n${name}:${value}\r\n\r\n`,
  }
}

/** Checksum headers of an answer, by the end of their names. */
function shown({ headers }: Answer): Record<string, string> {
  const found = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-checksum-'))
  return Object.fromEntries(found.map(([name, value]) => [name.slice(15), value]))
}

async function contentMd5(t: Test, wire: Wire): Promise<void> {
  const right = checksumOf('MD5', 'hello')
  for (const value of ['%%%', 'aGVsbG8=', `${right}==`, '']) {
    const answer = await putHello(wire, { 'content-md5': value })
    wantError(t, answer, 400, 'InvalidDigest', { 'Content-MD5': value }, `no MD5: ${value}`)
  }
  const other = checksumOf('MD5', 'other')
  const hex = Buffer.from(other, 'base64').toString('hex')
  const digests = { ExpectedDigest: hex, CalculatedDigest: right }
  wantError(t, await putHello(wire, { 'content-md5': other }), 400, 'BadDigest', digests)
  t.same(await listed(wire), [])
  const fine = await putHello(wire, { 'content-md5': right })
  t.same(Object.keys(shown(fine)), ['crc64nvme', 'type'], 'it is no checksum of the object')
  const both = await putHello(wire, { 'content-md5': right, 'x-amz-checksum-md5': right })
  t.same(shown(both), { md5: right, type: 'FULL_OBJECT' })
  const half = await putHello(wire, { 'content-md5': other, 'x-amz-checksum-md5': right })
  wantError(t, half, 400, 'BadDigest', digests, 'both are compared')
}

async function required(t: Test, wire: Wire): Promise<void> {
  const body = '<Delete><Object><Key>none</Key></Object></Delete>'
  const remove = (headers: Record<string, string>, more: Partial<Ask> = {}): Promise<Answer> =>
    ask(wire, {
      ...{ method: 'POST', path: `/${BUCKET}`, query: { delete: '' } },
      ...{ body, headers, ...more },
    })
  const Message = 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*'
  wantError(t, await remove({}), 400, 'InvalidRequest', { Message })
  t.equal((await remove({ 'content-md5': checksumOf('MD5', body) })).status, 200)
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const answer = await remove({ [headerOf(algorithm)]: checksumOf(algorithm, body) })
    t.equal(answer.status, 200, algorithm)
    const wrong = await remove({ [headerOf(algorithm)]: checksumOf(algorithm, 'other') })
    wantError(t, wrong, 400, 'BadDigest', {}, algorithm)
  }
  const framing = {
    'x-amz-trailer': 'x-amz-checksum-crc64nvme',
    'x-amz-decoded-content-length': '',
  }
  framing['x-amz-decoded-content-length'] = String(body.length)
  const value = checksumOf('CRC64NVME', body)
  const framed = `${body.length.toString(16)}\r\n${body}\r\n0\r\nx-amz-checksum-crc64nvme:${value}\r\n\r\n`
  const trailed = await remove(framing, { payload: UNSIGNED_TRAILER, body: framed })
  t.equal(trailed.status, 200, trailed.text)
  await put(wire, PATH)
  const tags = '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>'
  const tag = (headers: Record<string, string>): Promise<Answer> =>
    ask(wire, { method: 'PUT', path: PATH, query: { tagging: '' }, body: tags, headers })
  t.equal((await tag({})).status, 200, 'others take a document without')
  const mangled = await tag({ 'x-amz-checksum-sha512': checksumOf('SHA512', 'other') })
  wantError(t, mangled, 400, 'BadDigest', {}, 'but check what they are told')
}

async function single(t: Test, wire: Wire): Promise<void> {
  const crc32 = { 'x-amz-checksum-crc32': checksumOf('CRC32', 'hello') }
  const sha1 = { 'x-amz-checksum-sha1': checksumOf('SHA1', 'hello') }
  const Message =
    'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.'
  wantError(t, await putHello(wire, { ...crc32, ...sha1 }), 400, 'InvalidRequest', { Message })
  const broken = { ...sha1, 'x-amz-checksum-crc32': '????', 'x-amz-checksum-crc16': 'AAA=' }
  wantError(t, await putHello(wire, broken), 400, 'InvalidRequest', { Message }, 'counted first')
  const twice = trailing('CRC32', checksumOf('CRC32', 'hello'))
  const beside = await ask(wire, { ...twice, headers: { ...twice.headers, ...sha1 } })
  wantError(t, beside, 400, 'InvalidRequest', { Message }, 'header and trailer')
  const nowhere = await putHello(wire, { 'x-amz-sdk-checksum-algorithm': 'CRC32' })
  const missing =
    'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.'
  wantError(t, nowhere, 400, 'InvalidRequest', { Message: missing })
  const other = await putHello(wire, { ...crc32, 'x-amz-sdk-checksum-algorithm': 'SHA1' })
  const mismatch = 'Value for x-amz-sdk-checksum-algorithm header is invalid.'
  wantError(t, other, 400, 'InvalidRequest', { Message: mismatch })
  const unknown = await putHello(wire, { 'x-amz-checksum-crc16': 'AAA=' })
  const nobodys = 'The algorithm type you specified in x-amz-checksum- header is invalid.'
  wantError(t, unknown, 400, 'InvalidRequest', { Message: nobodys })
  t.equal((await putHello(wire, { ...crc32, 'x-amz-sdk-checksum-algorithm': 'CRC32' })).status, 200)
}

async function everyAlgorithm(t: Test, wire: Wire): Promise<void> {
  const nvme = Buffer.from('ae8b14860a799888', 'hex').toString('base64')
  t.equal(checksumOf('CRC64NVME', '123456789'), nvme, 'the published value')
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const [right, wrong] = [checksumOf(algorithm, 'hello'), checksumOf(algorithm, 'other')]
    const header = headerOf(algorithm)
    const digests = { ExpectedDigest: wrong, CalculatedDigest: right }
    const mismatch = await putHello(wire, { [header]: wrong })
    wantError(t, mismatch, 400, 'BadDigest', digests, `wrong ${algorithm}`)
    const Message = `Value for ${header} header is invalid.`
    for (const value of [`${right}x`, right.slice(0, -4), 'AAAA', '', '????'])
      wantError(
        t,
        await putHello(wire, { [header]: value }),
        400,
        'InvalidRequest',
        { Message },
        `${algorithm} ${value}`,
      )
    const late = await ask(wire, trailing(algorithm, wrong))
    wantError(t, late, 400, 'BadDigest', digests, `wrong ${algorithm} in a trailer`)
    const short = await ask(wire, trailing(algorithm, 'AAAA'))
    const inTrailer = `Value for ${header} trailing header is invalid.`
    wantError(t, short, 400, 'InvalidRequest', { Message: inTrailer })
    for (const answer of [
      await putHello(wire, { [header]: right }),
      await ask(wire, trailing(algorithm, right)),
    ]) {
      const checksum = { [algorithm.toLowerCase()]: right, type: 'FULL_OBJECT' }
      t.same(shown(answer), checksum, `${algorithm} ${answer.status}`)
      t.same(shown(await ask(wire, { path: PATH, headers: MODE })), checksum)
    }
  }
}

async function byDefault(t: Test, wire: Wire): Promise<void> {
  const checksum = { crc64nvme: 'M3eFcAZSQlc=', type: 'FULL_OBJECT' }
  t.same(shown(await put(wire, PATH)), checksum)
  t.same(shown(await ask(wire, { path: PATH, headers: MODE })), checksum)
  const done = await uploadAll(wire, PATH, ['hello'])
  t.equal(elementOf(done, 'ChecksumCRC64NVME'), checksum.crc64nvme, 'an upload that says nothing')
  t.equal(elementOf(done, 'ChecksumType'), 'FULL_OBJECT')
}

async function uploadsByDefault(t: Test, wire: Wire): Promise<void> {
  const third = Buffer.alloc(PART_BYTES_MIN, 'third')
  await put(wire, `${PATH}-source`, third, { 'x-amz-checksum-sha1': checksumOf('SHA1', third) })
  const upload = await beginUpload(wire, PATH)
  const { uploadId } = upload
  const parts: { number: number; etag: string; more?: string }[] = []
  for (const [index, algorithm] of (['CRC32', 'SHA256'] as const).entries()) {
    const [header, value] = [headerOf(algorithm), checksumOf(algorithm, FIRST)]
    const wrong = await uploadPart(upload, index + 1, FIRST, {
      [header]: checksumOf(algorithm, ''),
    })
    wantError(t, wrong, 400, 'BadDigest', { CalculatedDigest: value }, algorithm)
    const sent = await uploadPart(upload, index + 1, FIRST, { [header]: value })
    t.same(shown(sent), { [algorithm.toLowerCase()]: value }, 'it answers with what was sent')
    const more = `<Checksum${algorithm}>${value}</Checksum${algorithm}>`
    parts.push({ number: index + 1, etag: sent.headers.etag!, more })
  }
  const copied = await ask(wire, {
    ...{ method: 'PUT', path: PATH, query: { partNumber: '3', uploadId } },
    headers: { 'x-amz-copy-source': `${PATH}-source` },
  })
  parts.push({ number: 3, etag: elementOf(copied, 'ETag')!.replaceAll('&quot;', '"') })
  const trailer = trailing('CRC32C', checksumOf('CRC32C', SECOND))
  const last = await ask(wire, { ...trailer, query: { partNumber: '4', uploadId } })
  t.same(shown(last), { crc32c: checksumOf('CRC32C', SECOND) }, 'also of a trailer')
  parts.push({ number: 4, etag: last.headers.etag! })
  const list = await ask(wire, { path: PATH, query: { uploadId } })
  t.equal(elementsOf(list, 'PartNumber').length, 4)
  t.notMatch(list.text, 'Checksum', 'ListParts shows none')
  const complete = (headers = {}): Promise<Answer> => completeUpload(upload, parts, headers)
  const Message =
    'The upload was created using the null checksum mode. The complete request must use the same checksum mode.'
  for (const type of ['FULL_OBJECT', 'COMPOSITE']) {
    const named = await complete({ 'x-amz-checksum-type': type })
    wantError(t, named, 400, 'InvalidRequest', { Message }, type)
  }
  const value = checksumOf('CRC64NVME', Buffer.concat([FIRST, FIRST, third, SECOND]))
  const wrong = { 'x-amz-checksum-crc64nvme': checksumOf('CRC64NVME', 'other') }
  wantError(t, await complete(wrong), 400, 'BadDigest', { CalculatedDigest: value })
  const done = await complete({ 'x-amz-checksum-crc64nvme': value })
  t.equal(elementOf(done, 'ChecksumCRC64NVME'), value, done.text)
  t.equal(elementOf(done, 'ChecksumType'), 'FULL_OBJECT')
  const checksum = { crc64nvme: value, type: 'FULL_OBJECT' }
  t.same(shown(await ask(wire, { path: PATH, headers: MODE })), checksum, 'GET')
  t.same(shown(await ask(wire, { method: 'HEAD', path: PATH, headers: MODE })), checksum, 'HEAD')
  const attributes = await askAttributes(wire, PATH, 'Checksum')
  t.equal(elementOf(attributes, 'ChecksumCRC64NVME'), value, 'GetObjectAttributes')
  const query = { 'list-type': '2', prefix: PATH.slice(BUCKET.length + 2), delimiter: '-' }
  const listing = await ask(wire, { path: `/${BUCKET}`, query })
  t.equal(elementOf(listing, 'ChecksumAlgorithm'), 'CRC64NVME', 'ListObjectsV2')
}

async function types(t: Test, wire: Wire): Promise<void> {
  const create = (algorithm: string, type?: string): Promise<Answer> =>
    ask(wire, {
      ...{ method: 'POST', path: PATH, query: { uploads: '' } },
      headers: {
        ...(algorithm === '' ? {} : { 'x-amz-checksum-algorithm': algorithm }),
        ...(type === undefined ? {} : { 'x-amz-checksum-type': type }),
      },
    })
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const both = algorithm === 'CRC32' || algorithm === 'CRC32C'
    const usual = algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE'
    const other = usual === 'COMPOSITE' ? 'FULL_OBJECT' : 'COMPOSITE'
    const wanted = { algorithm, type: usual }
    t.same(shown(await create(algorithm)), wanted, `${algorithm} by default`)
    t.same(shown(await create(algorithm.toLowerCase(), usual)), wanted, `${algorithm} ${usual}`)
    const answer = await create(algorithm, other)
    const Message = `The ${other} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`
    if (both) t.same(shown(answer), { algorithm, type: other }, `${algorithm} ${other}`)
    else wantError(t, answer, 400, 'InvalidRequest', { Message }, `${algorithm} ${other}`)
  }
  wantError(t, await create('', 'COMPOSITE'), 400, 'InvalidRequest', {}, 'type alone')
  wantError(t, await create('CRC32', 'HALF'), 400, 'InvalidRequest', {}, 'no type')
  wantError(t, await create('MD6'), 400, 'InvalidRequest', {}, 'no algorithm')
}

async function values(t: Test, wire: Wire): Promise<void> {
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const headers = { 'x-amz-checksum-algorithm': algorithm }
    const done = await uploadAll(wire, PATH, [SECOND], headers)
    const isFull = algorithm === 'CRC64NVME'
    const value = isFull ? checksumOf(algorithm, SECOND) : compositeOf(algorithm, [SECOND])
    t.equal(elementOf(done, `Checksum${algorithm}`), value, algorithm)
    const { text } = await askAttributes(wire, PATH, 'Checksum')
    const bare = elementOf({ text }, `Checksum${algorithm}`)
    t.equal(bare, value.replace(/-1$/, ''), `${algorithm} without its count`)
  }
  const whole = Buffer.concat([FIRST, SECOND])
  for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
    const type = { 'x-amz-checksum-type': 'FULL_OBJECT' }
    const headers = { 'x-amz-checksum-algorithm': algorithm, ...type }
    const done = await uploadAll(wire, PATH, [FIRST, SECOND], headers)
    t.equal(elementOf(done, `Checksum${algorithm}`), checksumOf(algorithm, whole), algorithm)
    t.equal(elementOf(done, 'ChecksumType'), 'FULL_OBJECT')
  }
  const headers = { 'x-amz-checksum-algorithm': 'XXHASH3' }
  const done = await uploadAll(wire, PATH, [FIRST, SECOND], headers)
  t.equal(elementOf(done, 'ChecksumXXHASH3'), compositeOf('XXHASH3', [FIRST, SECOND]))
  t.equal(elementOf(done, 'ChecksumType'), 'COMPOSITE')
}

async function claims(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, PATH, { 'x-amz-checksum-algorithm': 'SHA512' })
  const other = await uploadPart(upload, 1, SECOND, {
    'x-amz-checksum-md5': checksumOf('MD5', SECOND),
  })
  wantError(t, other, 400, 'InvalidRequest', {}, 'a part in another algorithm')
  const part = checksumOf('SHA512', SECOND)
  const sent = await uploadPart(upload, 1, SECOND, { 'x-amz-checksum-sha512': part })
  const etag = sent.headers.etag!
  const complete = (headers: Record<string, string>, inPart = part): Promise<Answer> => {
    const more = `<ChecksumSHA512>${inPart}</ChecksumSHA512>`
    return completeUpload(upload, [{ number: 1, etag, more }], headers)
  }
  const mode = await complete({ 'x-amz-checksum-type': 'FULL_OBJECT' })
  const Message =
    'The upload was created using the COMPOSITE checksum mode. The complete request must use the same checksum mode.'
  wantError(t, mode, 400, 'InvalidRequest', { Message }, 'another type')
  const crc = { 'x-amz-checksum-crc32': checksumOf('CRC32', SECOND) }
  wantError(t, await complete(crc), 400, 'InvalidRequest', {}, 'another algorithm')
  const wrong = { 'x-amz-checksum-sha512': `${checksumOf('SHA512', 'other')}-1` }
  wantError(t, await complete(wrong), 400, 'BadDigest', {}, 'another value')
  const mangled = { 'x-amz-checksum-sha512': 'AAAA' }
  wantError(t, await complete(mangled), 400, 'InvalidRequest', {}, 'no value')
  const inPart = await complete({}, checksumOf('SHA512', 'other'))
  wantError(t, inPart, 400, 'InvalidPart', { PartNumber: '1' }, 'another value of a part')
  const sha1 = `<ChecksumSHA1>${checksumOf('SHA1', SECOND)}</ChecksumSHA1>`
  const strange = await completeUpload(upload, [{ number: 1, etag, more: sha1 }])
  const unknown = 'The sha1 you specified for part 1 did not match what we received.'
  wantError(t, strange, 400, 'BadDigest', { Message: unknown }, 'of another algorithm')
  const right = compositeOf('SHA512', [SECOND])
  const done = await complete({
    'x-amz-checksum-sha512': right,
    'x-amz-checksum-type': 'COMPOSITE',
  })
  t.equal(elementOf(done, 'ChecksumSHA512'), right, done.text)
  const full = await beginUpload(wire, PATH, { 'x-amz-checksum-algorithm': 'CRC64NVME' })
  const bare = await uploadPart(full, 1, SECOND)
  const polars = await completeUpload(full, [{ number: 1, etag: bare.headers.etag! }])
  t.equal(elementOf(polars, 'ChecksumCRC64NVME'), checksumOf('CRC64NVME', SECOND), 'not repeated')
}

async function lengths(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, PATH)
  const part = await uploadPart(upload, 1, SECOND)
  const complete = (size: string): Promise<Answer> =>
    completeUpload(upload, [{ number: 1, etag: part.headers.etag! }], {
      'x-amz-mp-object-size': size,
    })
  for (const size of ['4', '6', 'five', '-5'])
    wantError(t, await complete(size), 400, 'InvalidRequest', {}, size)
  t.ok(elementOf(await complete('5'), 'ETag'))
}

async function reads(t: Test, wire: Wire): Promise<void> {
  const get = (more: Partial<Ask> = {}): Promise<Answer> =>
    ask(wire, { path: PATH, ...more, headers: { ...MODE, ...more.headers } })
  const crcOf = (bytes: string | Uint8Array): Record<string, string> => ({
    crc32: checksumOf('CRC32', bytes),
    type: 'FULL_OBJECT',
  })
  await put(wire, PATH, 'hello', { 'x-amz-checksum-sha1': checksumOf('SHA1', 'hello') })
  const sha1 = { sha1: checksumOf('SHA1', 'hello'), type: 'FULL_OBJECT' }
  t.same(shown(await ask(wire, { path: PATH })), {}, 'only for those who ask')
  t.same(shown(await get()), sha1)
  t.same(shown(await get({ method: 'HEAD' })), sha1)
  t.same(shown(await get({ headers: { range: 'bytes=0-' } })), sha1, 'a range that is all of it')
  t.same(shown(await get({ headers: { range: 'bytes=1-3' } })), crcOf('ell'), 'of what is sent')
  t.same(shown(await get({ method: 'HEAD', headers: { range: 'bytes=1-3' } })), {})
  t.same(shown(await ask(wire, { path: PATH, headers: { range: 'bytes=1-3' } })), {})
  t.same(shown(await get({ headers: { range: 'bytes=0-1,3-4' } })), {}, 'not of several')
  const large = Buffer.alloc(16 * 1024 * 1024 + 2, 'kintsugi')
  await put(wire, PATH, large)
  const most = await get({ headers: { range: `bytes=1-${16 * 1024 * 1024}` } })
  const sent = large.subarray(1, 16 * 1024 * 1024 + 1)
  t.ok(most.body.equals(sent))
  t.same(shown(most), crcOf(sent), '16 MiB')
  const more = await get({ headers: { range: 'bytes=1-' } })
  t.same(shown(more), {}, 'a byte more goes out without')
  t.ok(more.body.equals(large.subarray(1)))
  await readParts(t, wire)
}

/** What parts show of their own. */
async function readParts(t: Test, wire: Wire): Promise<void> {
  const second = { path: PATH, query: { partNumber: '2' }, headers: MODE }
  await uploadAll(wire, PATH, [FIRST, SECOND], { 'x-amz-checksum-algorithm': 'SHA256' })
  const composite = { sha256: checksumOf('SHA256', SECOND), type: 'COMPOSITE' }
  t.same(shown(await ask(wire, second)), composite)
  t.same(shown(await ask(wire, { ...second, method: 'HEAD' })), composite)
  const all = { sha256: compositeOf('SHA256', [FIRST, SECOND]), type: 'COMPOSITE' }
  t.same(shown(await ask(wire, { path: PATH, headers: MODE })), all)
  await uploadAll(wire, PATH, [FIRST, SECOND])
  const full = { crc64nvme: checksumOf('CRC64NVME', SECOND), type: 'FULL_OBJECT' }
  t.same(shown(await ask(wire, second)), full, 'a part of a FULL_OBJECT')
  t.same(shown(await ask(wire, { ...second, method: 'HEAD' })), full)
}

async function strictComplete(t: Test, wire: Wire): Promise<void> {
  const headers = { 'x-amz-checksum-algorithm': 'SHA256' }
  const upload = await beginUpload(wire, `/${BUCKET}/strict-composite`, headers)
  const sent = await uploadPart(upload, 1, 'x')
  const etag = sent.headers.etag ?? ''
  const refused = await completeUpload(upload, [{ number: 1, etag }])
  wantError(t, refused, 400, 'InvalidRequest')
  t.match(refused.text, /missing for part 1/)
  const value = sent.headers['x-amz-checksum-sha256'] ?? ''
  const more = `<ChecksumSHA256>${value}</ChecksumSHA256>`
  t.equal((await completeUpload(upload, [{ number: 1, etag, more }])).status, 200)
}

async function strictReads(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH)
  const headers = { ...MODE, range: 'bytes=1-3' }
  const part = await ask(wire, { path: PATH, headers })
  t.equal(part.text, 'ell')
  t.same(shown(part), {})
  const whole = await ask(wire, { path: PATH, headers: { ...MODE, range: 'bytes=0-4' } })
  t.same(shown(whole), { crc64nvme: 'M3eFcAZSQlc=', type: 'FULL_OBJECT' })
  await uploadAll(wire, PATH, [FIRST, SECOND])
  const second = { path: PATH, query: { partNumber: '2' }, headers: MODE }
  t.same(shown(await ask(wire, second)), {}, 'a part of a FULL_OBJECT')
  await uploadAll(wire, PATH, [FIRST, SECOND], { 'x-amz-checksum-algorithm': 'CRC32' })
  const own = { crc32: checksumOf('CRC32', SECOND), type: 'COMPOSITE' }
  t.same(shown(await ask(wire, second)), own)
}

async function answers(t: Test, wire: Wire): Promise<void> {
  for (const algorithm of ['XXHASH128', 'SHA512', 'CRC32C'] as const) {
    const value = checksumOf(algorithm, 'hello')
    const name = algorithm.toLowerCase()
    const created = await putHello(wire, { [headerOf(algorithm)]: value })
    t.same(shown(created), { [name]: value, type: 'FULL_OBJECT' }, 'PutObject')
    const copied = await ask(wire, {
      ...{ method: 'PUT', path: `${PATH}-copy` },
      headers: { 'x-amz-copy-source': PATH },
    })
    t.equal(elementOf(copied, `Checksum${algorithm}`), value, 'CopyObject')
    t.equal(elementOf(copied, 'ChecksumType'), 'FULL_OBJECT')
    const asked = await ask(wire, {
      ...{ method: 'PUT', path: `${PATH}-copy` },
      headers: { 'x-amz-copy-source': PATH, 'x-amz-checksum-algorithm': 'XXHASH64' },
    })
    t.equal(elementOf(asked, 'ChecksumXXHASH64'), checksumOf('XXHASH64', 'hello'), 'on request')
    const upload = await beginUpload(wire, PATH, { 'x-amz-checksum-algorithm': algorithm })
    const part = await uploadPart(upload, 1, 'hello', { [headerOf(algorithm)]: value })
    t.same(shown(part), { [name]: value }, 'UploadPart')
    const query = { partNumber: '2', uploadId: upload.uploadId }
    const copy = { ...{ method: 'PUT', path: PATH, query }, headers: { 'x-amz-copy-source': PATH } }
    t.equal(elementOf(await ask(wire, copy), `Checksum${algorithm}`), value, 'UploadPartCopy')
    const parts = await ask(wire, { path: PATH, query: { uploadId: upload.uploadId } })
    t.same(elementsOf(parts, `Checksum${algorithm}`), [value, value], 'ListParts')
    t.equal(elementOf(parts, 'ChecksumAlgorithm'), algorithm)
    t.equal(elementOf(parts, 'ChecksumType'), 'COMPOSITE')
  }
}
