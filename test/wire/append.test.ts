// PUT with x-amz-write-offset-bytes: an object grows at its end, and only there.
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { type Answer, ask, BUCKET, listed, put, type Wire, wantError, withWire } from './wire.ts'

t.test('appends', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('an object grows', async (t) => grows(t, wire))
    await t.test('only at its end', async (t) => offsets(t, wire))
    await t.test('conditions', async (t) => conditions(t, wire))
    await t.test('what the first write said stays', async (t) => attributes(t, wire))
    await t.test('one of several at once', async (t) => races(t, wire))
    await t.test('SSE-C', async (t) => customerKeys(t, wire))
    await t.test('other operations know no offset', async (t) => elsewhere(t, wire))
    await t.test('a bucket that keeps versions', async (t) => versions(t, wire))
  })
})

function append(
  wire: Wire,
  key: string,
  offset: number | string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return ask(wire, {
    ...{ method: 'PUT', path: `/${BUCKET}/${key}`, body },
    headers: { 'x-amz-write-offset-bytes': String(offset), ...headers },
  })
}

async function read(
  wire: Wire,
  key: string,
  headers: Record<string, string> = {},
): Promise<string> {
  return (await ask(wire, { path: `/${BUCKET}/${key}`, headers })).text
}

async function grows(t: Test, wire: Wire): Promise<void> {
  let whole = ''
  const etags = new Set<string>()
  for (const part of ['one ', 'two ', 'three ', 'x'.repeat(200_000), ' end']) {
    const answer = await append(wire, 'log', whole.length, part)
    t.equal(answer.status, 200, answer.text)
    whole += part
    t.equal(answer.headers['x-amz-object-size'], String(whole.length))
    etags.add(answer.headers.etag!)
    t.equal(await read(wire, 'log'), whole)
  }
  t.equal(etags.size, 5, 'each state has an ETag of its own')
  t.equal(await read(wire, 'log', { range: 'bytes=2-9' }), whole.slice(2, 10))
  await put(wire, `/${BUCKET}/plain`, 'a PUT')
  t.equal((await append(wire, 'plain', 5, ' and more')).status, 200, 'an object of a PUT grows too')
  t.equal(await read(wire, 'plain'), 'a PUT and more')
  await put(wire, `/${BUCKET}/plain`, 'replaced')
  t.equal(await read(wire, 'plain'), 'replaced', 'and is replaced by the next')
}

async function offsets(t: Test, wire: Wire): Promise<void> {
  await put(wire, `/${BUCKET}/five`, 'hello')
  const Message =
    'The write offset value that you specified does not match the current object size.'
  for (const offset of [0, 4, 6, 999_999_999]) {
    const answer = await append(wire, 'five', offset, 'x')
    wantError(t, answer, 400, 'InvalidWriteOffset', { Message }, String(offset))
  }
  wantError(t, await append(wire, 'missing', 1, 'x'), 400, 'InvalidWriteOffset')
  for (const offset of ['-1', 'five', '1.5', '0x1']) {
    const answer = await append(wire, 'five', offset, 'x')
    const name = 'x-amz-write-offset-bytes'
    wantError(t, answer, 400, 'InvalidArgument', { ArgumentName: name, ArgumentValue: offset })
  }
  const wrong = { 'x-amz-checksum-crc32': 'AAAAAA==' }
  wantError(t, await append(wire, 'five', 5, 'x', wrong), 400, 'BadDigest')
  t.equal(await read(wire, 'five'), 'hello')
  t.notOk((await listed(wire)).includes('missing'))
}

async function conditions(t: Test, wire: Wire): Promise<void> {
  const { headers } = await put(wire, `/${BUCKET}/if`, 'a')
  const other = await append(wire, 'if', 1, 'b', { 'if-match': '"other"' })
  wantError(t, other, 412, 'PreconditionFailed', { Condition: 'If-Match' })
  const none = await append(wire, 'if', 1, 'b', { 'if-none-match': '*' })
  wantError(t, none, 412, 'PreconditionFailed', { Condition: 'If-None-Match' })
  const missing = await append(wire, 'nothing', 0, 'b', { 'if-match': '*' })
  wantError(t, missing, 404, 'NoSuchKey')
  t.equal((await append(wire, 'if', 1, 'b', { 'if-match': headers.etag! })).status, 200)
  t.equal((await append(wire, 'fresh', 0, 'b', { 'if-none-match': '*' })).status, 200)
  t.equal(await read(wire, 'if'), 'ab')
}

