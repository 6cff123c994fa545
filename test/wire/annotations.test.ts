// Object annotations in the wire form of AWS: named texts that are kept with a version.
import t, { type Test } from 'tap'
import {
  type Answer,
  ask,
  BUCKET,
  elementOf,
  elementsOf,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/annotated`

t.test('annotations', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('put, get, list, delete', async (t) => lifeOf(t, wire))
    await t.test('what can not be an annotation', async (t) => refuse(t, wire))
    await t.test('copies bring annotations along, or not', async (t) => copies(t, wire))
    await t.test('annotations of versions', async (t) => versions(t, wire))
    await t.test('they are encrypted as their object is', async (t) => encrypted(t, wire))
  })
})

function annotate(wire: Wire, name: string, body: string | Uint8Array, more = {}): Promise<Answer> {
  return ask(wire, {
    method: 'PUT',
    path: PATH,
    query: { annotation: '', annotationName: name },
    body,
    ...more,
  })
}

function read(wire: Wire, name: string, path = PATH, query = {}): Promise<Answer> {
  return ask(wire, { path, query: { annotation: '', annotationName: name, ...query } })
}

function list(wire: Wire, query = {}, path = PATH): Promise<Answer> {
  return ask(wire, { path, query: { annotation: '', ...query } })
}

async function lifeOf(t: Test, wire: Wire): Promise<void> {
  await ask(wire, { method: 'PUT', path: PATH, body: 'object' })
  const put = await annotate(wire, 'labels/cat', 'a caption with é', {
    headers: { 'x-amz-checksum-crc32': 'c3e0fQ==' },
  })
  wantError(t, put, 400, 'BadDigest')
  const good = await annotate(wire, 'labels/cat', 'a caption with é')
  t.match(good, { status: 200, headers: { etag: /^"[0-9a-f]{32}"$/ } })
  t.equal(elementOf(good, 'AnnotationName'), 'labels/cat')
  t.ok(good.headers['x-amz-checksum-crc64nvme'])
  await annotate(wire, 'labels/dog', 'x'.repeat(1024 * 1024))
  await annotate(wire, 'other', '1')
  const text = await read(wire, 'labels/cat')
  t.match(text, { status: 200, text: 'a caption with é', headers: { etag: good.headers.etag } })
  t.equal((await read(wire, 'labels/dog')).body.length, 1024 * 1024)

  const page = await list(wire, { 'max-annotation-results': '2' })
  t.same(elementsOf(page, 'AnnotationName'), ['labels/cat', 'labels/dog'])
  const token = elementOf(page, 'NextContinuationToken')
  const rest = await list(wire, { 'continuation-token': token ?? '' })
  t.same(elementsOf(rest, 'AnnotationName'), ['other'])
  t.equal(elementOf(rest, 'AnnotationCount'), '1')
  const some = await list(wire, { 'annotation-prefix': 'labels/' })
  t.same(elementsOf(some, 'Size'), ['17', '1048576'])

  const gone = { method: 'DELETE', path: PATH, query: { annotation: '', annotationName: 'other' } }
  const headers = { 'x-amz-object-if-match': '"0"' }
  wantError(t, await ask(wire, { ...gone, headers }), 412, 'PreconditionFailed')
  t.equal((await ask(wire, gone)).status, 204)
  t.equal((await ask(wire, gone)).status, 204, 'and again')
  wantError(t, await read(wire, 'other'), 404, 'NoSuchAnnotation')
  await ask(wire, { method: 'PUT', path: PATH, body: 'another object' })
  t.same(elementsOf(await list(wire), 'AnnotationName'), [], 'they went with the version')
}

async function refuse(t: Test, wire: Wire): Promise<void> {
  wantError(t, await annotate(wire, '', 'x'), 400, 'InvalidAnnotationName')
  wantError(t, await annotate(wire, 'AWS-mine', 'x'), 400, 'InvalidAnnotationName')
  wantError(t, await annotate(wire, 'é'.repeat(257), 'x'), 400, 'AnnotationNameTooLong')
  wantError(t, await annotate(wire, 'n', ''), 400, 'InvalidRequest')
  wantError(t, await annotate(wire, 'n', 'x'.repeat(1024 * 1024 + 1)), 400, 'EntityTooLarge')
  wantError(t, await annotate(wire, 'n', Buffer.of(65, 0xc3)), 415, 'UnsupportedMediaType')
  wantError(t, await annotate(wire, 'n', 'x', { path: `/${BUCKET}/none` }), 404, 'NoSuchKey')
  t.same(elementsOf(await list(wire), 'AnnotationName'), [], 'nothing was kept')
}

async function copies(t: Test, wire: Wire): Promise<void> {
  await annotate(wire, 'a', 'first')
  await annotate(wire, 'b', 'second')
  const copy = (path: string, headers = {}): Promise<Answer> =>
    ask(wire, { method: 'PUT', path, headers: { 'x-amz-copy-source': PATH, ...headers } })
  t.equal((await copy(`${PATH}-copy`)).status, 200)
  t.equal((await read(wire, 'b', `${PATH}-copy`)).text, 'second')
  const directive = 'x-amz-object-annotation-directive'
  await copy(`${PATH}-bare`, { [directive]: 'EXCLUDE' })
  t.same(elementsOf(await list(wire, {}, `${PATH}-bare`), 'AnnotationName'), [])
  wantError(t, await copy(`${PATH}-bare`, { [directive]: 'SOME' }), 400, 'InvalidArgument')
}

async function versions(t: Test, wire: Wire): Promise<void> {
  const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await ask(wire, { method: 'PUT', path: `/${BUCKET}`, query: { versioning: '' }, body })
  const path = `${PATH}-versions`
  const first = await ask(wire, { method: 'PUT', path, body: '1' })
  const versionId = first.headers['x-amz-version-id'] ?? ''
  const put = await annotate(wire, 'n', 'of the first', { path })
  t.equal(put.headers['x-amz-object-version-id'], versionId)
  await ask(wire, { method: 'PUT', path, body: '2' })
  wantError(t, await read(wire, 'n', path), 404, 'NoSuchAnnotation')
  t.equal((await read(wire, 'n', path, { versionId })).text, 'of the first')
}

async function encrypted(t: Test, wire: Wire): Promise<void> {
  const path = `${PATH}-encrypted`
  const headers = { 'x-amz-server-side-encryption': 'AES256' }
  await ask(wire, { method: 'PUT', path, headers, body: 'object' })
  const put = await annotate(wire, 'n', 'a secret', { path })
  t.equal(put.headers['x-amz-server-side-encryption'], 'AES256')
  t.equal((await read(wire, 'n', path)).text, 'a secret')
  const copy = `${path}-copy`
  await ask(wire, { method: 'PUT', path: copy, headers: { 'x-amz-copy-source': path } })
  t.equal((await read(wire, 'n', copy)).text, 'a secret', 'a copy in the clear can be read too')
}
