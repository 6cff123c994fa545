// Copies, in the answers that clients decide upon (76, 97 to 100).
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { beginUpload, completeUpload } from './uploads.ts'
import {
  type Answer,
  ask,
  BUCKET,
  elementOf,
  elementsOf,
  listed,
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/target`
const SOURCE = `/${BUCKET}/source`

t.test('copies', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 76: ranges of parts that are copied', async (t) => copiedParts(t, wire))
    await t.test('pitfall 97: how a source is written', async (t) => sources(t, wire))
    await t.test('pitfall 98: a copy onto itself changes something', async (t) =>
      ontoItself(t, wire),
    )
    await t.test('pitfall 99: what a copy takes from its source', async (t) => copies(t, wire))
    await t.test(
      'pitfall 100: answers that may take long begin with their declaration',
      async (t) => declarations(t, wire),
    )
  })
})

function copy(wire: Wire, headers: Record<string, string> = {}, path = PATH): Promise<Answer> {
  return ask(wire, { method: 'PUT', path, headers: { 'x-amz-copy-source': SOURCE, ...headers } })
}

function head(wire: Wire, path = PATH): Promise<Answer> {
  return ask(wire, { method: 'HEAD', path })
}

function putSource(wire: Wire): Promise<Answer> {
  return put(wire, SOURCE, 'hello', {
    'content-type': 'text/plain',
    'x-amz-meta-a': 'b',
    'x-amz-tagging': 'color=red&size=big',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-website-redirect-location': '/x',
  })
}

async function sources(t: Test, wire: Wire): Promise<void> {
  const stored = await putSource(wire)
  await put(wire, `/${BUCKET}/odd%3FversionId%3Dnull%2B%20`, 'odd')
  const forms: [source: string, etag: string][] = [
    [SOURCE, stored.headers.etag!],
    [SOURCE.slice(1), stored.headers.etag!],
    [`${SOURCE}?versionId=null`, stored.headers.etag!],
    [`/${BUCKET}/%73ource`, stored.headers.etag!],
    [`/${BUCKET}/odd%3FversionId%3Dnull%2B%20`, `"${md5('odd')}"`],
    [`/${BUCKET}/odd%3FversionId%3Dnull%2B+`, `"${md5('odd')}"`],
  ]
  for (const [source, etag] of forms) {
    const answer = await copy(wire, { 'x-amz-copy-source': source })
    t.equal(elementOf(answer, 'ETag'), etag, source)
    t.match(elementOf(answer, 'LastModified'), /^\d{4}-.*\.000Z$/)
  }
  const refused: [source: string, status: number, code: string, message?: string][] = [
    ['', 400, 'InvalidArgument'],
    ['/', 400, 'InvalidArgument', 'Invalid copy source bucket name'],
    [BUCKET, 400, 'InvalidArgument', 'Invalid copy source object key'],
    [`${SOURCE}%zz`, 400, 'InvalidArgument', 'Invalid copy source encoding'],
    [`/${BUCKET}/missing`, 404, 'NoSuchKey'],
    [`/${BUCKET}/../source`, 404, 'NoSuchKey'],
    [`/${BUCKET}/so%00urce`, 404, 'NoSuchKey'],
    ['/no-such-bucket/source', 404, 'NoSuchBucket'],
    [`${SOURCE}?versionId=3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY`, 404, 'NoSuchVersion'],
    ['192.168.1.1/source', 400, 'InvalidArgument', 'Invalid copy source bucket name'],
    [`${SOURCE}?versionId=a/b`, 400, 'InvalidArgument'],
  ]
  for (const [source, status, code, message] of refused) {
    const elements = message === undefined ? {} : { Message: message }
    const answer = await copy(wire, { 'x-amz-copy-source': source })
    wantError(t, answer, status, code, elements, source)
  }
  await ask(wire, { method: 'DELETE', path: `/${BUCKET}/odd%3FversionId%3Dnull%2B%20` })
  t.same(await listed(wire), ['source', 'target'])
}

async function ontoItself(t: Test, wire: Wire): Promise<void> {
  await putSource(wire)
  const message = /^This copy request is illegal because/
  const refused = await copy(wire, {}, SOURCE)
  wantError(t, refused, 400, 'InvalidRequest')
  t.match(elementOf(refused, 'Message'), message)
  const changes: Record<string, string>[] = [
    { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-c': 'd' },
    { 'x-amz-storage-class': 'GLACIER' },
    { 'x-amz-website-redirect-location': '/y' },
    { 'x-amz-copy-source': `${SOURCE}?versionId=null` },
  ]
  for (const change of changes)
    t.equal((await copy(wire, change, SOURCE)).status, 200, JSON.stringify(change))
  t.equal((await ask(wire, { path: SOURCE })).text, 'hello', 'it outlives its copies onto itself')
  const range = await copy(wire, { 'x-amz-copy-source-range': 'bytes=0-1' })
  wantError(t, range, 501, 'NotImplemented', { Header: 'x-amz-copy-source-range' })
  const part = await copy(wire, { range: 'bytes=0-1' })
  const Message = 'RANGE is not supported in Copy!'
  const elements = { Message, ArgumentName: 'Range', ArgumentValue: 'bytes=0-1' }
  wantError(t, part, 400, 'InvalidArgument', elements)
  const headers = { 'x-amz-copy-source': SOURCE }
  const withBody = await ask(wire, {
    method: 'PUT',
    path: `${SOURCE}-body`,
    headers,
    body: 'hello',
  })
  wantError(t, withBody, 400, 'InvalidRequest')
  t.equal((await ask(wire, { path: `${SOURCE}-body` })).status, 404)
  for (const what of ['metadata', 'tagging']) {
    const merge = await copy(wire, { [`x-amz-${what}-directive`]: 'MERGE' })
    wantError(t, merge, 400, 'InvalidArgument', { ArgumentValue: 'MERGE' }, what)
  }
}

async function copies(t: Test, wire: Wire): Promise<void> {
  await putSource(wire)
  const tags = async () => {
    const answer = await ask(wire, { path: PATH, query: { tagging: '' } })
    return elementsOf(answer, 'Value')
  }
  t.equal((await copy(wire)).status, 200)
  const kept = (await head(wire)).headers
  t.equal(`${kept['content-type']} ${kept['x-amz-meta-a']}`, 'text/plain b', 'COPY keeps')
  t.notOk(kept['x-amz-website-redirect-location'], 'but never the redirect')
  t.notOk(kept['x-amz-storage-class'], 'nor the storage class')
  t.same(await tags(), ['red', 'big'])
  const replace = { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-c': 'd' }
  t.equal((await copy(wire, replace)).status, 200)
  const replaced = (await head(wire)).headers
  t.notOk(replaced['x-amz-meta-a'], 'REPLACE replaces all')
  t.equal(`${replaced['content-type']} ${replaced['x-amz-meta-c']}`, 'binary/octet-stream d')
  t.same(await tags(), ['red', 'big'], 'tags have a directive of their own')
  const blue = { 'x-amz-tagging-directive': 'REPLACE', 'x-amz-tagging': 'color=blue' }
  t.equal((await copy(wire, blue)).status, 200)
  t.same(await tags(), ['blue'])
  t.equal((await head(wire)).headers['x-amz-meta-a'], 'b')
  const lost = await copy(wire, { 'x-amz-tagging': 'a=b' })
  wantError(t, lost, 400, 'InvalidRequest', {}, 'tags that would be dropped')
  const none = await copy(wire, { 'x-amz-tagging-directive': 'REPLACE' })
  t.same(elementsOf(none, 'ChecksumCRC64NVME').length, 1, 'the algorithm of the source')
  t.same(await tags(), [])
  const other = await copy(wire, { 'x-amz-checksum-algorithm': 'SHA256' })
  const sha256 = createHash('sha256').update('hello').digest('base64')
  t.equal(elementOf(other, 'ChecksumSHA256'), sha256, 'or the one asked for')
}

async function declarations(t: Test, wire: Wire): Promise<void> {
  await putSource(wire)
  const upload = await beginUpload(wire, PATH)
  const { uploadId } = upload
  const copied = await copy(wire)
  const query = { partNumber: '1', uploadId }
  const headers = { 'x-amz-copy-source': SOURCE }
  const part = await ask(wire, { method: 'PUT', path: PATH, query, headers })
  const done = await completeUpload(upload, [{ number: 1, etag: elementOf(part, 'ETag')! }])
  for (const { status, text } of [copied, part, done]) {
    t.equal(status, 200)
    t.ok(text.startsWith('<?xml version="1.0" encoding="UTF-8"?>\n<'), 'nothing before it')
  }
  const soon = await copy(wire, { 'x-amz-copy-source': `/${BUCKET}/missing` })
  wantError(t, soon, 404, 'NoSuchKey', {}, 'what is known soon has its own status')
}

function md5(bytes: string | Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

async function copiedParts(t: Test, wire: Wire): Promise<void> {
  await putSource(wire)
  const upload = await beginUpload(wire, PATH)
  const query = { partNumber: '1', uploadId: upload.uploadId }
  const copyPart = (more: Record<string, string>): Promise<Answer> => {
    const headers = { 'x-amz-copy-source': SOURCE, ...more }
    return ask(wire, { method: 'PUT', path: PATH, query, headers })
  }
  const malformed = ['bytes=3-1', 'bytes=0-', 'bytes=-2', '0-1', 'bytes=0-1,2-3', 'lines=0-1']
  const form =
    'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy'
  for (const range of malformed) {
    const answer = await copyPart({ 'x-amz-copy-source-range': range })
    wantError(t, answer, 400, 'InvalidArgument', { Message: form, ArgumentValue: range }, range)
  }
  const long = await copyPart({ 'x-amz-copy-source-range': 'bytes=0-5' })
  const message = 'Range specified is not valid for source object of size: 5'
  wantError(t, long, 400, 'InvalidArgument', { Message: message })
  const after = await copyPart({ 'x-amz-copy-source-range': 'bytes=5-5' })
  const outside = 'The specified copy range is invalid for the source object size'
  wantError(t, after, 400, 'InvalidRequest', { Message: outside })
  const stale = await copyPart({ 'x-amz-copy-source-if-match': 'abc' })
  wantError(t, stale, 412, 'PreconditionFailed')
  const middle = await copyPart({ 'x-amz-copy-source-range': 'bytes=1-3' })
  t.equal(elementOf(middle, 'ETag'), `"${md5('ell')}"`)
  const done = await completeUpload(upload, [{ number: 1, etag: elementOf(middle, 'ETag')! }])
  t.equal(done.status, 200)
  t.equal((await ask(wire, { path: PATH })).text, 'ell')
}
