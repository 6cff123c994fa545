// GetObjectAttributes over the wire (pitfalls 36, 114).
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { askAttributes, PART_BYTES_MIN, uploadAll } from './uploads.ts'
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

const PATH = `/${BUCKET}/described`
const FIRST = Buffer.alloc(PART_BYTES_MIN, 'kintsugi')
const SECOND = Buffer.from('hello')

t.test('attributes', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 114: attributes of objects and parts', async (t) => attributes(t, wire))
    await t.test('pitfall 114: attributes that nobody has', async (t) => noAttributes(t, wire))
    await t.test('pitfall 103: attributes of versions and markers', async (t) => versions(t, wire))
  })
})

async function attributes(t: Test, wire: Wire): Promise<void> {
  const created = await put(wire, PATH)
  const all = 'ETag,Checksum, ObjectParts,StorageClass,ObjectSize'
  const plain = await askAttributes(wire, PATH, all)
  t.match(plain.text, /^<\?xml[^>]*>\n<GetObjectAttributesResponse xmlns=/)
  t.equal(elementOf(plain, 'ETag'), created.headers.etag!.replaceAll('"', ''), 'without quotes')
  t.equal(elementOf(plain, 'ChecksumCRC64NVME'), 'M3eFcAZSQlc=')
  t.equal(elementOf(plain, 'ChecksumType'), 'FULL_OBJECT')
  t.equal(elementOf(plain, 'StorageClass'), 'STANDARD')
  t.equal(elementOf(plain, 'ObjectSize'), '5')
  t.notMatch(plain.text, /ObjectParts/, 'it was not uploaded in parts')
  t.match(plain.headers['last-modified'], /GMT$/)
  t.notOk('x-amz-version-id' in plain.headers, 'never versioned')
  const some = await askAttributes(wire, PATH, 'ObjectSize')
  t.notMatch(some.text, /ETag|Checksum|StorageClass/, 'only what is asked for')
  const failed = await askAttributes(wire, PATH, 'ETag', { 'if-match': '"x"' })
  wantError(t, failed, 412, 'PreconditionFailed', { Condition: 'If-Match' })
  const same = { 'if-none-match': created.headers.etag! }
  t.equal((await askAttributes(wire, PATH, 'ETag', same)).status, 304)
  await uploadAll(wire, PATH, [FIRST, FIRST, SECOND], { 'x-amz-checksum-algorithm': 'SHA256' })
  const parts = await askAttributes(wire, PATH, 'ObjectParts')
  t.equal(elementOf(parts, 'PartsCount'), '3')
  t.same(elementsOf(parts, 'PartNumber'), ['1', '2', '3'])
  t.same(elementsOf(parts, 'Size'), [PART_BYTES_MIN, PART_BYTES_MIN, 5].map(String))
  t.same(
    elementsOf(parts, 'ChecksumSHA256').at(-1),
    createHash('sha256').update(SECOND).digest('base64'),
  )
  t.equal(elementOf(parts, 'IsTruncated'), 'false')
  const page = { 'x-amz-max-parts': '1', 'x-amz-part-number-marker': '1' }
  const second = await askAttributes(wire, PATH, 'ObjectParts', page)
  t.same(elementsOf(second, 'PartNumber'), ['2'])
  t.match(
    second.text,
    /<IsTruncated>true<\/IsTruncated><MaxParts>1<\/MaxParts><NextPartNumberMarker>2<\/NextPartNumberMarker><PartNumberMarker>1<\/PartNumberMarker>/,
  )
  t.equal(elementOf(second, 'PartsCount'), '3')
  const past = { 'x-amz-part-number-marker': '3' }
  const none = await askAttributes(wire, PATH, 'ObjectParts', past)
  t.equal(elementOf(none, 'NextPartNumberMarker'), '0')
  await uploadAll(wire, PATH, [FIRST, SECOND], { 'x-amz-checksum-algorithm': 'CRC64NVME' })
  const whole = await askAttributes(wire, PATH, 'ObjectParts')
  t.match(whole.text, /<ObjectParts><PartsCount>2<\/PartsCount><\/ObjectParts>/, 'FULL_OBJECT')
}

async function noAttributes(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH)
  const missing =
    'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty'
  const none = await ask(wire, { path: PATH, query: { attributes: '' } })
  wantError(t, none, 400, 'InvalidRequest', { Message: missing })
  wantError(t, await askAttributes(wire, PATH, ' , '), 400, 'InvalidRequest', { Message: missing })
  const Message = 'Invalid attribute name specified.'
  const elements = { Message, ArgumentName: 'x-amz-object-attributes', ArgumentValue: 'etag' }
  wantError(t, await askAttributes(wire, PATH, 'ObjectSize,etag'), 400, 'InvalidArgument', elements)
  for (const headers of [{ 'x-amz-max-parts': '-1' }, { 'x-amz-part-number-marker': 'x' }])
    t.equal((await askAttributes(wire, PATH, 'ObjectParts', headers)).status, 200, 'passed over')
  const path = `/${BUCKET}/none`
  wantError(t, await askAttributes(wire, path, 'ETag'), 404, 'NoSuchKey', { Key: 'none' })
}

async function versions(t: Test, wire: Wire): Promise<void> {
  const bucket = `${BUCKET}-versions`
  const path = `/${bucket}/key`
  await ask(wire, { method: 'PUT', path: `/${bucket}` })
  const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  const enabled = await ask(wire, {
    method: 'PUT',
    path: `/${bucket}`,
    query: { versioning: '' },
    body,
  })
  t.equal(enabled.status, 200, enabled.text)
  const old = (await put(wire, path, 'first')).headers['x-amz-version-id']!
  const current = (await put(wire, path, 'the second')).headers['x-amz-version-id']!
  const latest = await askAttributes(wire, path, 'ObjectSize')
  t.equal(
    `${elementOf(latest, 'ObjectSize')} ${latest.headers['x-amz-version-id']}`,
    `10 ${current}`,
  )
  const read = (versionId: string): Promise<Answer> =>
    ask(wire, {
      ...{ path, query: { attributes: '', versionId } },
      headers: { 'x-amz-object-attributes': 'ObjectSize' },
    })
  const first = await read(old)
  t.equal(`${elementOf(first, 'ObjectSize')} ${first.headers['x-amz-version-id']}`, `5 ${old}`)
  const marker = (await ask(wire, { method: 'DELETE', path })).headers['x-amz-version-id']!
  const gone = await askAttributes(wire, path, 'ObjectSize')
  wantError(t, gone, 404, 'NoSuchKey')
  t.equal(gone.headers['x-amz-delete-marker'], 'true')
  wantError(t, await read(marker), 405, 'MethodNotAllowed')
}
