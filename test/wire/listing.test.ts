// Listings, V1 and V2, uploads and parts: what clients loop over until they have everything (79 to 90).
import t, { type Test } from 'tap'
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

t.test('listings', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    for (const key of KEYS) await put(wire, `/${BUCKET}/${encodeURIComponent(key)}`, key)
    await t.test('version 2 (80 to 83, 86, 87)', async (t) => versionTwo(t, wire))
    await t.test('version 1 (80)', async (t) => versionOne(t, wire))
    await t.test('pages of every size, whole and by prefix', async (t) => pages(t, wire))
    await t.test('encoding-type (84, 85)', async (t) => encodings(t, wire))
    await t.test('numbers and tokens that are none (82, 83)', async (t) => refused(t, wire))
    await t.test('versions (89)', async (t) => versions(t, wire))
    await t.test('uploads and parts (90)', async (t) => uploads(t, wire))
    await t.test('buckets', async (t) => buckets(t, wire))
  })
})

async function versionTwo(t: Test, wire: Wire): Promise<void> {
  const all = await listV2(wire)
  t.same(elementsOf(all, 'Key'), KEYS, 'UTF-8 order, not UTF-16 (79)')
  t.match(
    all.text,
    /^<\?xml version="1.0" encoding="UTF-8"\?>\n<ListBucketResult xmlns="http:\/\/s3.amazonaws.com\/doc\/2006-03-01\/">/,
  )
  t.equal(elementOf(all, 'KeyCount'), String(KEYS.length))
  t.equal(elementOf(all, 'MaxKeys'), '1000')
  t.equal(elementOf(all, 'IsTruncated'), 'false')
  t.equal(elementOf(all, 'Prefix'), '', 'always there (86)')
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
  t.match(all.text, /<ETag>&quot;[0-9a-f]{32}&quot;<\/ETag>/)
  t.match(all.text, /<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/LastModified>/)
  t.equal(elementsOf(all, 'StorageClass').length, KEYS.length)
  t.match((await listV2(wire, { 'fetch-owner': 'true' })).text, /<Owner><ID>/)
  t.same(names(await listV2(wire, { delimiter: '/' })), ['a', 'b0', 'c d+e', '\uffee', '😀', 'b/*'])
  t.equal(elementOf(await listV2(wire, { delimiter: '/' }), 'KeyCount'), '6')
  t.same(names(await listV2(wire, { delimiter: '/', prefix: 'b/' })), ['b/1', 'b/2', 'b/c/*'])
  t.same(names(await listV2(wire, { delimiter: '', prefix: '' })), KEYS, 'empty is none')
  t.same(names(await listV2(wire, { delimiter: '/c' })), [
    'a',
    'b/1',
    'b/2',
    'b0',
    'c d+e',
    '\uffee',
    '😀',
    'b/c*',
  ])
  const after = await listV2(wire, { 'start-after': 'b/1' })
  t.same(names(after), KEYS.slice(2), 'strictly after (81)')
  t.equal(elementOf(after, 'StartAfter'), 'b/1')
  for (const marker of ['b/', 'b/1', 'b/zzz']) {
    const skipped = await listV2(wire, { 'start-after': marker, delimiter: '/' })
    t.same(names(skipped), KEYS.slice(4), `${marker} is inside a prefix and skips it (81)`)
  }
  const none = await listV2(wire, { 'max-keys': '0' })
  t.equal(`${elementOf(none, 'KeyCount')} ${elementOf(none, 'IsTruncated')}`, '0 false', '82')
  t.equal(elementOf(await listV2(wire, { 'max-keys': '5000' }), 'MaxKeys'), '1000')
  const empty = await listV2(wire, { 'continuation-token': '' })
  t.equal(elementOf(empty, 'ContinuationToken'), '', 'an empty token is none, and echoed (83)')
  t.same(names(empty), KEYS)
  const first = await listV2(wire, { 'max-keys': '3' })
  const token = elementOf(first, 'NextContinuationToken')!
  const second = await listV2(wire, { 'continuation-token': token, 'start-after': 'zzz' })
  t.same(names(second), KEYS.slice(3), 'the token beats start-after')
  t.equal(elementOf(second, 'ContinuationToken'), token)
  t.same(names(await listV2(wire, { prefix: 'nothing' })), [])
  t.same(
    names(await listV2(wire, { prefix: 'p'.repeat(5000) })),
    [],
    'a prefix longer than any key',
  )
}

