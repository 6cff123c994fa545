// Versions: how they are switched on, read, deleted, copied and listed (pitfalls 89, 98, 99, 101 to 105).
import t from 'tap'
import { type Gateway, openGateway, texts } from './fake-call.ts'
import { STORE_TIME_MS } from './memory-store.ts'

const configuration = (inner: string) =>
  `<VersioningConfiguration>${inner}</VersioningConfiguration>`
const setTo = (status: 'Enabled' | 'Suspended') => configuration(`<Status>${status}</Status>`)

async function versioned(): Promise<Gateway> {
  const gateway = await openGateway()
  await gateway.ask('PutBucketVersioning', { body: setTo('Enabled') })
  return gateway
}

/** PUT that returns the id of the version it made. */
async function put({ ask }: Gateway, key: string, body: string): Promise<string> {
  const { headers } = await ask('PutObject', { key, body })
  return headers['x-amz-version-id'] ?? ''
}

t.test('versioning is set, suspended and shown (pitfall 96)', async (t) => {
  const { ask, refused } = await openGateway()
  const empty =
    '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></VersioningConfiguration>'
  t.match((await ask('GetBucketVersioning')).text, empty)
  for (const status of ['Enabled', 'Suspended', 'Enabled'] as const) {
    t.equal((await ask('PutBucketVersioning', { body: setTo(status) })).status, 200)
    t.same(texts((await ask('GetBucketVersioning')).text, 'Status'), [status])
  }
  const disabled = configuration('<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>')
  t.equal((await ask('PutBucketVersioning', { body: disabled })).status, 200)
  const wrong: [inner: string, code: string][] = [
    ['', 'IllegalVersioningConfigurationException'],
    ['<Status>On</Status>', 'MalformedXML'],
    ['<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>', 'NotImplemented'],
    ['<Status>Enabled</Status><MfaDelete>Maybe</MfaDelete>', 'MalformedXML'],
  ]
  for (const [inner, code] of wrong)
    t.match(await refused('PutBucketVersioning', { body: configuration(inner) }), { code }, inner)
  const headers = { 'x-amz-mfa': '20899872 301749' }
  for (const operation of ['PutBucketVersioning', 'DeleteObject', 'DeleteObjects'] as const)
    t.match(await refused(operation, { key: 'a', body: setTo('Enabled'), headers }), {
      code: 'NotImplemented',
      elements: { Header: 'x-amz-mfa' },
    })
})

t.test('a bucket with Object Lock keeps its versions', async (t) => {
  const { ask, refused, store } = await versioned()
  await store.changeBucket(store.findBucket('photos')!, { objectLock: {} })
  t.match(await refused('PutBucketVersioning', { body: setTo('Suspended') }), {
    code: 'InvalidBucketState',
    status: 409,
    message:
      'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
  })
  t.same(texts((await ask('GetBucketVersioning')).text, 'Status'), ['Enabled'])
})

t.test('versions are read by their ids, null is one (pitfalls 103, 104)', async (t) => {
  const gateway = await openGateway()
  const { ask, refused } = gateway
  t.equal(await put(gateway, 'a', 'before'), '', 'nothing is said where nothing is versioned')
  t.notOk('x-amz-version-id' in (await ask('GetObject', { key: 'a' })).headers)
  await ask('PutBucketVersioning', { body: setTo('Enabled') })
  const [one, two] = [await put(gateway, 'a', 'one'), await put(gateway, 'a', 'two')]
  await ask('PutBucketVersioning', { body: setTo('Suspended') })
  t.equal(await put(gateway, 'a', 'after'), '', 'nothing is said of the null version')
  const rows: [versionId: string | undefined, text: string, shown: string][] = [
    [undefined, 'after', 'null'],
    ['null', 'after', 'null'],
    [one, 'one', one],
    [two, 'two', two],
  ]
  for (const [versionId, text, shown] of rows) {
    const query = versionId === undefined ? {} : { versionId }
    const got = await ask('GetObject', { key: 'a', query })
    t.match(got, { text, headers: { 'x-amz-version-id': shown } })
    const head = await ask('HeadObject', { key: 'a', query })
    t.equal(head.headers['x-amz-version-id'], shown)
  }
  const other = { key: 'a', query: { versionId: 'v'.repeat(25).concat('s') } }
  t.match(await refused('GetObject', other), { code: 'NoSuchVersion', elements: { Key: 'a' } })
  t.match(await refused('GetObject', { key: 'a', query: { versionId: 'a/b' } }), {
    code: 'InvalidArgument',
    message: 'Invalid version id specified',
  })
})

