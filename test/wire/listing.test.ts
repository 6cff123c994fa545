// Listings, V1 and V2, uploads and parts: what clients loop over until they have everything (79 to 90).
import t, { type Test } from 'tap'
import { beginUpload } from './uploads.ts'
import {
  type Answer,
  ask,
  BUCKET,
  elementOf,
  elementsOf,
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const KEYS = ['a', 'b/1', 'b/2', 'b/c/3', 'b0', 'c d+e', '\uffee', '😀']

function list(wire: Wire, query: Record<string, string>): Promise<Answer> {
  return ask(wire, { path: `/${BUCKET}`, query })
}

function listV2(wire: Wire, query: Record<string, string> = {}): Promise<Answer> {
  return list(wire, { 'list-type': '2', ...query })
}

/** Keys and prefixes of a page, prefixes with a star. */
function names(answer: Answer): string[] {
  const prefixes = [...answer.text.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g)]
  return [...elementsOf(answer, 'Key'), ...prefixes.map(([, prefix]) => `${prefix}*`)]
}

t.test('listings, strict', { timeout: 60_000 }, async (t) => {
  await withWire(t, { options: ['--strict-s3'] }, async (wire) => {
    for (const key of ['a', 'b', 'c']) await put(wire, `/${BUCKET}/${key}`)
    const Message = 'The continuation token provided is incorrect'
    const empty = await listV2(wire, { 'continuation-token': '' })
    wantError(t, empty, 400, 'InvalidArgument', { ArgumentName: 'continuation-token', Message })
    const first = await listV2(wire, { 'start-after': 'a', 'max-keys': '1' })
    t.equal(elementOf(first, 'StartAfter'), 'a')
    const token = elementOf(first, 'NextContinuationToken')!
    const rest = await listV2(wire, { 'continuation-token': token, 'start-after': 'a' })
    t.same(names(rest), ['c'])
    t.notMatch(rest.text, /StartAfter/, 'the token is what counts')
  })
})

t.test('listings', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    for (const key of KEYS) await put(wire, `/${BUCKET}/${encodeURIComponent(key)}`, key)
    await t.test('pitfall 79: keys come in the order of their UTF-8', async (t) => order(t, wire))
    await t.test('pitfall 80: version 2 has what its clients look for', async (t) =>
      versionTwo(t, wire),
    )
    await t.test('pitfall 80: version 1 has what its clients look for', async (t) =>
      versionOne(t, wire),
    )
    await t.test('pitfall 81: what comes after a marker', async (t) => afterMarkers(t, wire))
    await t.test('pitfall 82: pages of every size, whole and by prefix', async (t) =>
      pages(t, wire),
    )
    await t.test('pitfall 82: max-keys', async (t) => maxKeys(t, wire))
    await t.test('pitfall 83: continuation tokens', async (t) => tokens(t, wire))
    await t.test('pitfall 84: encoding-type=url', async (t) => encodings(t, wire))
    await t.test('pitfall 85: control characters without it are references', async (t) =>
      controls(t, wire),
    )
    await t.test('pitfall 86: prefixes and delimiters', async (t) => delimiters(t, wire))
    await t.test('pitfall 87: owners, storage classes, ETags', async (t) => entries(t, wire))
    await t.test('pitfall 88: what is written is listed at once, and nothing else', async (t) =>
      writtenAtOnce(t, wire),
    )
    await t.test('pitfall 89: versions where nothing was ever versioned', async (t) =>
      versions(t, wire),
    )
    await t.test('pitfall 90: uploads under way, by key and then by age', async (t) =>
      uploads(t, wire),
    )
    await t.test('pitfall 90: parts of an upload', async (t) => listParts(t, wire))
    await t.test('buckets', async (t) => buckets(t, wire))
  })
})

async function order(t: Test, wire: Wire): Promise<void> {
  t.same(elementsOf(await listV2(wire), 'Key'), KEYS, 'not that of UTF-16')
  t.same(elementsOf(await list(wire, {}), 'Key'), KEYS)
  t.same(elementsOf(await list(wire, { versions: '' }), 'Key'), KEYS)
}

