// Versions over the wire: switched on and off, read, deleted, copied and listed (89, 96, 98, 101 to 105, 111).
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { uploadAll } from './uploads.ts'
import {
  type Answer,
  ask,
  elementOf,
  elementsOf,
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const OWN_ID = /^[0-9a-v]{26}$/

type Status = 'Enabled' | 'Suspended'

t.test('versions', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 96: versioning that was never set is an empty document', async (t) =>
      settings(t, wire),
    )
    await t.test('pitfall 101: DeleteObjects with versions and markers', async (t) =>
      deleteMany(t, wire),
    )
    await t.test('pitfall 102: DELETE always makes a marker', async (t) => deletes(t, wire))
    await t.test('pitfall 103: reading delete markers and versions that are not', async (t) =>
      markers(t, wire),
    )
    await t.test('pitfall 104: suspended, writes replace the null version', async (t) =>
      suspended(t, wire),
    )
    await t.test('pitfall 105: ids are fit for URLs; others are refused', async (t) => ids(t, wire))
    await t.test('pitfall 98: an old version becomes the current one by a copy', async (t) =>
      copies(t, wire),
    )
    await t.test('pitfall 111: every write says which version it made', async (t) =>
      everyWrite(t, wire),
    )
    await t.test('pitfall 89: versions in order, in pages of any size', async (t) =>
      listing(t, wire),
    )
    await t.test('pitfall 89: pages while versions are deleted', async (t) =>
      listingMeanwhile(t, wire),
    )
    await t.test('pitfall 12: a bucket with versions is not empty', async (t) => notEmpty(t, wire))
  })
})

async function makeBucket(wire: Wire, name: string, status?: Status): Promise<string> {
  const made = await ask(wire, { method: 'PUT', path: `/${name}` })
  if (made.status !== 200) throw new Error(made.text)
  if (status) await setTo(wire, name, status)
  return `/${name}`
}

async function setTo(wire: Wire, name: string, status: Status): Promise<void> {
  const answer = await configure(wire, name, `<Status>${status}</Status>`)
  if (answer.status !== 200) throw new Error(answer.text)
}

function configure(
  wire: Wire,
  name: string,
  inner: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const body = `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</VersioningConfiguration>`
  const query = { versioning: '' }
  return ask(wire, { method: 'PUT', path: `/${name}`, query, body, headers })
}

/** PUT that gives the id of its version. */
async function putVersion(wire: Wire, path: string, body: string): Promise<string> {
  return (await put(wire, path, body)).headers['x-amz-version-id'] ?? ''
}

function get(wire: Wire, path: string, versionId?: string): Promise<Answer> {
  return ask(wire, { path, ...(versionId === undefined ? {} : { query: { versionId } }) })
}

function remove(wire: Wire, path: string, versionId?: string): Promise<Answer> {
  const query = versionId === undefined ? {} : { query: { versionId } }
  return ask(wire, { method: 'DELETE', path, ...query })
}

async function settings(t: Test, wire: Wire): Promise<void> {
  const path = await makeBucket(wire, 'settings')
  const shown = () => ask(wire, { path, query: { versioning: '' } })
  t.match((await shown()).text, /<VersioningConfiguration [^>]*><\/VersioningConfiguration>$/)
  t.notOk((await put(wire, `${path}/k`)).headers['x-amz-version-id'])
  for (const status of ['Enabled', 'Suspended', 'Enabled'] as const) {
    await setTo(wire, 'settings', status)
    t.equal(elementOf(await shown(), 'Status'), status)
  }
  const disabled = '<MfaDelete>Disabled</MfaDelete><Status>Enabled</Status>'
  t.equal((await configure(wire, 'settings', disabled)).status, 200)
  const refused: [inner: string, status: number, code: string][] = [
    ['', 400, 'IllegalVersioningConfigurationException'],
    ['<Status>enabled</Status>', 400, 'MalformedXML'],
    ['<Status>Suspended</Status><MFADelete>Enabled</MFADelete>', 400, 'MalformedXML'],
    ['<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>', 501, 'NotImplemented'],
  ]
  for (const [inner, status, code] of refused)
    wantError(t, await configure(wire, 'settings', inner), status, code, {}, inner)
  const mfa = { 'x-amz-mfa': '20899872 301749' }
  const elements = { Header: 'x-amz-mfa' }
  const enabled = '<Status>Enabled</Status>'
  wantError(t, await configure(wire, 'settings', enabled, mfa), 501, 'NotImplemented', elements)
  const target = { method: 'DELETE', path: `${path}/k`, headers: mfa }
  wantError(t, await ask(wire, target), 501, 'NotImplemented', elements)
  t.equal((await get(wire, `${path}/k`)).status, 200)
}