t.test('delete markers hide, are named, and are not read (pitfalls 102, 103)', async (t) => {
  const gateway = await versioned()
  const { ask, refused } = gateway
  const one = await put(gateway, 'a', 'one')
  const deleted = await ask('DeleteObject', { key: 'a' })
  const marker = deleted.headers['x-amz-version-id'] ?? ''
  t.match(deleted, { status: 204, headers: { 'x-amz-delete-marker': 'true' } })
  const shown = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker }
  for (const operation of ['GetObject', 'HeadObject', 'GetObjectTagging'] as const) {
    const hidden = await refused(operation, { key: 'a' })
    const ofTags = operation === 'GetObjectTagging'
    const [code, status] = ofTags ? ['MethodNotAllowed', 405] : ['NoSuchKey', 404]
    t.match(hidden, { code, status, headers: shown }, operation)
    const named = await refused(operation, { key: 'a', query: { versionId: marker } })
    const lastModified = new Date(STORE_TIME_MS).toUTCString()
    t.match(named, {
      code: 'MethodNotAllowed',
      status: 405,
      elements: { ResourceType: 'DeleteMarker' },
      headers: { ...shown, allow: 'DELETE', 'last-modified': lastModified },
    })
  }
  t.equal((await ask('GetObject', { key: 'a', query: { versionId: one } })).text, 'one')
  const undone = await ask('DeleteObject', { key: 'a', query: { versionId: marker } })
  t.same(undone.headers, shown)
  t.equal((await ask('GetObject', { key: 'a' })).text, 'one', 'removing the marker undeletes')
  const removed = await ask('DeleteObject', { key: 'a', query: { versionId: one } })
  t.same(removed.headers, { 'x-amz-version-id': one })
  const again = await ask('DeleteObject', { key: 'a', query: { versionId: one } })
  t.match(again, { status: 204, headers: { 'x-amz-version-id': one } })
  t.notOk((await refused('GetObject', { key: 'a' })).headers['x-amz-delete-marker'])
})

t.test('a delete marker counts as absent for conditions (pitfall 66)', async (t) => {
  const gateway = await versioned()
  const { ask, refused } = gateway
  await put(gateway, 'a', 'one')
  await ask('DeleteObject', { key: 'a' })
  const onlyIfThere = { key: 'a', headers: { 'if-match': '*' } }
  t.match(await refused('PutObject', onlyIfThere), { code: 'NoSuchKey' })
  t.same((await ask('DeleteObject', onlyIfThere)).headers, {}, 'nothing was made')
  const absent = { key: 'a', body: 'new', headers: { 'if-none-match': '*' } }
  t.equal((await ask('PutObject', absent)).status, 200)
})

t.test('DeleteObjects names versions and markers (pitfall 101)', async (t) => {
  const gateway = await versioned()
  const one = await put(gateway, 'a', 'one')
  const object = (key: string, id?: string) =>
    `<Object><Key>${key}</Key>${id === undefined ? '' : `<VersionId>${id}</VersionId>`}</Object>`
  const ask = (inner: string) =>
    gateway.ask('DeleteObjects', {
      body: `<Delete>${inner}</Delete>`,
      headers: { 'content-md5': 'x' },
    })
  const marked = (await ask(object('a'))).text
  const marker = texts(marked, 'DeleteMarkerVersionId')[0] ?? ''
  t.match(marked, '<DeleteMarker>true</DeleteMarker>')
  t.same(texts(marked, 'VersionId'), [])
  const unknown = 'of-another-store-by-its-form'
  const { text } = await ask(object('a', marker) + object('a', one) + object('a', unknown))
  t.match(
    text,
    `<Deleted><Key>a</Key><VersionId>${marker}</VersionId><DeleteMarker>true</DeleteMarker>` +
      `<DeleteMarkerVersionId>${marker}</DeleteMarkerVersionId></Deleted>` +
      `<Deleted><Key>a</Key><VersionId>${one}</VersionId></Deleted>` +
      `<Deleted><Key>a</Key><VersionId>${unknown}</VersionId></Deleted>`,
  )
})

