// RenameObject: the new name has everything that the old one had, and the old one is gone.
import { createHash, randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import {
  type Answer,
  ask,
  BUCKET,
  elementsOf,
  listed,
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

t.test('RenameObject', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('an object moves, with all that it has', async (t) => moves(t, wire))
    await t.test('names of every kind', async (t) => names(t, wire))
    await t.test('a name with its bucket in front', async (t) => withBucket(t, wire))
    await t.test('conditions on the source', async (t) => sourceConditions(t, wire))
    await t.test('conditions on the target', async (t) => targetConditions(t, wire))
    await t.test('a token makes it idempotent', async (t) => tokens(t, wire))
    await t.test('what can not be renamed', async (t) => refused(t, wire))
    await t.test('SSE-C', async (t) => customerKeys(t, wire))
    await t.test('multipart', async (t) => multipart(t, wire))
    await t.test('a bucket that keeps versions', async (t) => versions(t, wire))
  })
})

function rename(
  wire: Wire,
  from: string,
  to: string,
  headers: Record<string, string> = {},
  bucket = BUCKET,
): Promise<Answer> {
  return ask(wire, {
    ...{ method: 'PUT', path: `/${bucket}/${to}`, query: { renameObject: '' } },
    headers: { 'x-amz-rename-source': from, ...headers },
  })
}

function get(wire: Wire, key: string, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(wire, { path: `/${BUCKET}/${key}`, headers })
}

async function moves(t: Test, wire: Wire): Promise<void> {
  const bytes = randomBytes(300_000)
  const kept = {
    'content-type': 'image/png',
    'cache-control': 'no-store',
    'x-amz-meta-colour': 'blue',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-website-redirect-location': '/there',
  }
  const checksum = createHash('sha256').update(bytes).digest('base64')
  const sent = { ...kept, 'x-amz-tagging': 'a=1&b=2', 'x-amz-checksum-sha256': checksum }
  await put(wire, `/${BUCKET}/old`, bytes, sent)
  await put(wire, `/${BUCKET}/new`, 'what was there before')
  const answer = await rename(wire, 'old', 'new')
  t.equal(`${answer.status} ${answer.text}`, '200 ')
  t.same(await listed(wire), ['new'])
  const { headers, body } = await get(wire, 'new', { 'x-amz-checksum-mode': 'ENABLED' })
  t.ok(body.equals(bytes))
  t.match(headers, {
    ...kept,
    etag: `"${createHash('md5').update(bytes).digest('hex')}"`,
    'x-amz-tagging-count': '2',
    'x-amz-checksum-sha256': checksum,
  })
  wantError(t, await get(wire, 'old'), 404, 'NoSuchKey')
}

async function names(t: Test, wire: Wire): Promise<void> {
  const cases: [path: string, source: string][] = [
    ['a%20b', 'a%20b'],
    ['c+d', '/c+d'],
    ['%2Fslash', '%2Fslash'],
    ['%C3%A9', '%C3%A9'],
    ['dir/x', 'dir%2Fx'],
    ['100%25', '100%25'],
  ]
  for (const [path, source] of cases) {
    await put(wire, `/${BUCKET}/${path}`)
    t.equal((await rename(wire, source, 'named/a')).status, 200, source)
    t.same(await listed(wire, 'named/'), ['named/a'])
  }
  await put(wire, `/${BUCKET}/empty`, '')
  t.equal((await rename(wire, 'empty', 'named/empty')).status, 200, 'an empty object')
  t.equal((await get(wire, 'named/empty')).headers['content-length'], '0')
}

const LONG_AGO = 'Sat, 01 Jan 2000 00:00:00 GMT'

/** A moment after the last change of anything here: dates of the future are not looked at. */
function inFuture(): string {
  return new Date(Date.now() + 3_600_000).toUTCString()
}

async function withBucket(t: Test, wire: Wire): Promise<void> {
  await put(wire, `/${BUCKET}/in/front`, 'plain')
  t.equal((await rename(wire, `/${BUCKET}/in/front`, 'moved')).status, 200)
  t.equal((await get(wire, 'moved')).text, 'plain')
  // A key that begins like the bucket is meant itself.
  await put(wire, `/${BUCKET}/${BUCKET}/odd`, 'odd')
  await put(wire, `/${BUCKET}/odd`, 'other')
  t.equal((await rename(wire, `${BUCKET}/odd`, 'moved')).status, 200)
  t.equal((await get(wire, 'moved')).text, 'odd')
  t.equal((await get(wire, 'odd')).text, 'other')
  for (const key of ['moved', 'odd'])
    await ask(wire, { method: 'DELETE', path: `/${BUCKET}/${key}` })
}