async function deleteMany(t: Test, wire: Wire): Promise<void> {
  const path = await makeBucket(wire, 'delete-many', 'Enabled')
  const ids = [
    await putVersion(wire, `${path}/a`, 'one'),
    await putVersion(wire, `${path}/a`, 'two'),
  ]
  const item = (key: string, id?: string) =>
    `<Object><Key>${key}</Key>${id === undefined ? '' : `<VersionId>${id}</VersionId>`}</Object>`
  const send = (inner: string) => {
    const body = `<Delete>${inner}</Delete>`
    const headers = { 'content-md5': createHash('md5').update(body).digest('base64') }
    return ask(wire, { method: 'POST', path, query: { delete: '' }, body, headers })
  }
  const marked = await send(item('a') + item('never there'))
  t.equal(elementsOf(marked, 'DeleteMarkerVersionId').length, 2)
  t.same(elementsOf(marked, 'DeleteMarker'), ['true', 'true'])
  t.same(elementsOf(marked, 'VersionId'), [])
  const marker = (await get(wire, `${path}/a`)).headers['x-amz-version-id']!
  const removed = await send(
    item('a', marker) + item('a', ids[0]) + item('a', 'null') + item('a', 'x/y'),
  )
  t.same(elementsOf(removed, 'VersionId'), [marker, ids[0], 'null', 'x/y'])
  t.same(elementsOf(removed, 'DeleteMarkerVersionId'), [marker], 'only the marker was one')
  t.same(elementsOf(removed, 'Code'), ['NoSuchVersion'])
  t.equal((await get(wire, `${path}/a`)).text, 'two')
  wantError(t, await get(wire, `${path}/a`, ids[0]), 404, 'NoSuchVersion')
}

async function deletes(t: Test, wire: Wire): Promise<void> {
  const path = `${await makeBucket(wire, 'deletes', 'Enabled')}/k`
  const first = await remove(wire, path)
  const second = await remove(wire, path)
  t.match(first, { status: 204, headers: { 'x-amz-delete-marker': 'true' } }, 'of nothing')
  t.match(first.headers['x-amz-version-id'], OWN_ID)
  t.not(second.headers['x-amz-version-id'], first.headers['x-amz-version-id'], 'and another')
  const version = await putVersion(wire, path, 'one')
  const gone = await remove(wire, path, version)
  t.equal(gone.status, 204)
  t.equal(gone.headers['x-amz-version-id'], version)
  t.notOk(gone.headers['x-amz-delete-marker'], 'it was no marker')
  const again = await remove(wire, path, version)
  t.equal(again.status, 204, 'what is not there is deleted already')
  t.equal(again.headers['x-amz-version-id'], version)
  t.equal((await get(wire, path)).status, 404, 'the marker under it shows again')
  for (const { headers } of [second, first]) {
    const undone = await remove(wire, path, headers['x-amz-version-id'])
    t.match(undone.headers, { ...pick(headers, 'x-amz-version-id'), 'x-amz-delete-marker': 'true' })
  }
  t.notOk((await get(wire, path)).headers['x-amz-delete-marker'], 'there never was anything')
  const unknown = await remove(wire, path, 'of-another-store-by-its-form')
  t.equal(unknown.status, 204)
  t.equal(unknown.headers['x-amz-version-id'], 'of-another-store-by-its-form')
}

function pick(headers: Record<string, string>, name: string): Record<string, string> {
  return { [name]: headers[name] ?? '' }
}

