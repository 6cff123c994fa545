// Conditions over the wire: of reads in their order of precedence, of writes and deletes decided at the commit (60 to 69).
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { presign, presignV2 } from './signing.ts'
import { beginUpload, completeUpload, uploadPart } from './uploads.ts'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  composeHead,
  elementOf,
  elementsOf,
  listed,
  put,
  talk,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/target`
const SOURCE = `/${BUCKET}/source`
const OTHER_ETAG = '"00000000000000000000000000000000"'
const LONG_AGO = 'Sat, 01 Jan 2000 00:00:00 GMT'

t.test('conditions', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await put(wire, SOURCE, 'hello', { 'cache-control': 'no-cache', expires: 'never' })
    await t.test('pitfall 60: the order in which conditions of reads are asked', async (t) =>
      precedence(t, wire),
    )
    await t.test('pitfall 61: what a 304 and a 412 say', async (t) => answers(t, wire))
    await t.test('pitfall 62: forms of ETags and dates', async (t) => forms(t, wire))
    await t.test('pitfall 63: conditions on the source of a copy fail as 412', async (t) =>
      sources(t, wire),
    )
    await t.test('pitfall 64: conditional PUT, Copy and Complete', async (t) => writes(t, wire))
    await t.test('pitfall 65: If-None-Match with an ETag; both headers are 501', async (t) =>
      etagsToAvoid(t, wire),
    )
    await t.test('pitfall 66: a delete marker counts as absent', async (t) => markers(t, wire))
    await t.test('pitfall 67: of racing writers exactly one wins', async (t) => races(t, wire))
    await t.test('pitfall 68: conditional DELETE', async (t) => deletes(t, wire))
    await t.test('pitfall 69: what is not understood is 501', async (t) => unknown(t, wire))
    await t.test('conditions in presigned URLs', async (t) => presigned(t, wire))
  })
})

t.test('conditions, strict', { timeout: 60_000 }, async (t) => {
  await withWire(t, { options: ['--strict-s3'] }, async (wire) => {
    await t.test('pitfall 65: strict knows If-None-Match: * only', async (t) => {
      const { headers } = await put(wire, PATH)
      const etag = headers.etag!
      const avoid = await write(wire, { 'if-none-match': OTHER_ETAG })
      wantError(t, avoid, 501, 'NotImplemented', { Header: 'If-None-Match' })
      wantError(t, await write(wire, { 'if-none-match': '*' }), 412, 'PreconditionFailed')
      t.equal((await write(wire, { 'if-match': etag })).status, 200)
    })
    await t.test('strict knows If-Match: * of deletes only', async (t) => {
      await put(wire, PATH)
      const copy = { 'x-amz-copy-source': PATH, 'x-amz-metadata-directive': 'REPLACE' }
      for (const source of [{}, copy]) {
        const any = await write(wire, { 'if-match': '*', ...source }, '')
        wantError(t, any, 501, 'NotImplemented', { Header: 'If-Match' })
      }
      t.equal((await remove(wire, { 'if-match': '*' })).status, 204)
    })
    await t.test('pitfall 68: strict tells that there is nothing to delete', async (t) => {
      const gone = { method: 'DELETE', path: `/${BUCKET}/gone` }
      const any = await ask(wire, { ...gone, headers: { 'if-match': '*' } })
      wantError(t, any, 412, 'PreconditionFailed', { Condition: 'If-Match' })
      const some = await ask(wire, { ...gone, headers: { 'if-match': OTHER_ETAG } })
      wantError(t, some, 404, 'NoSuchKey', { Key: 'gone' })
      t.equal((await ask(wire, gone)).status, 204, 'without a condition')
    })
  })
})

/** Parameters under a signature of Version 4 are conditions, in any case. */
async function presigned(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/presigned`
  const headers: [string, string][] = [['host', wire.host]]
  const send = async (method: string, query: string): Promise<Answer> => {
    const sent: [string, string][] = [...headers, ['connection', 'close']]
    if (method === 'PUT') sent.push(['content-length', '0'])
    const [answer] = await talk(wire, composeHead(`${method} ${path}?${query} HTTP/1.1`, sent))
    return answer!
  }
  const by = (method: string, query: Record<string, string>): Promise<Answer> =>
    send(method, presign({ method, path, headers, query }))
  const created = await by('PUT', { 'If-None-Match': '*' })
  t.equal(created.status, 200, 'it is new')
  const { etag = '' } = created.headers
  const failed = { Condition: 'If-None-Match' }
  const again = await by('PUT', { 'if-none-match': '*' })
  wantError(t, again, 412, 'PreconditionFailed', failed)
  t.equal((await by('PUT', { 'If-Match': etag })).status, 200)
  const other = await by('PUT', { 'If-Match': OTHER_ETAG })
  wantError(t, other, 412, 'PreconditionFailed', { Condition: 'If-Match' })
  t.equal((await by('GET', { 'If-None-Match': etag })).status, 304, 'GET')
  wantError(t, await by('GET', { 'If-Match': OTHER_ETAG }), 412, 'PreconditionFailed')
  const v2 = `${presignV2({ method: 'PUT', resource: path })}&If-None-Match=*`
  wantError(t, await send('PUT', v2), 501, 'NotImplemented', {}, 'Version 2 does not sign it')
  const query = { 'if-none-match': '*' }
  const plain = await ask(wire, { method: 'PUT', path, query, body: '' })
  wantError(t, plain, 501, 'NotImplemented', {}, 'a signer of headers has headers')
}

