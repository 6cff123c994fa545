// GET and HEAD: conditions and headers, as pedantic clients compare them.
import t, { type Test } from 'tap'
import { presign, presignV2, strictEncode } from './signing.ts'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  composeHead,
  elementOf,
  put,
  talk,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/read`
const ETAG = '"5d41402abc4b2a76b9719d911017c592"'
const OTHER = '"00000000000000000000000000000000"'

t.test('reads', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await put(wire, PATH, 'hello', { 'cache-control': 'max-age=5', expires: 'not a date' })
    await t.test('headers of replies (52 to 56)', async (t) => replies(t, wire))
    await t.test('conditions (60 to 62)', async (t) => conditions(t, wire))
    await t.test('what an object keeps (92 to 94)', async (t) => keeps(t, wire))
    await t.test('metadata in presigned URLs', async (t) => presignedMetadata(t, wire))
  })
})

/** GET and HEAD must agree: same status, same headers, but no body. */
async function both(t: Test, wire: Wire, wanted: Ask): Promise<Answer> {
  const got = await ask(wire, wanted)
  const head = await ask(wire, { ...wanted, method: 'HEAD' })
  t.equal(head.status, got.status, 'HEAD has the status of GET')
  t.equal(head.body.length, 0)
  if (got.status < 400) {
    const strip = ({ headers }: Answer): unknown => {
      const { 'x-amz-request-id': _, 'x-amz-id-2': host, date, ...rest } = headers
      return rest
    }
    t.same(strip(head), strip(got), 'HEAD has the headers of GET (51)')
  } else t.notOk('content-type' in head.headers, 'HEAD errors have no XML (51)')
  return got
}

async function replies(t: Test, wire: Wire): Promise<void> {
  const got = await both(t, wire, { path: PATH })
  t.equal(got.text, 'hello')
  t.match(got.headers, {
    etag: ETAG,
    server: 'Kintsugi',
    'accept-ranges': 'bytes',
    'content-length': '5',
    'content-type': 'binary/octet-stream',
    'cache-control': 'max-age=5',
    expires: 'not a date',
    'last-modified': /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/,
    date: /GMT$/,
    'x-amz-request-id': /^[0-9A-F]{16}$/,
    'x-amz-id-2': /./,
  })
  t.notOk('content-range' in got.headers)
  t.notOk('x-amz-version-id' in got.headers, 'never versioned (104)')
  t.notOk('x-amz-storage-class' in got.headers, 'STANDARD is not told (94)')
  const missing = await both(t, wire, { path: `/${BUCKET}/missing` })
  wantError(t, missing, 404, 'NoSuchKey', { Key: 'missing', Resource: `/${BUCKET}/missing` })
  const nowhere = await both(t, wire, { path: '/no-such-bucket/missing' })
  wantError(t, nowhere, 404, 'NoSuchBucket', { BucketName: 'no-such-bucket' })
  const denied = await both(t, wire, { path: PATH, signer: false })
  wantError(t, denied, 403, 'AccessDenied')
  const versionId = '3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY'
  const version = await both(t, wire, { path: PATH, query: { versionId } })
  wantError(t, version, 404, 'NoSuchVersion', { Key: 'read', VersionId: versionId })
  t.equal((await both(t, wire, { path: PATH, query: { versionId: 'null' } })).text, 'hello')
  const malformed = await both(t, wire, { path: PATH, query: { versionId: 'a/b' } })
  wantError(t, malformed, 400, 'InvalidArgument', { ArgumentName: 'versionId' }, '103')
}

async function conditions(t: Test, wire: Wire): Promise<void> {
  const past = 'Sat, 01 Jan 2000 00:00:00 GMT'
  const future = 'Fri, 01 Jan 2100 00:00:00 GMT'
  const modified = (await ask(wire, { path: PATH })).headers['last-modified']!
  const cases: [headers: Record<string, string>, status: number, condition?: string][] = [
    [{ 'if-match': ETAG }, 200],
    [{ 'if-match': ETAG.replaceAll('"', '') }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': `${OTHER}, ${ETAG}` }, 200],
    [{ 'if-match': OTHER }, 412, 'If-Match'],
    [{ 'if-match': '""' }, 412, 'If-Match'],
    [{ 'if-match': `W/${ETAG}` }, 412, 'If-Match'],
    [{ 'if-match': ETAG, 'if-unmodified-since': past }, 200],
    [{ 'if-none-match': ETAG }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': `W/${ETAG}` }, 304],
    [{ 'if-none-match': OTHER }, 200],
    [{ 'if-none-match': OTHER, 'if-modified-since': modified }, 200],
    [{ 'if-none-match': ETAG, 'if-modified-since': past }, 304],
    [{ 'if-none-match': ETAG, 'if-unmodified-since': past }, 412, 'If-Unmodified-Since'],
    [{ 'if-match': OTHER, 'if-none-match': ETAG }, 412, 'If-Match'],
    [{ 'if-match': ETAG, 'if-none-match': ETAG }, 304],
    [{ 'if-modified-since': modified }, 304],
    [{ 'if-modified-since': past }, 200],
    [{ 'if-modified-since': future }, 200],
    [{ 'if-modified-since': 'yesterday' }, 200],
    [{ 'if-unmodified-since': past }, 412, 'If-Unmodified-Since'],
    [{ 'if-unmodified-since': modified }, 200],
    [{ 'if-modified-since': modified, 'if-unmodified-since': past }, 412, 'If-Unmodified-Since'],
    [{ 'if-none-match': ETAG, range: 'bytes=0-1' }, 304],
    [{ 'if-match': OTHER, range: 'bytes=9-' }, 412, 'If-Match'],
  ]
  for (const [headers, status, condition] of cases) {
    const got = await both(t, wire, { path: PATH, headers })
    t.equal(got.status, status, JSON.stringify(headers))
    if (condition !== undefined) {
      wantError(t, got, 412, 'PreconditionFailed', { Condition: condition })
    }
    if (status !== 304) continue
    const kept = { etag: ETAG, 'last-modified': modified, 'cache-control': 'max-age=5' }
    t.match(got.headers, kept, 'headers of a 304 (61)')
    t.notOk('content-length' in got.headers, 'a 304 has no body')
  }
}

async function keeps(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/kept`
  const verbatim = {
    'content-type': 'text/plain',
    'content-disposition': 'attachment; filename="ä"',
    'content-encoding': 'gzip',
    'content-language': 'de, en',
    'cache-control': 'no-cache; x="ä"',
    expires: '0',
    'x-amz-website-redirect-location': '/elsewhere',
    'x-amz-storage-class': 'GLACIER_IR',
    'x-amz-meta-plain': 'a  b',
    'x-amz-meta-with_underscore': 'c',
    'x-amz-meta-__proto__': 'd',
    'x-amz-meta-constructor': 'e',
    'x-amz-meta-empty': '',
  }
  const sent = Object.fromEntries(
    Object.entries(verbatim).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]),
  )
  await put(wire, path, 'hello', sent)
  t.match((await both(t, wire, { path })).headers, sent)
  const etag = (await ask(wire, { path })).headers.etag!
  const stale = await ask(wire, { path, headers: { 'if-none-match': etag } })
  t.equal(stale.headers['cache-control'], sent['cache-control'], 'and in a 304 (61)')
  const unprintable = await ask(wire, {
    ...{ method: 'PUT', path: `/${BUCKET}/delete`, body: 'hello' },
    headers: { 'content-type': 'a\x7fb' },
  })
  wantError(t, unprintable, 400, 'BadRequest')
  const unicode = Buffer.from('größe').toString('latin1')
  const twice = await ask(wire, {
    ...{ method: 'PUT', path, body: 'hello' },
    headers: [
      ['x-amz-meta-twice', 'one'],
      ['x-amz-meta-twice', 'two'],
      ['x-amz-meta-unicode', unicode],
    ],
  })
  t.equal(twice.status, 200, twice.text)
  const { headers } = await both(t, wire, { path })
  t.equal(headers['x-amz-meta-twice'], 'one,two', 'duplicates are joined (92)')
  t.equal(headers['x-amz-meta-unicode'], '=?UTF-8?B?Z3LDtsOfZQ==?=', 'RFC 2047 (93)')
  t.notOk('x-amz-meta-plain' in headers, 'a PUT replaces everything')
  await put(wire, path, 'hello', { 'x-amz-meta-a': 'a'.repeat(2047) })
  const large = await ask(wire, {
    ...{ method: 'PUT', path, body: 'other' },
    headers: { 'x-amz-meta-a': 'a'.repeat(2048) },
  })
  const sizes = { Size: '2049', MaxSizeAllowed: '2048' }
  wantError(t, large, 400, 'MetadataTooLarge', sizes)
  const unknown = await ask(wire, {
    ...{ method: 'PUT', path, body: 'other' },
    headers: { 'x-amz-storage-class': 'PAPYRUS' },
  })
  wantError(t, unknown, 400, 'InvalidStorageClass')
  t.equal((await ask(wire, { path })).text, 'hello')
}