async function markers(t: Test, wire: Wire): Promise<void> {
  const path = `${await makeBucket(wire, 'markers', 'Enabled')}/k`
  const version = await putVersion(wire, path, 'one')
  const marker = (await remove(wire, path)).headers['x-amz-version-id']!
  const shown = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker }
  const hidden = await get(wire, path)
  wantError(t, hidden, 404, 'NoSuchKey', { Key: 'k' })
  t.match(hidden.headers, shown)
  const named = await get(wire, path, marker)
  const elements = { Method: 'GET', ResourceType: 'DeleteMarker' }
  wantError(t, named, 405, 'MethodNotAllowed', elements)
  t.match(named.headers, { ...shown, allow: 'DELETE', 'last-modified': /GMT$/ })
  for (const [query, status] of [
    [{}, 404],
    [{ versionId: marker }, 405],
  ] as const) {
    const head = await ask(wire, { method: 'HEAD', path, query })
    t.match(head, { status, headers: shown }, 'HEAD as GET')
    t.equal(head.body.length, 0)
  }
  t.equal((await get(wire, path, version)).text, 'one')
  const unmodified = await ask(wire, {
    ...{ path, query: { versionId: version } },
    headers: { 'if-none-match': '*' },
  })
  t.match(unmodified, { status: 304, headers: { 'x-amz-version-id': version } }, 'pitfall 61')
  const never = `${'0'.repeat(25)}4`
  const missing = await get(wire, path, never)
  wantError(t, missing, 404, 'NoSuchVersion', { Key: 'k', VersionId: never })
  wantError(t, await get(wire, path, 'null'), 404, 'NoSuchVersion')
}

async function suspended(t: Test, wire: Wire): Promise<void> {
  const path = `${await makeBucket(wire, 'suspended')}/k`
  t.equal(await putVersion(wire, path, 'before'), '', 'never versioned: nothing is said')
  t.notOk((await get(wire, path)).headers['x-amz-version-id'])
  await setTo(wire, 'suspended', 'Enabled')
  t.equal((await get(wire, path)).headers['x-amz-version-id'], 'null')
  const version = await putVersion(wire, path, 'one')
  t.match(version, OWN_ID)
  t.equal((await get(wire, path, 'null')).text, 'before', 'what was there is the null version')
  await setTo(wire, 'suspended', 'Suspended')
  t.equal(await putVersion(wire, path, 'two'), '', 'nothing is said of the null version')
  t.equal(await putVersion(wire, path, 'three'), '')
  const copy = (source: string) =>
    ask(wire, { method: 'PUT', path: `${path}2`, headers: { 'x-amz-copy-source': source } })
  const copied = (await copy(path)).headers
  t.equal(copied['x-amz-version-id'], 'null', 'of a copy it is')
  t.notOk('x-amz-copy-source-version-id' in copied)
  t.equal((await copy(`${path}?versionId=null`)).headers['x-amz-copy-source-version-id'], 'null')
  await remove(wire, `${path}2`, 'null')
  t.equal((await get(wire, path)).headers['x-amz-version-id'], 'null')
  const marked = await remove(wire, path)
  t.match(marked.headers, { 'x-amz-delete-marker': 'true', 'x-amz-version-id': 'null' })
  wantError(t, await get(wire, path, 'null'), 405, 'MethodNotAllowed', {}, 'null is a marker now')
  t.equal((await get(wire, path, version)).text, 'one', 'versions with ids stay')
  const all = await ask(wire, { path: '/suspended', query: { versions: '' } })
  t.same(elementsOf(all, 'VersionId'), ['null', version])
  const undone = await remove(wire, path, 'null')
  t.match(undone.headers, { 'x-amz-delete-marker': 'true', 'x-amz-version-id': 'null' })
  t.equal((await get(wire, path)).text, 'one')
}

async function ids(t: Test, wire: Wire): Promise<void> {
  const path = `${await makeBucket(wire, 'ids', 'Enabled')}/k`
  const version = await putVersion(wire, path, 'one')
  t.match(version, OWN_ID)
  for (const foreign of ['3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY', 'x'.repeat(1024)])
    wantError(t, await get(wire, path, foreign), 404, 'NoSuchVersion', { VersionId: foreign })
  for (const wrong of ['not_an_id', 'a/b', 'a b', '../../etc', 'x'.repeat(1025), 'ü']) {
    const message = 'Invalid version id specified'
    const elements = { ArgumentName: 'versionId', Message: message }
    wantError(t, await get(wire, path, wrong), 400, 'InvalidArgument', elements, wrong)
    wantError(t, await remove(wire, path, wrong), 400, 'InvalidArgument', elements, wrong)
  }
  wantError(t, await get(wire, path, ''), 400, 'InvalidArgument')
}