/** GET and HEAD, which must agree. */
async function read(t: Test, wire: Wire, headers: Record<string, string>): Promise<Answer> {
  const [got, head] = await Promise.all([
    ask(wire, { path: SOURCE, headers }),
    ask(wire, { method: 'HEAD', path: SOURCE, headers }),
  ])
  t.equal(head.status, got.status, `HEAD as GET: ${JSON.stringify(headers)}`)
  t.equal(head.body.length, 0)
  return got
}

function write(wire: Wire, headers: Record<string, string>, body = 'new'): Promise<Answer> {
  return ask(wire, { method: 'PUT', path: PATH, body, headers })
}

function remove(wire: Wire, headers: Record<string, string> = {}, path = PATH): Promise<Answer> {
  return ask(wire, { method: 'DELETE', path, headers })
}

function httpDate(ms: number): string {
  return new Date(ms).toUTCString()
}

async function precedence(t: Test, wire: Wire): Promise<void> {
  const { headers } = await ask(wire, { method: 'HEAD', path: SOURCE })
  const etag = headers.etag!
  const same = headers['last-modified']!
  const before = httpDate(Date.parse(same) - 5000)
  const rows: [headers: Record<string, string>, status: number, condition?: string][] = [
    [{ 'if-match': OTHER_ETAG }, 412, 'If-Match'],
    [{ 'if-match': etag, 'if-unmodified-since': before }, 200],
    [{ 'if-match': OTHER_ETAG, 'if-unmodified-since': same }, 412, 'If-Match'],
    [{ 'if-unmodified-since': before }, 412, 'If-Unmodified-Since'],
    [{ 'if-unmodified-since': same }, 200],
    [{ 'if-none-match': etag }, 304],
    [{ 'if-none-match': OTHER_ETAG, 'if-modified-since': same }, 200],
    [{ 'if-none-match': etag, 'if-modified-since': before }, 304],
    [{ 'if-none-match': etag, 'if-unmodified-since': before }, 412, 'If-Unmodified-Since'],
    [{ 'if-modified-since': same }, 304],
    [{ 'if-modified-since': before }, 200],
    [{ 'if-modified-since': same, 'if-unmodified-since': before }, 412, 'If-Unmodified-Since'],
    [{ 'if-match': etag, 'if-none-match': etag }, 304],
  ]
  for (const [asked, status, condition] of rows) {
    const answer = await read(t, wire, asked)
    t.equal(answer.status, status, JSON.stringify(asked))
    if (condition !== undefined)
      wantError(t, answer, 412, 'PreconditionFailed', { Condition: condition })
  }
}

async function answers(t: Test, wire: Wire): Promise<void> {
  const { headers } = await ask(wire, { method: 'HEAD', path: SOURCE })
  const unmodified = await read(t, wire, { 'if-none-match': headers.etag! })
  t.equal(unmodified.body.length, 0)
  for (const name of ['etag', 'last-modified', 'cache-control', 'expires'])
    t.equal(unmodified.headers[name], headers[name], name)
  t.notOk(unmodified.headers['content-length'], 'a 304 has no length of its own')
  const failed = await read(t, wire, { 'if-match': OTHER_ETAG })
  wantError(t, failed, 412, 'PreconditionFailed', { Condition: 'If-Match' })
}