async function versionTwo(t: Test, wire: Wire): Promise<void> {
  const all = await listV2(wire)
  t.match(
    all.text,
    /^<\?xml version="1.0" encoding="UTF-8"\?>\n<ListBucketResult xmlns="http:\/\/s3.amazonaws.com\/doc\/2006-03-01\/">/,
  )
  t.equal(elementOf(all, 'KeyCount'), String(KEYS.length))
  t.equal(elementOf(all, 'MaxKeys'), '1000')
  t.equal(elementOf(all, 'IsTruncated'), 'false')
  const absent = [
    'ContinuationToken',
    'NextContinuationToken',
    'StartAfter',
    'Delimiter',
    'Owner',
    'EncodingType',
    'Marker',
  ]
  for (const name of absent) t.notMatch(all.text, new RegExp(`<${name}>`), name)
  const asked = await listV2(wire, { metadata: 'true' })
  t.same(elementsOf(asked, 'Key'), KEYS, 'what minio-go asks for besides')
  const first = await listV2(wire, { 'max-keys': '3', 'start-after': 'A' })
  t.equal(elementOf(first, 'StartAfter'), 'A')
  t.ok(elementOf(first, 'NextContinuationToken'), 'only when something is left')
}

async function versionOne(t: Test, wire: Wire): Promise<void> {
  const all = await list(wire, {})
  t.same(names(all), KEYS)
  t.equal(elementOf(all, 'Marker'), '', 'always there')
  t.notMatch(all.text, /<KeyCount>/)
  const plain = await list(wire, { 'max-keys': '2' })
  t.equal(elementOf(plain, 'IsTruncated'), 'true')
  t.notMatch(plain.text, /<NextMarker>/, 'without a delimiter the last key is it')
  const rolled = await list(wire, { 'max-keys': '2', delimiter: '/' })
  t.same(names(rolled), ['a', 'b/*'])
  t.equal(elementOf(rolled, 'NextMarker'), 'b/')
  const otherType = await list(wire, { 'list-type': '3', marker: '😀' })
  t.same(names(otherType), [], 'other types are version 1')
}

async function afterMarkers(t: Test, wire: Wire): Promise<void> {
  t.same(names(await listV2(wire, { 'start-after': 'b/1' })), KEYS.slice(2), 'strictly greater')
  for (const marker of ['b/', 'b/1', 'b/zzz']) {
    const two = await listV2(wire, { 'start-after': marker, delimiter: '/' })
    t.same(names(two), KEYS.slice(4), `${marker} is inside a prefix and skips it`)
    const one = await list(wire, { marker, delimiter: '/' })
    t.same(names(one), KEYS.slice(4), 'in version 1 too')
    t.equal(elementOf(one, 'Marker'), marker)
  }
}

async function maxKeys(t: Test, wire: Wire): Promise<void> {
  const none = await listV2(wire, { 'max-keys': '0' })
  t.equal(`${elementOf(none, 'KeyCount')} ${elementOf(none, 'IsTruncated')}`, '0 false')
  t.equal(elementOf(await listV2(wire, { 'max-keys': '5000' }), 'MaxKeys'), '1000')
  t.equal(elementOf(await listV2(wire, { delimiter: '/' }), 'KeyCount'), '6', 'prefixes count')
  const integer = 'Provided max-keys not an integer or within integer range'
  const negative = 'Argument maxKeys must be an integer between 0 and 2147483647'
  const cases: [value: string, message: string][] = [
    ['many', integer],
    ['1.5', integer],
    ['2147483648', integer],
    ['-1', negative],
  ]
  for (const [value, message] of cases) {
    const elements = { ArgumentName: 'max-keys', ArgumentValue: value, Message: message }
    wantError(t, await listV2(wire, { 'max-keys': value }), 400, 'InvalidArgument', elements, value)
  }
}