async function copies(t: Test, wire: Wire): Promise<void> {
  const path = `${await makeBucket(wire, 'copies', 'Enabled')}/k`
  const first = await putVersion(wire, path, 'one')
  const second = await putVersion(wire, path, 'two')
  const copy = (source: string, target = path): Promise<Answer> =>
    ask(wire, { method: 'PUT', path: target, headers: { 'x-amz-copy-source': source } })
  const latest = await copy(path, `${path}2`)
  t.equal(latest.headers['x-amz-copy-source-version-id'], second)
  const plain = await copy(path, '/wire/copied')
  t.notOk(plain.headers['x-amz-version-id'], 'the target has no versions')
  t.equal(plain.headers['x-amz-copy-source-version-id'], second, 'but the source has')
  wantError(t, await copy(path), 400, 'InvalidRequest', {}, 'onto itself')
  const back = await copy(`${path}?versionId=${first}`)
  t.equal(back.headers['x-amz-copy-source-version-id'], first)
  t.match(back.headers['x-amz-version-id'], OWN_ID)
  t.equal((await get(wire, path)).text, 'one')
  const marker = (await remove(wire, path)).headers['x-amz-version-id']
  const hidden = await copy(path, `${path}3`)
  wantError(t, hidden, 404, 'NoSuchKey')
  t.equal(hidden.headers['x-amz-delete-marker'], 'true', 'why there is none')
  t.equal(hidden.headers['x-amz-version-id'], marker)
  wantError(t, await copy(`${path}?versionId=${marker}`, `${path}3`), 400, 'InvalidRequest', {
    Message:
      'The source of a copy request may not specifically refer to a delete marker by version id.',
  })
}

async function everyWrite(t: Test, wire: Wire): Promise<void> {
  const path = `${await makeBucket(wire, 'every-write', 'Enabled')}/k`
  const stored = await putVersion(wire, path, 'one')
  const completed = await uploadAll(wire, path, ['two'])
  const copied = await ask(wire, {
    ...{ method: 'PUT', path },
    headers: { 'x-amz-copy-source': `${path}?versionId=${stored}` },
  })
  const made = [completed, copied].map(({ headers }) => headers['x-amz-version-id']!)
  const all = await ask(wire, { path: '/every-write', query: { versions: '' } })
  t.same(elementsOf(all, 'VersionId'), [...made.reverse(), stored], 'newest first')
  t.same(elementsOf(all, 'Size'), ['3', '3', '3'])
}

async function listing(t: Test, wire: Wire): Promise<void> {
  const path = await makeBucket(wire, 'listing')
  await put(wire, `${path}/b`, 'before')
  await setTo(wire, 'listing', 'Enabled')
  for (const key of ['a', 'b', 'c/1', 'b', 'c/2', 'é']) await put(wire, path + encodeURI(`/${key}`))
  await remove(wire, `${path}/b`)
  await remove(wire, `${path}/only-marked`)
  await setTo(wire, 'listing', 'Suspended')
  await put(wire, `${path}/a`, 'null')
  await setTo(wire, 'listing', 'Enabled')
  await put(wire, `${path}/a`)
  const list = (query: Record<string, string> = {}) =>
    ask(wire, { path, query: { versions: '', ...query } })
  const whole = await list()
  const keys = ['a', 'a', 'a', 'b', 'b', 'b', 'b', 'c/1', 'c/2', 'only-marked', 'é']
  t.same(elementsOf(whole, 'Key'), keys)
  const latest = [0, 3, 7, 8, 9, 10]
  t.same(
    elementsOf(whole, 'IsLatest'),
    keys.map((_, index) => String(latest.includes(index))),
  )
  const allIds = elementsOf(whole, 'VersionId')
  t.same(
    allIds.flatMap((id, index) => (id === 'null' ? [index] : [])),
    [1, 6],
  )
  t.match(whole.text, /<Version><Key>a<.*<DeleteMarker><Key>b<.*<Version><Key>b</s, 'interleaved')
  t.equal(elementsOf(whole, 'ETag').length, 9, 'markers have none')
  t.equal(elementsOf(whole, 'ChecksumType').length, 9)
  t.equal(elementsOf(whole, 'DisplayName').length, 11, 'all have owners')
  for (let size = 1; size <= keys.length; size += 1) {
    t.same(await pageThrough(list, { 'max-keys': String(size) }), allIds, `pages of ${size}`)
  }
  t.same(elementsOf(await list({ prefix: 'b' }), 'VersionId'), allIds.slice(3, 7))
  const rolled = await list({ delimiter: '/', 'max-keys': '8' })
  t.match(rolled.text, /<CommonPrefixes><Prefix>c\/<\/Prefix><\/CommonPrefixes>/)
  t.equal(elementOf(rolled, 'NextKeyMarker'), 'c/')
  t.notMatch(rolled.text, /NextVersionIdMarker/, 'behind a prefix there is no version')
  const after = await list({ delimiter: '/', 'key-marker': 'c/' })
  t.same(elementsOf(after, 'Key'), ['only-marked', 'é'])
  const afterNull = await list({ 'key-marker': 'a', 'version-id-marker': 'null' })
  t.same(elementsOf(afterNull, 'VersionId'), allIds.slice(2), 'null is a marker too')
  const encoded = await list({ 'encoding-type': 'url', 'key-marker': 'é ' })
  t.equal(elementOf(encoded, 'KeyMarker'), '%C3%A9%20')
  const lone = await list({ 'version-id-marker': 'null' })
  wantError(t, lone, 400, 'InvalidArgument', { ArgumentName: 'version-id-marker' })
  const wrong = await list({ 'key-marker': 'a', 'version-id-marker': 'a/b' })
  wantError(t, wrong, 400, 'InvalidArgument', { ArgumentName: 'version-id-marker' })
  const current = await ask(wire, { path, query: { 'list-type': '2' } })
  t.same(elementsOf(current, 'Key'), ['a', 'c/1', 'c/2', 'é'], 'ListObjects shows what is current')
}