async function forms(t: Test, wire: Wire): Promise<void> {
  const { headers } = await ask(wire, { method: 'HEAD', path: SOURCE })
  const bare = headers.etag!.replaceAll('"', '')
  for (const list of [bare, `"${bare}"`, '*', `"x", "${bare}"`, `x,${bare}`]) {
    t.equal((await read(t, wire, { 'if-match': list })).status, 200, `If-Match: ${list}`)
    t.equal((await read(t, wire, { 'if-none-match': list })).status, 304, `If-None-Match: ${list}`)
  }
  t.equal((await read(t, wire, { 'if-none-match': `W/"${bare}"` })).status, 304, 'weak')
  t.equal((await read(t, wire, { 'if-match': `W/"${bare}"` })).status, 412, 'weak is not the same')
  const ignored = [httpDate(Date.now() + 3_600_000), 'yesterday', '']
  for (const date of ignored)
    t.equal((await read(t, wire, { 'if-modified-since': date })).status, 200, `'${date}'`)
}

async function sources(t: Test, wire: Wire): Promise<void> {
  const { headers } = await ask(wire, { method: 'HEAD', path: SOURCE })
  const etag = headers.etag!
  const same = headers['last-modified']!
  const before = httpDate(Date.parse(same) - 5000)
  const upload = await beginUpload(wire, PATH)
  const { uploadId } = upload
  const kinds: Ask[] = [
    { method: 'PUT', path: PATH },
    { method: 'PUT', path: PATH, query: { partNumber: '1', uploadId } },
  ]
  const rows: [headers: Record<string, string>, condition: string | undefined][] = [
    [{ 'if-match': OTHER_ETAG }, 'If-Match'],
    [{ 'if-match': etag, 'if-unmodified-since': before }, undefined],
    [{ 'if-none-match': etag }, 'If-None-Match'],
    [{ 'if-none-match': etag, 'if-modified-since': before }, 'If-None-Match'],
    [{ 'if-modified-since': same }, 'If-Modified-Since'],
    [{ 'if-modified-since': before }, undefined],
    [{ 'if-unmodified-since': before }, 'If-Unmodified-Since'],
  ]
  for (const wanted of kinds) {
    for (const [conditions, failing] of rows) {
      const prefixed = Object.entries(conditions).map(([name, value]) => [
        `x-amz-copy-source-${name}`,
        value,
      ])
      const asked = { 'x-amz-copy-source': SOURCE, ...Object.fromEntries(prefixed) }
      const answer = await ask(wire, { ...wanted, headers: asked })
      const name = JSON.stringify(conditions)
      if (failing === undefined) t.equal(answer.status, 200, name)
      else {
        const elements = { Condition: `x-amz-copy-source-${failing}` }
        wantError(t, answer, 412, 'PreconditionFailed', elements, name)
      }
    }
  }
  await remove(wire, {}, PATH)
  t.equal((await ask(wire, { method: 'DELETE', path: PATH, query: { uploadId } })).status, 204)
}

async function writes(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, PATH)
  const part = await uploadPart(upload, 1, 'part')
  const parts = [{ number: 1, etag: part.headers.etag! }]
  const copy = { 'x-amz-copy-source': SOURCE }
  const kinds: ((headers: Record<string, string>) => Promise<Answer>)[] = [
    (headers) => write(wire, headers),
    (headers) => ask(wire, { method: 'PUT', path: PATH, headers: { ...copy, ...headers } }),
    (headers) => completeUpload(upload, parts, headers),
  ]
  for (const send of kinds)
    wantError(t, await send({ 'if-match': '*' }), 404, 'NoSuchKey', { Key: 'target' }, 'on nothing')
  const { etag } = (await write(wire, { 'if-none-match': '*' }, 'first')).headers
  for (const send of kinds) {
    const exists = await send({ 'if-none-match': '*' })
    wantError(t, exists, 412, 'PreconditionFailed', { Condition: 'If-None-Match' })
    for (const list of [OTHER_ETAG, '', '""'])
      wantError(t, await send({ 'if-match': list }), 412, 'PreconditionFailed', {
        Condition: 'If-Match',
      })
  }
  t.equal((await ask(wire, { path: PATH })).text, 'first', 'nothing was written')
  let current = etag!
  for (const send of kinds) {
    const done = await send({ 'if-match': current })
    t.equal(done.status, 200)
    current = done.headers.etag ?? elementOf(done, 'ETag')!
  }
  t.equal((await ask(wire, { path: PATH })).text, 'part')
  await remove(wire)
}