async function tokens(t: Test, wire: Wire): Promise<void> {
  const empty = await listV2(wire, { 'continuation-token': '' })
  t.equal(elementOf(empty, 'ContinuationToken'), '', 'an empty token is none, and echoed')
  t.same(names(empty), KEYS)
  const first = await listV2(wire, { 'max-keys': '3' })
  const token = elementOf(first, 'NextContinuationToken')!
  const second = await listV2(wire, { 'continuation-token': token, 'start-after': 'zzz' })
  t.same(names(second), KEYS.slice(3), 'the token beats start-after')
  t.equal(elementOf(second, 'ContinuationToken'), token)
  for (const wrong of ['abc', 'AWI+/==']) {
    const elements = {
      ArgumentName: 'continuation-token',
      ArgumentValue: wrong,
      Message: 'The continuation token provided is incorrect',
    }
    const answer = await listV2(wire, { 'continuation-token': wrong })
    wantError(t, answer, 400, 'InvalidArgument', elements, wrong)
  }
}

async function delimiters(t: Test, wire: Wire): Promise<void> {
  t.equal(elementOf(await listV2(wire), 'Prefix'), '', 'always there')
  const rolled = await listV2(wire, { delimiter: '/' })
  t.same(names(rolled), ['a', 'b0', 'c d+e', '\uffee', '😀', 'b/*'])
  t.equal(elementOf(rolled, 'Delimiter'), '/')
  t.same(names(await listV2(wire, { delimiter: '/', prefix: 'b/' })), ['b/1', 'b/2', 'b/c/*'])
  const empty = await listV2(wire, { delimiter: '', prefix: '' })
  t.same(names(empty), KEYS, 'empty is none')
  t.notMatch(empty.text, /<Delimiter>/)
  const long = ['a', 'b/1', 'b/2', 'b0', 'c d+e', '\uffee', '😀', 'b/c*']
  t.same(names(await listV2(wire, { delimiter: '/c' })), long, 'of several characters')
  t.same(names(await listV2(wire, { prefix: 'nothing' })), [])
  const endless = await listV2(wire, { prefix: 'p'.repeat(5000) })
  t.same(names(endless), [], 'longer than any key')
  const nowhere = await ask(wire, { path: '/no-such-bucket' })
  wantError(t, nowhere, 404, 'NoSuchBucket', { BucketName: 'no-such-bucket' })
}

async function entries(t: Test, wire: Wire): Promise<void> {
  const one = await list(wire, {})
  const two = await listV2(wire)
  t.equal(elementsOf(one, 'DisplayName').length, KEYS.length, 'version 1 has owners')
  t.notMatch(two.text, /<Owner>/)
  t.match((await listV2(wire, { 'fetch-owner': 'true' })).text, /<Owner><ID>/)
  for (const page of [one, two]) {
    t.match(page.text, /<ETag>&quot;[0-9a-f]{32}&quot;<\/ETag>/)
    t.match(page.text, /<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z<\/LastModified>/)
    t.equal(elementsOf(page, 'StorageClass').length, KEYS.length)
    t.equal(elementsOf(page, 'ChecksumAlgorithm').length, KEYS.length)
    t.equal(elementsOf(page, 'ChecksumType').length, KEYS.length)
  }
}