t.test('locked versions stay, GOVERNANCE unless it is passed over (pitfall 118)', async (t) => {
  const gateway = await versioned()
  const { ask, refused, store } = gateway
  const bucket = store.findBucket('photos')!
  const versionId = await put(gateway, 'a', 'one')
  const lock = (mode: 'GOVERNANCE' | 'COMPLIANCE') =>
    store.edit(bucket, 'a', versionId, {
      what: 'retention',
      retention: { mode, untilMs: STORE_TIME_MS + 3_600_000 },
      bypass: false,
    })
  await lock('GOVERNANCE')
  const asked = { key: 'a', query: { versionId } }
  const bypass = { 'x-amz-bypass-governance-retention': 'true' }
  t.match(await refused('DeleteObject', asked), {
    code: 'AccessDenied',
    message: 'Access Denied because object protected by object lock.',
  })
  t.match(await refused('DeleteObject', { ...asked, headers: bypass, anonymous: true }), {
    code: 'AccessDenied',
  })
  const item = `<Object><Key>a</Key><VersionId>${versionId}</VersionId></Object>`
  const list = { body: `<Delete>${item}</Delete>`, headers: { 'content-md5': 'x' } }
  t.same(texts((await ask('DeleteObjects', list)).text, 'Code'), ['AccessDenied'])
  await lock('COMPLIANCE')
  t.match(await refused('DeleteObject', { ...asked, headers: bypass }), { code: 'AccessDenied' })
  t.equal((await ask('DeleteObject', { key: 'a' })).status, 204, 'a marker over it is allowed')
  const other = await put(gateway, 'a', 'two')
  const hour = { mode: 'GOVERNANCE', untilMs: STORE_TIME_MS + 3_600_000 } as const
  await store.edit(bucket, 'a', other, { what: 'retention', retention: hour, bypass: false })
  const passed = { key: 'a', query: { versionId: other }, headers: bypass }
  t.equal((await ask('DeleteObject', passed)).status, 204)
})

t.test('passing over GOVERNANCE where nothing can be locked', async (t) => {
  const { ask, refused } = await openGateway()
  const item = '<Object><Key>a</Key></Object>'
  const list = { body: `<Delete>${item}</Delete>`, headers: { 'content-md5': 'x' } }
  for (const value of ['true', 'false']) {
    const headers = { 'x-amz-bypass-governance-retention': value }
    t.equal((await ask('DeleteObject', { key: 'a', headers })).status, 204)
    const wanted = {
      code: 'InvalidArgument',
      message: `${Object.keys(headers)[0]} is only applicable to Object Lock enabled buckets.`,
    }
    t.match(await refused('DeleteObject', { key: 'a', headers, strict: true }), wanted, value)
    const many = { ...list, headers: { ...list.headers, ...headers }, strict: true }
    t.match(await refused('DeleteObjects', many), wanted, value)
  }
})

t.test(
  'copies name the null version that they make, and the one they read to who named it',
  async (t) => {
    const gateway = await openGateway()
    await put(gateway, 'a', 'one')
    const copy = (source: string) =>
      gateway.ask('CopyObject', { key: 'b', headers: { 'x-amz-copy-source': source } })
    t.notMatch((await copy('photos/a')).headers, { 'x-amz-version-id': String })
    const body = '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>'
    await gateway.ask('PutBucketVersioning', { body })
    const { headers } = await copy('photos/a')
    t.equal(headers['x-amz-version-id'], 'null')
    t.notOk('x-amz-copy-source-version-id' in headers)
    const named = (await copy('photos/a?versionId=null')).headers
    t.equal(named['x-amz-copy-source-version-id'], 'null')
  },
)

t.test('copies of versions; markers are no sources (pitfalls 97, 98)', async (t) => {
  const gateway = await versioned()
  const { ask, refused } = gateway
  const one = await put(gateway, 'a', 'one')
  const two = await put(gateway, 'a', 'two')
  const copy = (source: string, key = 'b') => ({ key, headers: { 'x-amz-copy-source': source } })
  const latest = await ask('CopyObject', copy('photos/a'))
  t.equal(latest.headers['x-amz-copy-source-version-id'], two)
  t.match(latest.headers['x-amz-version-id'], /^[0-9a-v]{26}$/)
  const back = await ask('CopyObject', copy(`photos/a?versionId=${one}`, 'a'))
  t.equal(back.headers['x-amz-copy-source-version-id'], one)
  t.equal((await ask('GetObject', { key: 'a' })).text, 'one', 'an old version is current again')
  const marker = (await ask('DeleteObject', { key: 'a' })).headers['x-amz-version-id']
  t.match(await refused('CopyObject', copy('photos/a')), { code: 'NoSuchKey' })
  t.match(await refused('CopyObject', copy(`photos/a?versionId=${marker}`)), {
    code: 'InvalidRequest',
    message:
      'The source of a copy request may not specifically refer to a delete marker by version id.',
  })
})

