// Encryption over the wire: all three kinds, written, read, copied, in parts, and by the default of the bucket.
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import {
  customerHeaders,
  KINDS,
  type Kind,
  OTHER_SSE_C,
  PLAIN,
  putAs,
  ruleOf,
  SSE_C,
  SSE_KMS,
  SSE_S3,
  setDefault,
  shownBy,
  sourceHeaders,
} from './encryption-requests.ts'
import { post, signedFields } from './forms.ts'
import { beginUpload, completeUpload, PART_BYTES_MIN, uploadPart } from './uploads.ts'
import { ask, BUCKET, elementOf, type Wire, wantError, withWire } from './wire.ts'

const SSE = 'x-amz-server-side-encryption'
const TEXT = Buffer.alloc(300_000, 'encrypted on its way to the drives ')

t.test('encryption', { timeout: 120_000 }, async (t) => {
  await withWire(t, { options: ['--log-level', 'debug'] }, async (wire) => {
    await t.test('every kind is written and read', async (t) => roundTrip(t, wire))
    await t.test('pitfall 91: ETags of encrypted objects', async (t) => etags(t, wire))
    await t.test('pitfall 119: SSE-C wants its key', async (t) => customerKeys(t, wire))
    await t.test('what is refused', async (t) => refusals(t, wire))
    await t.test('pitfall 112: an upload is encrypted as Create says', async (t) =>
      uploads(t, wire),
    )
    await t.test('copies', async (t) => copies(t, wire))
    await t.test('pitfall 98: onto itself with another encryption', async (t) =>
      ontoItself(t, wire),
    )
    await t.test('copies of parts', async (t) => partCopies(t, wire))
    await t.test('forms', async (t) => forms(t, wire))
    await t.test('the default of a bucket', async (t) => defaults(t, wire))
    for (const kind of [SSE_C, OTHER_SSE_C]) {
      const key = kind.write[`${SSE}-customer-key`]!
      t.notOk(wire.server.log().includes(key), 'a key of a client is never logged')
    }
  })
})

t.test('pitfall 119: strict takes keys over TLS only', { timeout: 60_000 }, async (t) => {
  await withWire(t, { options: ['--strict-s3'] }, async (wire) => {
    const path = `/${BUCKET}/a`
    const put = { method: 'PUT', path, body: 'x', headers: SSE_C.write }
    wantError(t, await ask(wire, put), 400, 'InvalidRequest')
    wantError(t, await ask(wire, { path, headers: SSE_C.read }), 404, 'NoSuchKey')
    await putAs(wire, path, 'x', SSE_S3)
    wantError(t, await ask(wire, { path, headers: SSE_C.read }), 400, 'InvalidRequest')
  })
})

async function roundTrip(t: Test, wire: Wire): Promise<void> {
  for (const kind of KINDS) {
    for (const body of [Buffer.alloc(0), TEXT.subarray(0, 100), TEXT]) {
      const path = `/${BUCKET}/${kind.name}-${body.length}`
      const name = `${kind.name} of ${body.length}`
      t.same(shownBy(await putAs(wire, path, body, kind)), kind.shown, `${name}: PUT shows it`)
      const got = await ask(wire, { path, headers: kind.read })
      t.equal(got.status, 200)
      t.ok(got.body.equals(body), name)
      t.same(shownBy(got), kind.shown, `${name}: GET shows it`)
      const head = await ask(wire, { method: 'HEAD', path, headers: kind.read })
      t.same(shownBy(head), kind.shown, `${name}: HEAD shows it`)
      t.equal(head.headers['content-length'], String(body.length), 'the length is the plain one')
      if (body.length > 0) await ranges(t, wire, { path, body, kind })
    }
  }
}

async function ranges(
  t: Test,
  wire: Wire,
  { path, body, kind }: { path: string; body: Buffer; kind: Kind },
): Promise<void> {
  for (const [first, last] of [
    [0, 0],
    [5, 20],
    [65_530, 65_540],
    [131_072, 262_143],
    [body.length - 5, body.length - 1],
  ] as const) {
    if (last >= body.length) continue
    const headers = { ...kind.read, range: `bytes=${first}-${last}` }
    const got = await ask(wire, { path, headers })
    t.equal(got.status, 206)
    t.ok(got.body.equals(body.subarray(first, last + 1)), `${kind.name}: ${headers.range}`)
  }
  const part = await ask(wire, { path, query: { partNumber: '1' }, headers: kind.read })
  t.ok(part.status === 206 && part.body.equals(body), 'the only part')
}