async function sourceConditions(t: Test, wire: Wire): Promise<void> {
  const { headers } = await put(wire, `/${BUCKET}/conditional`, 'source')
  const etag = headers.etag!
  const failing: [name: string, value: string][] = [
    ['if-match', '"other"'],
    ['if-none-match', etag],
    ['if-none-match', '*'],
    ['if-unmodified-since', LONG_AGO],
  ]
  for (const [name, value] of failing) {
    const header = `x-amz-rename-source-${name}`
    const answer = await rename(wire, 'conditional', 'moved', { [header]: value })
    wantError(t, answer, 412, 'PreconditionFailed', { Condition: header })
  }
  wantError(t, await get(wire, 'moved'), 404, 'NoSuchKey')
  const holding = {
    'x-amz-rename-source-if-match': etag,
    'x-amz-rename-source-if-modified-since': LONG_AGO,
  }
  t.equal((await rename(wire, 'conditional', 'moved', holding)).status, 200)
}

async function targetConditions(t: Test, wire: Wire): Promise<void> {
  await put(wire, `/${BUCKET}/from`, 'source')
  const { headers } = await put(wire, `/${BUCKET}/to`, 'target')
  const refusals: [name: string, value: string, to: string, status: number, code: string][] = [
    ['if-none-match', '*', 'to', 412, 'PreconditionFailed'],
    ['if-match', '"other"', 'to', 412, 'PreconditionFailed'],
    ['if-match', '*', 'nowhere', 404, 'NoSuchKey'],
    ['if-unmodified-since', LONG_AGO, 'to', 412, 'PreconditionFailed'],
    ['if-modified-since', LONG_AGO, 'nowhere', 412, 'PreconditionFailed'],
  ]
  for (const [name, value, to, status, code] of refusals) {
    wantError(
      t,
      await rename(wire, 'from', to, { [name]: value }),
      status,
      code,
      {},
      `${name} ${to}`,
    )
  }
  t.equal((await get(wire, 'to')).text, 'target')
  t.equal((await get(wire, 'from')).text, 'source')
  const moves: [to: string, conditions: Record<string, string>][] = [
    ['to', { 'if-match': headers.etag!, 'if-unmodified-since': inFuture() }],
    ['fresh', { 'if-none-match': '*' }],
    ['later', { 'if-unmodified-since': LONG_AGO }],
    ['to', { 'if-modified-since': LONG_AGO }],
  ]
  let from = 'from'
  for (const [to, conditions] of moves) {
    if (to === 'to' && from !== 'from') await put(wire, `/${BUCKET}/to`, 'again')
    t.equal(
      (await rename(wire, from, to, conditions)).status,
      200,
      `${to} ${Object.keys(conditions)}`,
    )
    from = to
  }
  t.equal((await get(wire, 'to')).text, 'source')
}

async function tokens(t: Test, wire: Wire): Promise<void> {
  const token = { 'x-amz-client-token': 'token-1' }
  await put(wire, `/${BUCKET}/t1`, 'once')
  t.equal((await rename(wire, 't1', 't2', token)).status, 200)
  t.equal((await rename(wire, 't1', 't2', token)).status, 200, 'again')
  t.equal((await get(wire, 't2')).text, 'once')
  const other = await rename(wire, 't2', 't3', token)
  wantError(t, other, 400, 'IdempotencyParameterMismatch')
  wantError(t, await rename(wire, 't1', 't2'), 404, 'NoSuchKey', { Key: 't1' }, 'without a token')
  const unheard = { 'x-amz-client-token': 'token-2' }
  wantError(t, await rename(wire, 't1', 't2', unheard), 404, 'NoSuchKey', {}, 'another token')
  const long = { 'x-amz-client-token': 'x'.repeat(65) }
  wantError(t, await rename(wire, 't2', 't3', long), 400, 'InvalidArgument')
}