async function writtenAtOnce(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/now/k`
  const { uploadId } = await beginUpload(wire, path)
  const part = { partNumber: '1', uploadId }
  await ask(wire, { method: 'PUT', path, query: part, body: 'part' })
  const now = () => listV2(wire, { prefix: 'now/' })
  t.same(names(await now()), [], 'no parts and no uploads')
  for (let round = 0; round < 20; round += 1) {
    await put(wire, path, String(round))
    t.same(names(await now()), ['now/k'])
    await ask(wire, { method: 'DELETE', path })
    t.same(names(await now()), [])
  }
  await ask(wire, { method: 'DELETE', path, query: { uploadId } })
}

async function pages(t: Test, wire: Wire): Promise<void> {
  for (const delimiter of ['', '/', '/c']) {
    const whole = names(await listV2(wire, { delimiter })).sort()
    for (let size = 1; size <= KEYS.length; size += 1) {
      const found: string[] = []
      let token: Record<string, string> = {}
      for (let page = 0; page < 20; page += 1) {
        const answer = await listV2(wire, { delimiter, 'max-keys': String(size), ...token })
        t.ok(names(answer).length <= size)
        found.push(...names(answer))
        const next = elementOf(answer, 'NextContinuationToken')
        t.equal(elementOf(answer, 'IsTruncated'), String(next !== undefined))
        if (next === undefined) break
        token = { 'continuation-token': next }
      }
      t.same(found.sort(), whole, `pages of ${size}, delimiter '${delimiter}'`)
    }
  }
}

const CONTROL = `/${BUCKET}/ctl-%01%0D%3C`

async function encodings(t: Test, wire: Wire): Promise<void> {
  await put(wire, CONTROL, 'control')
  const query = { 'encoding-type': 'url', prefix: 'c', delimiter: '+', 'start-after': 'a b' }
  const encoded = await listV2(wire, query)
  t.equal(elementOf(encoded, 'EncodingType'), 'url')
  t.equal(elementOf(encoded, 'Delimiter'), '%2B')
  t.equal(elementOf(encoded, 'StartAfter'), 'a%20b')
  t.match(encoded.text, /<Key>ctl-%01%0D%3C<\/Key>/)
  t.match(encoded.text, /<CommonPrefixes><Prefix>c%20d%2B<\/Prefix>/)
  const one = await list(wire, { 'encoding-type': 'url', prefix: 'c d', marker: 'a b' })
  t.equal(elementOf(one, 'Marker'), 'a%20b')
  t.equal(elementOf(one, 'Prefix'), 'c d', 'the prefix of version 1 is not encoded')
  for (const encoding of ['base64', '']) {
    const other = await listV2(wire, { 'encoding-type': encoding })
    const elements = { ArgumentName: 'encoding-type', ArgumentValue: encoding }
    wantError(t, other, 400, 'InvalidArgument', elements, `as '${encoding}'`)
  }
  await ask(wire, { method: 'DELETE', path: CONTROL })
}

async function controls(t: Test, wire: Wire): Promise<void> {
  await put(wire, CONTROL, 'control')
  const raw = await listV2(wire, { prefix: 'ctl' })
  t.match(raw.text, /<Key>ctl-&#x1;&#13;&lt;<\/Key>/)
  await ask(wire, { method: 'DELETE', path: CONTROL })
}

async function versions(t: Test, wire: Wire): Promise<void> {
  const all = await list(wire, { versions: '' })
  t.same(elementsOf(all, 'Key'), KEYS)
  t.same(new Set(elementsOf(all, 'VersionId')), new Set(['null']))
  t.same(new Set(elementsOf(all, 'IsLatest')), new Set(['true']))
  const lone = await list(wire, { versions: '', 'version-id-marker': 'null' })
  wantError(t, lone, 400, 'InvalidArgument', { ArgumentName: 'version-id-marker' })
  const first = await list(wire, { versions: '', 'max-keys': '2' })
  t.equal(elementOf(first, 'NextKeyMarker'), 'b/1')
  t.match(elementOf(first, 'NextVersionIdMarker'), /^[0-9a-v]{26}$/, 'where it stands')
  const markers = { 'key-marker': 'b/1', 'version-id-marker': 'null' }
  t.same(elementsOf(await list(wire, { versions: '', ...markers }), 'Key'), KEYS.slice(2))
}

async function uploads(t: Test, wire: Wire): Promise<void> {
  const begin = async (key: string): Promise<string> =>
    (await beginUpload(wire, `/${BUCKET}/${key}`)).uploadId
  const ids = [await begin('u/1'), await begin('u/1'), await begin('u/2'), await begin('v')]
  const all = await list(wire, { uploads: '' })
  t.same(elementsOf(all, 'Key'), ['u/1', 'u/1', 'u/2', 'v'])
  t.same(elementsOf(all, 'UploadId'), ids, 'by key, then by age')
  t.notMatch(all.text, /<Prefix/, 'no prefix was asked for')
  t.match(all.text, /<Initiator><ID>.*<Owner><ID>.*<StorageClass>STANDARD</s)
  t.same(names(await list(wire, { uploads: '', delimiter: '/' })), ['v', 'u/*'])
  const prefixed = await list(wire, { uploads: '', prefix: 'u/2' })
  t.same(names(prefixed), ['u/2'])
  t.equal(elementOf(prefixed, 'Prefix'), 'u/2')
  const first = await list(wire, { uploads: '', 'max-uploads': '1' })
  t.equal(elementOf(first, 'IsTruncated'), 'true')
  const markers = {
    'key-marker': elementOf(first, 'NextKeyMarker')!,
    'upload-id-marker': elementOf(first, 'NextUploadIdMarker')!,
  }
  t.same(elementsOf(await list(wire, { uploads: '', ...markers }), 'UploadId'), ids.slice(1))
  t.same(names(await list(wire, { uploads: '', 'key-marker': 'u/1' })), ['u/2', 'v'])
  const madeUp = await list(wire, { uploads: '', 'key-marker': 'u/1', 'upload-id-marker': '0' })
  wantError(t, madeUp, 400, 'InvalidArgument', { ArgumentName: 'upload-id-marker' })
  for (const [index, key] of ['u/1', 'u/1', 'u/2', 'v'].entries()) {
    const query = { uploadId: ids[index]! }
    await ask(wire, { method: 'DELETE', path: `/${BUCKET}/${key}`, query })
  }
  t.same(names(await list(wire, { uploads: '' })), [])
}

async function listParts(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/v`
  const { uploadId } = await beginUpload(wire, path)
  for (const partNumber of ['7', '1', '3']) {
    await ask(wire, { method: 'PUT', path, query: { partNumber, uploadId }, body: partNumber })
  }
  const all = await ask(wire, { path, query: { uploadId } })
  t.same(elementsOf(all, 'PartNumber'), ['1', '3', '7'])
  t.match(all.text, /<MaxParts>1000<.*<IsTruncated>false</s)
  const first = await ask(wire, { path, query: { uploadId, 'max-parts': '2' } })
  t.equal(elementOf(first, 'NextPartNumberMarker'), '3')
  t.equal(elementOf(first, 'IsTruncated'), 'true')
  const marker = { 'part-number-marker': '3' }
  t.same(elementsOf(await ask(wire, { path, query: { uploadId, ...marker } }), 'PartNumber'), ['7'])
  const none = await ask(wire, { path, query: { uploadId, 'part-number-marker': '7' } })
  t.equal(elementOf(none, 'NextPartNumberMarker'), '0', 'a page of nothing')
  const bad = await ask(wire, { path, query: { uploadId, 'max-parts': '-1' } })
  wantError(t, bad, 400, 'InvalidArgument', { ArgumentName: 'max-parts' })
  const other = await ask(wire, { path: `/${BUCKET}/other`, query: { uploadId } })
  wantError(t, other, 404, 'NoSuchUpload', { UploadId: uploadId }, 'of another key')
  await ask(wire, { method: 'DELETE', path, query: { uploadId } })
}

async function buckets(t: Test, wire: Wire): Promise<void> {
  for (const name of ['aaa', 'aab', 'zzz']) await ask(wire, { method: 'PUT', path: `/${name}` })
  const all = await ask(wire, { path: '/' })
  t.same(elementsOf(all, 'Name'), ['aaa', 'aab', BUCKET, 'zzz'])
  const first = await ask(wire, { path: '/', query: { 'max-buckets': '2' } })
  t.same(elementsOf(first, 'Name'), ['aaa', 'aab'])
  const token = elementOf(first, 'ContinuationToken')!
  const rest = await ask(wire, { path: '/', query: { 'continuation-token': token } })
  t.same(elementsOf(rest, 'Name'), [BUCKET, 'zzz'])
  t.same(elementsOf(await ask(wire, { path: '/', query: { prefix: 'aa' } }), 'Name'), [
    'aaa',
    'aab',
  ])
  const head = await ask(wire, { method: 'HEAD', path: '/aaa' })
  t.equal(head.headers['x-amz-bucket-region'], 'us-east-1')
  t.equal(head.body.length, 0)
}