async function etags(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/etag`
  const md5 = `"${createHash('md5').update(TEXT).digest('hex')}"`
  for (const kind of [PLAIN, ...KINDS]) {
    const { etag } = (await putAs(wire, path, TEXT, kind)).headers
    if (kind === PLAIN || kind === SSE_S3) t.equal(etag, md5, `${kind.name}: MD5`)
    else t.ok(etag !== md5 && /^"[0-9a-f]{32}"$/.test(etag ?? ''), `${kind.name}: no MD5`)
    const head = await ask(wire, { method: 'HEAD', path, headers: kind.read })
    t.equal(head.headers.etag, etag, `${kind.name}: and it stays`)
    const again = { ...kind.read, 'if-none-match': etag! }
    t.equal((await ask(wire, { path, headers: again })).status, 304)
  }
  const sums = { ...SSE_KMS.write, 'content-md5': createHash('md5').update('y').digest('base64') }
  const put = { method: 'PUT', path, body: 'x', headers: sums }
  wantError(t, await ask(wire, put), 400, 'BadDigest', {}, 'Content-MD5 is of the plain bytes')
}

const PART_KEY = {
  Message:
    'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.',
}

async function customerKeys(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/customer`
  await putAs(wire, path, TEXT, SSE_C)
  const attributes = { 'x-amz-object-attributes': 'ObjectSize' }
  for (const [headers, why] of [
    [{}, 'no key'],
    [OTHER_SSE_C.read, 'another key'],
    [{ ...SSE_C.read, [`${SSE}-customer-key-md5`]: '' }, 'no MD5'],
    [
      { ...OTHER_SSE_C.read, [`${SSE}-customer-key-md5`]: SSE_C.shown[`${SSE}-customer-key-md5`]! },
      'the MD5 of another key',
    ],
  ] as [Record<string, string>, string][]) {
    const code = why.includes('MD5') ? 'InvalidArgument' : 'InvalidRequest'
    wantError(t, await ask(wire, { path, headers }), 400, code, {}, `GET: ${why}`)
    t.equal((await ask(wire, { method: 'HEAD', path, headers })).status, 400, `HEAD: ${why}`)
    const asked = { path, query: { attributes: '' }, headers: { ...headers, ...attributes } }
    wantError(t, await ask(wire, asked), 400, code, {}, `attributes: ${why}`)
  }
  const well = { path, query: { attributes: '' }, headers: { ...SSE_C.read, ...attributes } }
  t.equal(elementOf(await ask(wire, well), 'ObjectSize'), String(TEXT.length))
  for (const kind of [PLAIN, SSE_S3, SSE_KMS]) {
    await putAs(wire, path, 'x', kind)
    const got = await ask(wire, { path, headers: SSE_C.read })
    wantError(t, got, 400, 'InvalidRequest', {}, `a key for ${kind.name}`)
    const method = await ask(wire, { path, headers: { [SSE]: 'AES256' } })
    wantError(t, method, 400, 'InvalidArgument', {}, `a method in GET of ${kind.name}`)
  }
}