async function attributes(t: Test, wire: Wire): Promise<void> {
  const first = { 'content-type': 'text/csv', 'x-amz-meta-a': '1', 'x-amz-tagging': 'k=v' }
  t.equal((await append(wire, 'csv', 0, 'a,b\n', first)).status, 200)
  t.equal((await append(wire, 'csv', 4, '1,2\n', { 'content-type': 'text/plain' })).status, 200)
  const { headers, text } = await ask(wire, { path: `/${BUCKET}/csv` })
  t.equal(text, 'a,b\n1,2\n')
  t.match(headers, { 'content-type': 'text/csv', 'x-amz-meta-a': '1', 'x-amz-tagging-count': '1' })
  for (const name of ['x-amz-meta-a', 'x-amz-tagging']) {
    const answer = await append(wire, 'csv', 8, 'x', { [name]: 'a=2' })
    wantError(t, answer, 501, 'NotImplemented', { Header: name })
  }
}

async function races(t: Test, wire: Wire): Promise<void> {
  await put(wire, `/${BUCKET}/race`, '')
  const writers = Array.from({ length: 8 }, (_, index) => String(index))
  const answers = await Promise.all(writers.map((writer) => append(wire, 'race', 0, writer)))
  const won = writers.filter((_, index) => answers[index]?.status === 200)
  t.equal(won.length, 1)
  t.equal(await read(wire, 'race'), won[0])
  for (const { status, text } of answers) {
    if (status !== 200) t.match(text, /ConditionalRequestConflict|InvalidWriteOffset/)
  }
}

/** The headers of SSE-C with a key of this byte. */
function sealedWith(byte: number): Record<string, string> {
  const key = Buffer.alloc(32, byte)
  const prefix = 'x-amz-server-side-encryption-customer'
  return {
    [`${prefix}-algorithm`]: 'AES256',
    [`${prefix}-key`]: key.toString('base64'),
    [`${prefix}-key-md5`]: createHash('md5').update(key).digest('base64'),
  }
}

async function customerKeys(t: Test, wire: Wire): Promise<void> {
  const right = sealedWith(1)
  t.equal((await append(wire, 'sealed', 0, 'secret', right)).status, 200)
  wantError(t, await append(wire, 'sealed', 6, '!'), 400, 'EncryptionTypeMismatch')
  wantError(t, await append(wire, 'sealed', 6, '!', sealedWith(2)), 400, 'EncryptionTypeMismatch')
  t.equal((await append(wire, 'sealed', 6, '!', right)).status, 200)
  t.equal(await read(wire, 'sealed', right), 'secret!')
  await put(wire, `/${BUCKET}/open`, 'a')
  wantError(t, await append(wire, 'open', 1, 'b', right), 400, 'EncryptionTypeMismatch')
}

async function elsewhere(t: Test, wire: Wire): Promise<void> {
  const headers = { 'x-amz-write-offset-bytes': '0' }
  const path = `/${BUCKET}/else`
  const created = await ask(wire, { method: 'POST', path, query: { uploads: '' }, headers })
  wantError(t, created, 501, 'NotImplemented', { Header: 'x-amz-write-offset-bytes' })
  const source = { ...headers, 'x-amz-copy-source': `/${BUCKET}/five` }
  const copied = await ask(wire, { method: 'PUT', path, headers: source })
  wantError(t, copied, 501, 'NotImplemented', { Header: 'x-amz-write-offset-bytes' })
}

async function versions(t: Test, wire: Wire): Promise<void> {
  const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  const path = `/${BUCKET}/versioned`
  const first = await put(wire, path, 'old')
  await ask(wire, { method: 'PUT', path: `/${BUCKET}`, query: { versioning: '' }, body })
  const answer = await append(wire, 'versioned', 3, ' and new')
  t.equal(answer.status, 200, answer.text)
  t.equal(answer.headers['x-amz-object-size'], '11')
  t.equal(await read(wire, 'versioned'), 'old and new')
  const old = await ask(wire, { path, query: { versionId: 'null' } })
  t.equal(old.text, 'old', 'the version before stays')
  t.equal(old.headers.etag, first.headers.etag)
}