async function etagsToAvoid(t: Test, wire: Wire): Promise<void> {
  const { headers } = await put(wire, PATH, 'first')
  const etag = headers.etag!
  wantError(t, await write(wire, { 'if-none-match': etag }), 412, 'PreconditionFailed')
  wantError(t, await write(wire, { 'if-none-match': `W/${etag}` }), 412, 'PreconditionFailed')
  t.equal((await write(wire, { 'if-none-match': OTHER_ETAG })).status, 200)
  const both = await write(wire, { 'if-match': '*', 'if-none-match': OTHER_ETAG })
  wantError(t, both, 501, 'NotImplemented', { Header: 'If-Match,If-None-Match' })
  await remove(wire)
}

async function markers(t: Test, wire: Wire): Promise<void> {
  const path = '/marked/k'
  t.equal((await ask(wire, { method: 'PUT', path: '/marked' })).status, 200)
  const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await ask(wire, { method: 'PUT', path: '/marked', query: { versioning: '' }, body })
  await put(wire, path, 'first')
  await remove(wire, {}, path)
  const onlyOver = await ask(wire, { method: 'PUT', path, body: 'x', headers: { 'if-match': '*' } })
  wantError(t, onlyOver, 404, 'NoSuchKey', { Key: 'k' })
  const nothing = await remove(wire, { 'if-match': '*' }, path)
  t.equal(nothing.status, 204)
  t.notOk(nothing.headers['x-amz-version-id'], 'no second marker')
  const modified = 'x-amz-if-match-last-modified-time'
  const size = 'x-amz-if-match-size'
  const conditions: [name: string, value: string, condition: string][] = [
    ['if-match', OTHER_ETAG, 'If-Match'],
    [modified, LONG_AGO, modified],
    [size, '5', size],
  ]
  for (const [name, value, condition] of conditions) {
    const hidden = await remove(wire, { [name]: value }, path)
    wantError(t, hidden, 412, 'PreconditionFailed', { Condition: condition }, name)
  }
  await put(wire, path, 'second', { 'if-none-match': '*' })
  t.equal((await ask(wire, { path })).text, 'second')
}

async function races(t: Test, wire: Wire): Promise<void> {
  const many = (headers: Record<string, string>, body: string) =>
    Promise.all(Array.from({ length: 20 }, (_, index) => write(wire, headers, `${body} ${index}`)))
  const wins = (answers: Answer[]) => answers.filter(({ status }) => status === 200)
  const created = await many({ 'if-none-match': '*' }, 'create')
  t.equal(wins(created).length, 1, 'one creator of many')
  const swapped = await many({ 'if-match': wins(created)[0]!.headers.etag! }, 'swap')
  t.equal(wins(swapped).length, 1, 'one swap of many')
  for (const { status } of [...created, ...swapped])
    t.ok([200, 409, 412].includes(status), String(status))
  await remove(wire)
}

async function deletes(t: Test, wire: Wire): Promise<void> {
  const { headers } = await put(wire, PATH, 'first')
  const etag = headers.etag!
  const head = await ask(wire, { method: 'HEAD', path: PATH })
  const modified = head.headers['last-modified']!
  const time = 'x-amz-if-match-last-modified-time'
  const size = 'x-amz-if-match-size'
  const failing: [headers: Record<string, string>, condition: string][] = [
    [{ 'if-match': OTHER_ETAG }, 'If-Match'],
    [{ 'if-none-match': etag }, 'If-None-Match'],
    [{ [time]: LONG_AGO }, time],
    [{ [size]: '4' }, size],
    [{ 'if-match': etag, [time]: modified, [size]: '6' }, size],
  ]
  for (const [conditions, condition] of failing) {
    const elements = { Condition: condition }
    wantError(t, await remove(wire, conditions), 412, 'PreconditionFailed', elements, condition)
  }
  for (const wrong of [{ [time]: 'then' }, { [size]: 'long' }])
    wantError(t, await remove(wire, wrong), 400, 'InvalidArgument')
  t.ok((await listed(wire)).includes('target'))
  t.equal((await remove(wire, { 'if-match': etag, [time]: modified, [size]: '5' })).status, 204)
  t.notOk((await listed(wire)).includes('target'))
  for (const conditions of [{ 'if-match': '*' }, { 'if-match': etag }, { [size]: '5' }])
    t.equal((await remove(wire, conditions)).status, 204, 'nothing to delete')
  await deleteMany(t, wire)
}