async function refusals(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/refused`
  const rows: [headers: Record<string, string>, status: number, code: string][] = [
    [{ [SSE]: 'AES128' }, 400, 'InvalidArgument'],
    [{ [SSE]: 'aws:kms:dsse' }, 501, 'NotImplemented'],
    [{ [`${SSE}-aws-kms-key-id`]: 'photos' }, 400, 'InvalidArgument'],
    [{ [SSE]: 'aws:kms', [`${SSE}-aws-kms-key-id`]: 'no key' }, 400, 'KMS.NotFoundException'],
    [{ ...SSE_C.write, [SSE]: 'AES256' }, 400, 'InvalidArgument'],
    [{ [`${SSE}-customer-algorithm`]: 'AES256' }, 400, 'InvalidArgument'],
    [sourceHeaders(SSE_C), 400, 'InvalidArgument'],
  ]
  for (const [headers, status, code] of rows) {
    const said = `${Object.keys(headers).join(', ')}: ${code}`
    const put = { method: 'PUT', path, body: 'x', headers }
    wantError(t, await ask(wire, put), status, code, {}, `PUT ${said}`)
    const create = { method: 'POST', path, query: { uploads: '' }, headers }
    wantError(t, await ask(wire, create), status, code, {}, `Create ${said}`)
  }
  wantError(t, await ask(wire, { path }), 404, 'NoSuchKey', {}, 'nothing was stored')
  await putAs(wire, path, 'x', SSE_S3)
  const update = { method: 'PUT', path, query: { encryption: '' }, body: '<ObjectEncryption/>' }
  wantError(t, await ask(wire, update), 501, 'NotImplemented', {}, 'UpdateObjectEncryption')
}

async function uploads(t: Test, wire: Wire): Promise<void> {
  for (const kind of KINDS) {
    const path = `/${BUCKET}/upload-${kind.name}`
    const created = await ask(wire, {
      method: 'POST',
      path,
      query: { uploads: '' },
      headers: kind.write,
    })
    t.same(shownBy(created), kind.shown, 'Create shows it')
    const upload = { wire, path, uploadId: elementOf(created, 'UploadId')! }
    const bodies = [Buffer.alloc(PART_BYTES_MIN, 'first part '), TEXT]
    const parts: { number: number; etag: string }[] = []
    for (const [index, body] of bodies.entries()) {
      // What Create said may be said again.
      const headers = index === 0 ? kind.read : kind.write
      const answer = await uploadPart(upload, index + 1, body, headers)
      t.same(shownBy(answer), kind.shown, 'UploadPart shows it')
      parts.push({ number: index + 1, etag: answer.headers.etag! })
      const md5 = `"${createHash('md5').update(body).digest('hex')}"`
      t.equal(answer.headers.etag === md5, kind === SSE_S3, 'pitfall 91: ETag of a part')
    }
    if (kind === SSE_C) {
      for (const headers of [{}, OTHER_SSE_C.read]) {
        const said = headers === OTHER_SSE_C.read ? {} : PART_KEY
        wantError(t, await uploadPart(upload, 3, 'x', headers), 400, 'InvalidRequest', said)
      }
      const other = await completeUpload(upload, parts, OTHER_SSE_C.read)
      wantError(t, other, 400, 'InvalidRequest', {}, 'Complete with another key')
    } else {
      wantError(t, await uploadPart(upload, 3, 'x', SSE_C.read), 400, 'InvalidRequest', PART_KEY)
    }
    const again = await uploadPart(upload, 2, TEXT, kind.read)
    t.equal(
      again.headers.etag,
      parts[1]!.etag,
      'pitfall 108: the same part again has the same ETag',
    )
    const choice = { ...kind.read, [SSE]: kind === SSE_S3 ? 'aws:kms' : 'AES256' }
    const method = await uploadPart(upload, 3, 'x', choice)
    wantError(t, method, 400, 'InvalidArgument', {}, 'a part does not choose')
    const done = await completeUpload(upload, parts, kind.write)
    t.equal(done.status, 200)
    t.same(shownBy(done), kind.shown, 'Complete shows it')
    t.match(elementOf(done, 'ETag'), /^"[0-9a-f]{32}-2"$/)
    const whole = Buffer.concat(bodies)
    const got = await ask(wire, { path, headers: kind.read })
    t.ok(got.body.equals(whole), `${kind.name}: the whole`)
    const range = { ...kind.read, range: `bytes=${PART_BYTES_MIN - 10}-${PART_BYTES_MIN + 9}` }
    const middle = (await ask(wire, { path, headers: range })).body
    t.ok(middle.equals(whole.subarray(PART_BYTES_MIN - 10, PART_BYTES_MIN + 10)))
    const second = { path, query: { partNumber: '2' }, headers: kind.read }
    t.ok((await ask(wire, second)).body.equals(TEXT), `${kind.name}: part 2`)
  }
  const declared = { ...SSE_C.write, 'x-amz-checksum-algorithm': 'CRC32' }
  const upload = await beginUpload(wire, `/${BUCKET}/upload-declared`, declared)
  const { headers } = await uploadPart(upload, 1, TEXT, SSE_C.read)
  const more = `<ChecksumCRC32>${headers['x-amz-checksum-crc32']}</ChecksumCRC32>`
  const parts = [{ number: 1, etag: headers.etag!, more }]
  const keyless = await completeUpload(upload, parts)
  wantError(t, keyless, 400, 'InvalidRequest', {}, 'with an algorithm Complete needs the key')
  t.equal((await completeUpload(upload, parts, SSE_C.read)).status, 200)
}

async function copies(t: Test, wire: Wire): Promise<void> {
  for (const source of [PLAIN, ...KINDS]) {
    await putAs(wire, `/${BUCKET}/source`, TEXT, source)
    for (const target of [PLAIN, SSE_S3, SSE_KMS, OTHER_SSE_C]) {
      const name = `${source.name} to ${target.name}`
      const path = `/${BUCKET}/target`
      const from = { 'x-amz-copy-source': `/${BUCKET}/source` }
      const headers = { ...from, ...sourceHeaders(source), ...target.write }
      const copied = await ask(wire, { method: 'PUT', path, headers })
      t.equal(copied.status, 200, name)
      t.same(shownBy(copied), target.shown, `${name}: it is shown`)
      const got = await ask(wire, { path, headers: target.read })
      t.ok(got.body.equals(TEXT), `${name}: the bytes`)
      t.same(shownBy(got), target.shown, `${name}: not as the source, but as asked`)
      const md5 = `"${createHash('md5').update(TEXT).digest('hex')}"`
      const isPlain = target === PLAIN || target === SSE_S3
      t.equal(got.headers.etag === md5, isPlain, 'pitfall 91: the ETag of a copy')
    }
  }
  await putAs(wire, `/${BUCKET}/source`, TEXT, SSE_C)
  for (const key of [{}, sourceHeaders(OTHER_SSE_C)]) {
    const headers = { 'x-amz-copy-source': `/${BUCKET}/source`, ...key }
    const answer = await ask(wire, { method: 'PUT', path: `/${BUCKET}/refused-copy`, headers })
    wantError(t, answer, 400, 'InvalidRequest', {}, 'the source wants its key')
  }
}

async function ontoItself(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/itself`
  await putAs(wire, path, TEXT, PLAIN)
  const from = { 'x-amz-copy-source': path }
  wantError(t, await ask(wire, { method: 'PUT', path, headers: from }), 400, 'InvalidRequest')
  for (const [source, target] of [
    [PLAIN, SSE_S3],
    [SSE_S3, SSE_C],
    [SSE_C, OTHER_SSE_C],
    [OTHER_SSE_C, SSE_KMS],
  ] as const) {
    const headers = { ...from, ...sourceHeaders(source), ...target.write }
    t.equal((await ask(wire, { method: 'PUT', path, headers })).status, 200)
    const got = await ask(wire, { path, headers: target.read })
    t.ok(got.body.equals(TEXT), `${source.name} becomes ${target.name}`)
    t.same(shownBy(got), target.shown)
  }
}