async function refused(t: Test, wire: Wire): Promise<void> {
  await put(wire, `/${BUCKET}/there`, 'x')
  const nothing = await ask(wire, {
    method: 'PUT',
    path: `/${BUCKET}/x`,
    query: { renameObject: '' },
  })
  wantError(t, nothing, 400, 'InvalidRequest', {}, 'no source')
  wantError(t, await rename(wire, '', 'x'), 400, 'InvalidArgument', {}, 'an empty source')
  wantError(t, await rename(wire, '%zz', 'x'), 400, 'InvalidArgument', {}, 'no encoding')
  wantError(t, await rename(wire, '../x', 'x'), 400, 'InvalidURI', {}, 'no key')
  wantError(t, await rename(wire, 'there', 'there'), 400, 'InvalidRequest', {}, 'itself')
  wantError(t, await rename(wire, 'missing', 'x'), 404, 'NoSuchKey', { Key: 'missing' })
  wantError(t, await rename(wire, 'there', 'x', {}, 'no-such-bucket'), 404, 'NoSuchBucket')
  for (const [name, value] of [
    ['x-amz-meta-a', '1'],
    ['x-amz-tagging', 'a=1'],
    ['x-amz-storage-class', 'STANDARD_IA'],
    ['x-amz-server-side-encryption', 'AES256'],
    ['x-amz-acl', 'public-read'],
  ] as const) {
    const answer = await rename(wire, 'there', 'x', { [name]: value })
    wantError(t, answer, 501, 'NotImplemented', { Header: name })
  }
  t.equal((await get(wire, 'there')).text, 'x')
}

/** The three headers of SSE-C. */
function keyHeaders(key: Buffer, prefix: string): Record<string, string> {
  return {
    [`${prefix}-algorithm`]: 'AES256',
    [`${prefix}-key`]: key.toString('base64'),
    [`${prefix}-key-md5`]: createHash('md5').update(key).digest('base64'),
  }
}

async function customerKeys(t: Test, wire: Wire): Promise<void> {
  const key = Buffer.alloc(32, 7)
  const own = keyHeaders(key, 'x-amz-server-side-encryption-customer')
  const ofSource = 'x-amz-copy-source-server-side-encryption-customer'
  await put(wire, `/${BUCKET}/sealed`, 'secret', own)
  wantError(t, await rename(wire, 'sealed', 'moved-seal'), 400, 'InvalidRequest', {}, 'no key')
  const wrong = keyHeaders(Buffer.alloc(32, 8), ofSource)
  wantError(t, await rename(wire, 'sealed', 'moved-seal', wrong), 400, 'InvalidRequest')
  t.equal((await rename(wire, 'sealed', 'moved-seal', keyHeaders(key, ofSource))).status, 200)
  t.equal((await get(wire, 'moved-seal', own)).text, 'secret')
  wantError(t, await get(wire, 'moved-seal'), 400, 'InvalidRequest', {}, 'it is as it was')
}

async function multipart(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/parts`
  const created = await ask(wire, { method: 'POST', path, query: { uploads: '' } })
  const [uploadId = ''] = elementsOf(created, 'UploadId')
  const part = await ask(wire, {
    ...{ method: 'PUT', path, query: { uploadId, partNumber: '1' }, body: 'in parts' },
  })
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`
  t.equal((await ask(wire, { method: 'POST', path, query: { uploadId }, body })).status, 200)
  t.match((await get(wire, 'parts')).headers.etag, /-1"$/)
  t.equal((await rename(wire, 'parts', 'whole')).status, 200)
  const { headers, text } = await get(wire, 'whole')
  t.equal(text, 'in parts')
  const md5 = createHash('md5').update('in parts').digest('hex')
  t.equal(headers.etag, `"${md5}"`, 'a plain ETag')
}

async function versions(t: Test, wire: Wire): Promise<void> {
  const bucket = 'kept-versions'
  await ask(wire, { method: 'PUT', path: `/${bucket}`, body: '' })
  const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  const set = await ask(wire, {
    method: 'PUT',
    path: `/${bucket}`,
    query: { versioning: '' },
    body,
  })
  t.equal(set.status, 200)
  const first = await put(wire, `/${bucket}/old`, 'versioned')
  const answer = await rename(wire, 'old', 'new', {}, bucket)
  t.equal(answer.status, 200)
  const listing = await ask(wire, { path: `/${bucket}`, query: { versions: '' } })
  t.same(elementsOf(listing, 'Key'), ['new', 'old', 'old'], 'a marker over the old name')
  t.match(listing.text, '<DeleteMarker>')
  const [newId] = elementsOf(listing, 'VersionId')
  t.equal(answer.headers['x-amz-version-id'], newId)
  const versionId = first.headers['x-amz-version-id']!
  const old = await ask(wire, { path: `/${bucket}/old`, query: { versionId } })
  t.equal(old.text, 'versioned')
  wantError(t, await rename(wire, 'old', 'x', {}, bucket), 404, 'NoSuchKey')
}