async function versionOne(t: Test, wire: Wire): Promise<void> {
  const all = await list(wire, {})
  t.same(names(all), KEYS)
  t.equal(elementOf(all, 'Marker'), '', 'always there')
  t.equal(elementsOf(all, 'DisplayName').length, KEYS.length, 'with owners (87)')
  t.notMatch(all.text, /<KeyCount>/)
  const plain = await list(wire, { 'max-keys': '2' })
  t.equal(elementOf(plain, 'IsTruncated'), 'true')
  t.notMatch(plain.text, /<NextMarker>/, 'without a delimiter the last key is it')
  const rolled = await list(wire, { 'max-keys': '2', delimiter: '/' })
  t.same(names(rolled), ['a', 'b/*'])
  t.equal(elementOf(rolled, 'NextMarker'), 'b/')
  const next = await list(wire, { delimiter: '/', marker: 'b/' })
  t.same(names(next), ['b0', 'c d+e', '\uffee', '😀'], 'the whole prefix is skipped (81)')
  t.equal(elementOf(next, 'Marker'), 'b/')
  t.same(
    names(await list(wire, { 'list-type': '3', marker: '😀' })),
    [],
    'other types are version 1',
  )
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

async function encodings(t: Test, wire: Wire): Promise<void> {
  const control = '/ctl-\u0001\r<'
  await put(wire, `/${BUCKET}${encodeURI(control)}`, 'control')
  const raw = await listV2(wire, { prefix: 'ctl' })
  t.match(raw.text, /<Key>ctl-&#x1;&#13;&lt;<\/Key>/, 'references without it (85)')
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
  await ask(wire, { method: 'DELETE', path: `/${BUCKET}${encodeURI(control)}` })
}

async function refused(t: Test, wire: Wire): Promise<void> {
  const integer = 'Provided max-keys not an integer or within integer range'
  const negative = 'Argument maxKeys must be an integer between 0 and 2147483647'
  const cases: [name: string, value: string, message?: string][] = [
    ['max-keys', 'many', integer],
    ['max-keys', '1.5', integer],
    ['max-keys', '2147483648', integer],
    ['max-keys', '-1', negative],
    ['continuation-token', 'abc', 'The continuation token provided is incorrect'],
    ['continuation-token', 'AWI+/=='],
    ['encoding-type', 'base64'],
  ]
  for (const [name, value, message] of cases) {
    const elements = { ArgumentName: name, ArgumentValue: value }
    const all = message === undefined ? elements : { ...elements, Message: message }
    wantError(
      t,
      await listV2(wire, { [name]: value }),
      400,
      'InvalidArgument',
      all,
      `${name}=${value}`,
    )
  }
  const nowhere = await ask(wire, { path: '/no-such-bucket' })
  wantError(t, nowhere, 404, 'NoSuchBucket', { BucketName: 'no-such-bucket' })
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
  t.equal(elementOf(first, 'NextVersionIdMarker'), 'null')
}

async function uploads(t: Test, wire: Wire): Promise<void> {
  const begin = async (key: string): Promise<string> => {
    const path = `/${BUCKET}/${key}`
    const created = await ask(wire, { method: 'POST', path, query: { uploads: '' } })
    return elementOf(created, 'UploadId')!
  }
  const ids = [await begin('u/1'), await begin('u/1'), await begin('u/2'), await begin('v')]
  const all = await list(wire, { uploads: '' })
  t.same(elementsOf(all, 'Key'), ['u/1', 'u/1', 'u/2', 'v'])
  t.same(elementsOf(all, 'UploadId'), ids, 'by key, then by age')
  t.match(all.text, /<Initiator><ID>.*<Owner><ID>.*<StorageClass>STANDARD</s)
  t.same(names(await list(wire, { uploads: '', delimiter: '/' })), ['v', 'u/*'])
  t.same(names(await list(wire, { uploads: '', prefix: 'u/2' })), ['u/2'])
  const first = await list(wire, { uploads: '', 'max-uploads': '1' })
  t.equal(elementOf(first, 'IsTruncated'), 'true')
  const markers = {
    'key-marker': elementOf(first, 'NextKeyMarker')!,
    'upload-id-marker': elementOf(first, 'NextUploadIdMarker')!,
  }
  t.same(elementsOf(await list(wire, { uploads: '', ...markers }), 'UploadId'), ids.slice(1))
  t.same(names(await list(wire, { uploads: '', 'key-marker': 'u/1' })), ['u/2', 'v'])
  t.same(names(await listV2(wire, { prefix: 'u/' })), [], 'no object before Complete (88)')
  await listParts(t, wire, ids[3]!)
  const paths = ['u/1', 'u/1', 'u/2', 'v']
  for (const [index, key] of paths.entries()) {
    const target = { method: 'DELETE', path: `/${BUCKET}/${key}`, query: { uploadId: ids[index]! } }
    t.equal((await ask(wire, target)).status, 204)
    wantError(
      t,
      await ask(wire, target),
      404,
      'NoSuchUpload',
      { UploadId: ids[index]! },
      'again (110)',
    )
  }
  t.same(names(await list(wire, { uploads: '' })), [])
}

async function listParts(t: Test, wire: Wire, uploadId: string): Promise<void> {
  const path = `/${BUCKET}/v`
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
  const bad = await ask(wire, { path, query: { uploadId, 'max-parts': '-1' } })
  wantError(t, bad, 400, 'InvalidArgument', { ArgumentName: 'max-parts' })
  const other = await ask(wire, { path: `/${BUCKET}/other`, query: { uploadId } })
  wantError(t, other, 404, 'NoSuchUpload', { UploadId: uploadId }, 'of another key')
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