async function partCopies(t: Test, wire: Wire): Promise<void> {
  await putAs(wire, `/${BUCKET}/source`, TEXT, SSE_C)
  for (const kind of [PLAIN, SSE_S3, OTHER_SSE_C]) {
    const path = `/${BUCKET}/joined`
    const upload = await beginUpload(wire, path, kind.write)
    const query = { partNumber: '1', uploadId: upload.uploadId }
    const from = {
      'x-amz-copy-source': `/${BUCKET}/source`,
      'x-amz-copy-source-range': 'bytes=65000-200000',
    }
    const headers = { ...from, ...sourceHeaders(SSE_C), ...kind.read }
    const copied = await ask(wire, { method: 'PUT', path, query, headers })
    t.equal(copied.status, 200, `into ${kind.name}`)
    t.same(shownBy(copied), kind.shown)
    const keyless = await ask(wire, {
      method: 'PUT',
      path,
      query,
      headers: { ...from, ...kind.read },
    })
    wantError(t, keyless, 400, 'InvalidRequest', {}, 'the source wants its key')
    await completeUpload(upload, [{ number: 1, etag: elementOf(copied, 'ETag')! }])
    const got = await ask(wire, { path, headers: kind.read })
    t.ok(got.body.equals(TEXT.subarray(65_000, 200_001)), `the range in ${kind.name}`)
  }
}