t.test('tags are copied or replaced as the directive says (pitfall 99)', async (t) => {
  const { ask, refused, store } = await openGateway()
  await ask('PutObject', { key: 'a', headers: { 'x-amz-tagging': 'color=red' } })
  const copy = (headers: Record<string, string>) => ({
    key: 'b',
    headers: { 'x-amz-copy-source': 'photos/a', ...headers },
  })
  const tags = () => store.kept.get('photos/b')?.version.tags
  await ask('CopyObject', copy({}))
  t.same(tags(), [{ key: 'color', value: 'red' }])
  const blue = { 'x-amz-tagging-directive': 'REPLACE', 'x-amz-tagging': 'color=blue' }
  await ask('CopyObject', copy(blue))
  t.same(tags(), [{ key: 'color', value: 'blue' }])
  await ask('CopyObject', copy({ 'x-amz-metadata-directive': 'REPLACE' }))
  t.same(tags(), [{ key: 'color', value: 'red' }], 'each directive is about its own')
  await ask('CopyObject', copy({ 'x-amz-tagging-directive': 'REPLACE' }))
  t.equal(tags(), undefined)
  t.match(await refused('CopyObject', copy({ 'x-amz-tagging': 'a=b' })), { code: 'InvalidRequest' })
})

t.test('every version and marker is listed in pages of any size (pitfall 89)', async (t) => {
  const gateway = await openGateway()
  const { ask } = gateway
  await put(gateway, 'b', 'before')
  await ask('PutBucketVersioning', { body: setTo('Enabled') })
  await put(gateway, 'a', 'one')
  await put(gateway, 'b', 'two')
  await ask('DeleteObject', { key: 'b' })
  await put(gateway, 'c/1', 'three')
  const whole = (await ask('ListObjectVersions')).text
  t.same(texts(whole, 'Key'), ['a', 'b', 'b', 'b', 'c/1'])
  t.same(texts(whole, 'IsLatest'), ['true', 'true', 'false', 'false', 'true'])
  t.equal(texts(whole, 'VersionId')[3], 'null')
  t.match(whole, /<\/Version><DeleteMarker><Key>b<.*<\/DeleteMarker><Version>/, 'interleaved')
  t.equal(texts(whole, 'ChecksumAlgorithm').length, 4)
  t.equal(texts(whole, 'ETag').length, 4)
  for (const size of [1, 2, 3, 4, 5]) {
    const ids: string[] = []
    let markers: Record<string, string> = {}
    for (let pages = 0; pages < 10; pages++) {
      const query = { 'max-keys': String(size), ...markers }
      const { text } = await ask('ListObjectVersions', { query })
      ids.push(...texts(text, 'VersionId'))
      const [key] = texts(text, 'NextKeyMarker')
      t.equal(texts(text, 'IsTruncated')[0], String(key !== undefined))
      if (key === undefined) break
      markers = { 'key-marker': key, 'version-id-marker': texts(text, 'NextVersionIdMarker')[0]! }
    }
    t.same(ids, texts(whole, 'VersionId'), `pages of ${size}`)
  }
  const query = { 'key-marker': 'b', 'version-id-marker': 'null', delimiter: '/' }
  const rest = (await ask('ListObjectVersions', { query })).text
  t.same(texts(rest, 'Key'), [], 'null is the last of its key')
  t.match(rest, /<CommonPrefixes><Prefix>c\/<\/Prefix>/)
})

t.test('markers of a listing that are none', async (t) => {
  const { refused } = await openGateway()
  const rows = [
    { 'version-id-marker': 'null' },
    { 'key-marker': 'a', 'version-id-marker': 'a/b' },
    { 'key-marker': 'a', 'version-id-marker': 'of-another-store' },
  ]
  for (const query of rows)
    t.match(await refused('ListObjectVersions', { query }), {
      code: 'InvalidArgument',
      elements: { ArgumentName: 'version-id-marker' },
    })
})