async function deleteMany(t: Test, wire: Wire): Promise<void> {
  for (const key of ['a', 'b', 'c']) await put(wire, `/${BUCKET}/many/${key}`, key)
  const page = await ask(wire, { path: `/${BUCKET}`, query: { prefix: 'many/' } })
  const [etag] = elementsOf(page, 'ETag')
  const [modified] = elementsOf(page, 'LastModified')
  const item = (key: string, more: string) => `<Object><Key>many/${key}</Key>${more}</Object>`
  const conditions = (size: string) =>
    `<ETag>${etag}</ETag><LastModifiedTime>${modified}</LastModifiedTime><Size>${size}</Size>`
  const body = `<Delete>${item('a', conditions('1'))}${item('b', '<Size>2</Size>')}${item(
    'c',
    `<LastModifiedTime>${LONG_AGO}</LastModifiedTime>`,
  )}${item('gone', '<Size>1</Size>')}</Delete>`
  const headers = { 'content-md5': createHash('md5').update(body).digest('base64') }
  const query = { delete: '' }
  const answer = await ask(wire, { method: 'POST', path: `/${BUCKET}`, query, body, headers })
  t.same(elementsOf(answer, 'Code'), ['PreconditionFailed', 'PreconditionFailed'])
  t.same(await listed(wire, 'many/'), ['many/b', 'many/c'])
}

async function unknown(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH, 'first')
  const upload = await beginUpload(wire, PATH)
  const { uploadId } = upload
  const putPart = { partNumber: '1', uploadId }
  const rows: [wanted: Ask, header: string, value: string][] = [
    [{ method: 'PUT' }, 'if-modified-since', LONG_AGO],
    [{ method: 'PUT' }, 'if-unmodified-since', LONG_AGO],
    [{ method: 'PUT' }, 'x-amz-if-match-size', '5'],
    [{ method: 'PUT' }, 'x-amz-if-match-last-modified-time', LONG_AGO],
    [{ method: 'DELETE' }, 'if-unmodified-since', LONG_AGO],
    [{ method: 'DELETE' }, 'x-amz-if-match-initiated-time', LONG_AGO],
    [{ method: 'POST', query: { uploads: '' } }, 'If-Match', '*'],
    [{ method: 'POST', query: { uploads: '' } }, 'If-None-Match', '*'],
    [{ method: 'PUT', query: putPart }, 'If-Match', '*'],
    [{ method: 'PUT', query: putPart }, 'If-None-Match', '*'],
    [{ method: 'DELETE', query: { uploadId } }, 'if-match', '*'],
  ]
  for (const [wanted, header, value] of rows) {
    const body = wanted.method === 'PUT' ? { body: 'x' } : {}
    const headers = { [header.toLowerCase()]: value }
    const answer = await ask(wire, { path: PATH, ...wanted, ...body, headers })
    t.equal(elementOf(answer, 'Header')?.toLowerCase(), header.toLowerCase())
    wantError(t, answer, 501, 'NotImplemented', {}, `${wanted.method} with ${header}`)
  }
  t.equal((await ask(wire, { path: PATH })).text, 'first')
  const abort = (date: string) =>
    ask(wire, {
      ...{ method: 'DELETE', path: PATH, query: { uploadId } },
      headers: { 'x-amz-if-match-initiated-time': date },
    })
  const other = await abort(LONG_AGO)
  const elements = { Condition: 'x-amz-if-match-initiated-time' }
  wantError(t, other, 412, 'PreconditionFailed', elements)
  const uploads = await ask(wire, { path: `/${BUCKET}`, query: { uploads: '' } })
  t.equal((await abort(httpDate(Date.parse(elementOf(uploads, 'Initiated')!)))).status, 204)
}