async function forms(t: Test, wire: Wire): Promise<void> {
  for (const kind of KINDS) {
    const more = Object.entries(kind.write)
    const conditions = ['key', ...more.map(([name]) => name)].map((name) => [
      'starts-with',
      `$${name}`,
      '',
    ])
    const answer = await ask(
      wire,
      post([['key', 'form'], ...more, ...signedFields(conditions), ['file', TEXT, 'a.txt']]),
    )
    t.equal(answer.status, 204, answer.text)
    t.same(shownBy(answer), kind.shown, `${kind.name} by form`)
    const got = await ask(wire, { path: `/${BUCKET}/form`, headers: kind.read })
    t.ok(got.body.equals(TEXT))
  }
}

async function defaults(t: Test, wire: Wire): Promise<void> {
  const bucket = 'by-default'
  const path = `/${bucket}/a`
  const get = () => ask(wire, { path: `/${bucket}`, query: { encryption: '' } })
  await ask(wire, { method: 'PUT', path: `/${bucket}` })
  wantError(t, await get(), 404, 'ServerSideEncryptionConfigurationNotFoundError')
  await putAs(wire, `/${bucket}/before`, TEXT, PLAIN)

  t.equal((await setDefault(wire, bucket, ruleOf('AES256'))).status, 200)
  t.equal(elementOf(await get(), 'SSEAlgorithm'), 'AES256')
  t.same(shownBy(await putAs(wire, path, TEXT, PLAIN)), SSE_S3.shown)
  t.same(shownBy(await ask(wire, { path: `/${bucket}/before` })), {}, 'what was there stays')
  t.same(shownBy(await putAs(wire, path, TEXT, SSE_C)), SSE_C.shown, 'a request may say else')
  const old = { method: 'PUT', path: `/${bucket}/old` }
  const ontoItself = { ...old, headers: { 'x-amz-copy-source': `/${bucket}/old` } }
  await putAs(wire, old.path, TEXT, SSE_KMS)
  t.same(shownBy(await ask(wire, ontoItself)), SSE_S3.shown, 'a copy onto itself takes it on')

  const key = '<KMSMasterKeyID>photos</KMSMasterKeyID>'
  await setDefault(
    wire,
    bucket,
    `${ruleOf('aws:kms', key)}<BucketKeyEnabled>true</BucketKeyEnabled>`,
  )
  const kms = { ...SSE_KMS.shown, [`${SSE}-bucket-key-enabled`]: 'true' }
  t.same(shownBy(await putAs(wire, path, TEXT, PLAIN)), kms)
  t.ok((await ask(wire, { path })).body.equals(TEXT))
  const created = await ask(wire, { method: 'POST', path, query: { uploads: '' } })
  t.same(shownBy(created), kms, 'uploads too')
  const from = { 'x-amz-copy-source': `/${bucket}/before` }
  const copied = await ask(wire, { method: 'PUT', path, headers: from })
  t.same(shownBy(copied), kms, 'and copies')

  const blocked =
    '<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>'
  await setDefault(wire, bucket, ruleOf('AES256') + blocked)
  t.match((await get()).text, blocked)
  const put = { method: 'PUT', path, body: 'x', headers: customerHeaders(1) }
  wantError(t, await ask(wire, put), 403, 'AccessDenied', {}, 'keys of clients can be blocked')

  const remove = { method: 'DELETE', path: `/${bucket}`, query: { encryption: '' } }
  t.equal((await ask(wire, remove)).status, 204)
  t.equal((await ask(wire, remove)).status, 204)
  wantError(t, await get(), 404, 'ServerSideEncryptionConfigurationNotFoundError')
  t.same(shownBy(await putAs(wire, path, TEXT, PLAIN)), {})
}