/** All ids, by following both markers. `meanwhile` is called between pages with what came so far. */
async function pageThrough(
  list: (query: Record<string, string>) => Promise<Answer>,
  query: Record<string, string>,
  meanwhile: (ids: string[]) => Promise<void> = async () => {},
): Promise<string[]> {
  const ids: string[] = []
  let markers: Record<string, string> = {}
  for (let page = 0; page < 50; page += 1) {
    const answer = await list({ ...query, ...markers })
    ids.push(...elementsOf(answer, 'VersionId'))
    if (elementOf(answer, 'IsTruncated') === 'false') return ids
    markers = {
      'key-marker': elementOf(answer, 'NextKeyMarker')!,
      'version-id-marker': elementOf(answer, 'NextVersionIdMarker')!,
    }
    await meanwhile(ids)
  }
  throw new Error('the listing does not end')
}

async function listingMeanwhile(t: Test, wire: Wire): Promise<void> {
  const path = await makeBucket(wire, 'meanwhile')
  await put(wire, `${path}/k`, 'null')
  await setTo(wire, 'meanwhile', 'Enabled')
  for (let count = 0; count < 5; count += 1) await put(wire, `${path}/k`, String(count))
  await setTo(wire, 'meanwhile', 'Suspended')
  await put(wire, `${path}/k`, 'null, on top')
  const list = (query: Record<string, string> = {}) =>
    ask(wire, { path, query: { versions: '', ...query } })
  const all = elementsOf(await list(), 'VersionId')
  t.equal(all[0], 'null')
  const seen = await pageThrough(list, { 'max-keys': '1' }, async (ids) => {
    await remove(wire, `${path}/k`, ids.at(-1))
  })
  t.same(seen, all, 'each is listed once, though the marker is gone by then')
  t.same(elementsOf(await list(), 'VersionId'), all.slice(-1), 'the last one was not deleted')
}

async function notEmpty(t: Test, wire: Wire): Promise<void> {
  const path = await makeBucket(wire, 'not-empty', 'Enabled')
  const version = await putVersion(wire, `${path}/k`, 'one')
  const marker = (await remove(wire, `${path}/k`)).headers['x-amz-version-id']
  const drop = () => ask(wire, { method: 'DELETE', path })
  const message =
    'The bucket you tried to delete is not empty. You must delete all versions in the bucket.'
  const elements = { BucketName: 'not-empty', Message: message }
  wantError(t, await drop(), 409, 'BucketNotEmpty', elements)
  await remove(wire, `${path}/k`, version)
  wantError(t, await drop(), 409, 'BucketNotEmpty', {}, 'a marker is something')
  await remove(wire, `${path}/k`, marker)
  t.equal((await drop()).status, 204)
}