/** Parameters of a presigned URL that stand for headers may say what no header can. */
async function presignedMetadata(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/presigned`
  const headers: [string, string][] = [['host', wire.host]]
  const send = async (query: string): Promise<Answer> => {
    const sent = [...headers, ['content-length', '5'], ['connection', 'close']] as [
      string,
      string,
    ][]
    const head = composeHead(`PUT ${path}?${query} HTTP/1.1`, sent)
    const [answer] = await talk(wire, Buffer.concat([head, Buffer.from('hello')]))
    return answer!
  }
  const fine = presign({ method: 'PUT', path, headers, query: { 'x-amz-meta-a': 'grün\n' } })
  t.equal((await send(fine)).status, 200)
  const got = await both(t, wire, { path })
  t.equal(got.headers['x-amz-meta-a'], '=?UTF-8?B?Z3LDvG4=?=')
  const bad = [
    { 'x-amz-meta-a\r\nb': 'c' },
    { 'x-amz-meta-ä': 'c' },
    { 'x-amz-meta-a b': 'c' },
    { 'x-amz-website-redirect-location': '/a\r\nset-cookie: b' },
  ]
  for (const query of bad as Record<string, string>[]) {
    const answer = await send(presign({ method: 'PUT', path, headers, query }))
    wantError(t, answer, 400, 'InvalidArgument', {}, JSON.stringify(query))
    t.equal((await both(t, wire, { path })).status, 200, 'it can still be read')
  }
  const contentType = 'text/plain\r\nset-cookie: b'
  const v2 = presignV2({ method: 'PUT', resource: path, contentType })
  const answer = await send(`${v2}&Content-Type=${strictEncode(contentType)}`)
  wantError(t, answer, 400, 'InvalidArgument', {}, 'Content-Type as a parameter')
  t.equal(elementOf(answer, 'ArgumentName'), 'content-type')
  t.equal((await both(t, wire, { path })).status, 200)
}
