// XML that clients send: tolerant where real clients differ, deaf to everything that XML can do besides.
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
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

const PATH = `/${BUCKET}/upload`
const ROOT = 'CompleteMultipartUpload'

function md5(body: string): Record<string, string> {
  return { 'content-md5': createHash('md5').update(body).digest('base64') }
}

function deleteMany(wire: Wire, body: string, headers = md5(body)): Promise<Answer> {
  return ask(wire, { method: 'POST', path: `/${BUCKET}`, query: { delete: '' }, body, headers })
}

t.test('documents', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 44: what is no document, or too much of one', async (t) =>
      refuse(t, wire),
    )
    await t.test('pitfall 107: Complete takes what real clients send', async (t) =>
      tolerate(t, wire),
    )
    await t.test('pitfall 101: DeleteObjects', async (t) => deleteObjects(t, wire))
    await t.test('CreateBucket', async (t) => createBuckets(t, wire))
  })
})

async function refuse(t: Test, wire: Wire): Promise<void> {
  await put(wire, `/${BUCKET}/kept`)
  const key = '<Object><Key>kept</Key></Object>'
  const malformed: [name: string, body: string][] = [
    ['entity', `<!DOCTYPE d [<!ENTITY e "kept">]><Delete><Object><Key>&e;</Key></Object></Delete>`],
    ['file', `<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete>${key}</Delete>`],
    ['DTD', `<!DOCTYPE Delete SYSTEM "http://127.0.0.1:1/x.dtd"><Delete>${key}</Delete>`],
    [
      'laughs',
      `<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`,
    ],
    ['unknown entity', '<Delete><Object><Key>&nbsp;</Key></Object></Delete>'],
    ['bare ampersand', '<Delete><Object><Key>a&b</Key></Object></Delete>'],
    ['NUL', '<Delete><Object><Key>a\0b</Key></Object></Delete>'],
    ['reference to NUL', '<Delete><Object><Key>a&#x0;b</Key></Object></Delete>'],
    ['surrogate', '<Delete><Object><Key>&#xD800;</Key></Object></Delete>'],
    ['beyond Unicode', '<Delete><Object><Key>&#x110000;</Key></Object></Delete>'],
    ['not closed', `<Delete>${key}`],
    ['wrongly closed', `<Delete>${key}</Deleted>`],
    ['two roots', `<Delete>${key}</Delete><Delete>${key}</Delete>`],
    ['text after it', `<Delete>${key}</Delete>trailing`],
    ['another root', `<Remove>${key}</Remove>`],
    ['no keys', '<Delete></Delete>'],
    ['no key in an object', '<Delete><Object></Object></Delete>'],
    ['two keys in an object', '<Delete><Object><Key>kept</Key><Key>b</Key></Object></Delete>'],
    ['another name', '<Delete><Object><Key>kept</Key><versionId>a</versionId></Object></Delete>'],
    ['another option', `<Delete>${key}<quiet>true</quiet></Delete>`],
    ['neither', `<Delete>${key}<Quiet>yes</Quiet></Delete>`],
    ['deep', `<Delete>${'<a>'.repeat(5000)}${'</a>'.repeat(5000)}</Delete>`],
    ['JSON', '{"Delete":[{"Key":"kept"}]}'],
    ['UTF-16', Buffer.from(`\ufeff<Delete>${key}</Delete>`, 'utf16le').toString('latin1')],
    ['nothing', ''],
    ['1,001 keys', `<Delete>${'<Object><Key>kept</Key></Object>'.repeat(1001)}</Delete>`],
  ]
  for (const [name, body] of malformed) {
    wantError(t, await deleteMany(wire, body), 400, 'MalformedXML', {}, name)
  }
  const large = 'x'.repeat(10 * 1024 * 1024)
  const bounded = [
    { method: 'POST', path: `/${BUCKET}`, query: { delete: '' }, headers: md5(large) },
    { method: 'POST', path: PATH, query: { uploadId: 'x'.repeat(32) } },
    { method: 'PUT', path: '/another-bucket' },
  ]
  for (const wanted of bounded) {
    const answer = await ask(wire, { ...wanted, body: large })
    if (elementOf(answer, 'Code') === 'NoSuchUpload') continue
    const elements = { MaxMessageLengthBytes: true } as const
    wantError(t, answer, 400, 'MaxMessageLengthExceeded', elements, `10 MiB: ${wanted.path}`)
  }
  const missing = await deleteMany(wire, `<Delete>${key}</Delete>`, {})
  wantError(t, missing, 400, 'InvalidRequest', {
    Message: 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*',
  })
  const wrong = await deleteMany(wire, `<Delete>${key}</Delete>`, md5('other'))
  wantError(t, wrong, 400, 'BadDigest')
  t.same(await listed(wire), ['kept'], 'nothing was deleted')
}

async function tolerate(t: Test, wire: Wire): Promise<void> {
  const namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
  const forms: ((etag: string) => string)[] = [
    (etag) => `<${ROOT}><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></${ROOT}>`,
    (etag) =>
      `<${ROOT}><Part><ETag>${etag.replaceAll('"', '')}</ETag><PartNumber>1</PartNumber></Part></${ROOT}>`,
    (etag) =>
      `<?xml version="1.0" encoding="UTF-8"?>\n<${ROOT} ${namespace}>\n  <Part>\n    <PartNumber> 1 </PartNumber>\n    <ETag>\n${etag.replaceAll('"', '&quot;')}</ETag>\n  </Part>\n</${ROOT}>\n`,
    (etag) =>
      `<${ROOT}><Part><PartNumber>1</PartNumber><ETag>${etag.replaceAll('"', '&#34;')}</ETag></Part></${ROOT}>`,
    (etag) =>
      `<s3:${ROOT} xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/"><s3:Part><s3:PartNumber>1</s3:PartNumber><s3:ETag>${etag}</s3:ETag></s3:Part></s3:${ROOT}>`,
    (etag) =>
      `<!-- a remark --><${ROOT}><Part><PartNumber>1</PartNumber><ETag><![CDATA[${etag}]]></ETag></Part></${ROOT}>`,
  ]
  for (const [index, form] of forms.entries()) {
    const created = await ask(wire, { method: 'POST', path: PATH, query: { uploads: '' } })
    const uploadId = elementOf(created, 'UploadId')!
    const part = await ask(wire, {
      ...{ method: 'PUT', path: PATH, body: `form ${index}` },
      query: { partNumber: '1', uploadId },
    })
    const body = form(part.headers.etag!)
    const done = await ask(wire, { method: 'POST', path: PATH, query: { uploadId }, body })
    t.equal(elementOf(done, 'Bucket'), BUCKET, done.text)
    t.equal((await ask(wire, { path: PATH })).text, `form ${index}`)
  }
  await ask(wire, { method: 'DELETE', path: PATH })
}

async function deleteObjects(t: Test, wire: Wire): Promise<void> {
  await put(wire, `/${BUCKET}/one`)
  const two = '<Object><Key>one</Key></Object><Object><Key>never there</Key></Object>'
  const loud = await deleteMany(wire, `<Delete>${two}</Delete>`)
  t.same(elementsOf(loud, 'Key').sort(), ['never there', 'one'], 'missing keys are Deleted')
  t.match(loud.text, /<DeleteResult xmlns="http:\/\/s3.amazonaws.com\/doc\/2006-03-01\/"><Deleted>/)
  await put(wire, `/${BUCKET}/one`)
  const long = `<Object><Key>${'k'.repeat(1025)}</Key></Object>`
  const quiet = await deleteMany(wire, `<Delete><Quiet>true</Quiet>${two}${long}</Delete>`)
  t.equal(quiet.status, 200)
  t.same(elementsOf(quiet, 'Key'), ['k'.repeat(1025)], 'Quiet names failures only')
  t.equal(elementOf(quiet, 'Code'), 'KeyTooLongError')
  const never = '<Object><Key>../up</Key></Object><Object><Key>a/../../b</Key></Object>'
  const refused = await deleteMany(wire, `<Delete>${never}</Delete>`)
  t.same(elementsOf(refused, 'Code'), ['InvalidURI', 'InvalidURI'], 'what no address can name')
  t.same(await listed(wire), ['kept'])
  const etag = elementOf(await ask(wire, { path: `/${BUCKET}` }), 'ETag')
  const conditional = (wanted: string): string =>
    `<Delete><Object><Key>kept</Key><ETag>${wanted}</ETag></Object></Delete>`
  t.equal(elementOf(await deleteMany(wire, conditional('other')), 'Code'), 'PreconditionFailed')
  t.notOk(elementOf(await deleteMany(wire, conditional(etag!)), 'Code'))
  t.same(await listed(wire), [])
  const gone = await ask(wire, {
    ...{ method: 'POST', path: '/no-such-bucket', query: { delete: '' } },
    ...{ body: `<Delete>${two}</Delete>`, headers: md5(`<Delete>${two}</Delete>`) },
  })
  wantError(t, gone, 404, 'NoSuchBucket', { BucketName: 'no-such-bucket' })
}

async function createBuckets(t: Test, wire: Wire): Promise<void> {
  const location = (region: string): string =>
    `<CreateBucketConfiguration><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`
  const created = await ask(wire, { method: 'PUT', path: '/far-away', body: location('eu-west-1') })
  t.equal(created.status, 200, created.text)
  t.equal(created.headers.location, '/far-away')
  const where = await ask(wire, { path: '/far-away', query: { location: '' } })
  t.equal(elementOf(where, 'LocationConstraint'), 'eu-west-1')
  const head = await ask(wire, { method: 'HEAD', path: '/far-away' })
  t.equal(head.headers['x-amz-bucket-region'], 'eu-west-1')
  for (const query of [{}, { 'list-type': '2' }]) {
    const there = await ask(wire, { path: '/far-away', query })
    t.equal(there.headers['x-amz-bucket-region'], 'eu-west-1', 'a listing')
    const near = await ask(wire, { path: `/${BUCKET}`, query })
    t.notOk('x-amz-bucket-region' in near.headers, 'us-east-1 is not said')
  }
  const here = await ask(wire, { path: `/${BUCKET}`, query: { location: '' } })
  t.equal(elementOf(here, 'LocationConstraint'), '', 'us-east-1 has no name (13)')
  t.equal((await ask(wire, { method: 'PUT', path: `/${BUCKET}` })).status, 200, 'again (12)')
  const same = await ask(wire, { method: 'PUT', path: `/${BUCKET}`, body: location('us-east-1') })
  t.equal(same.status, 200, 'again, where it is')
  const again = await ask(wire, { method: 'PUT', path: '/far-away' })
  wantError(t, again, 409, 'BucketAlreadyOwnedByYou', { BucketName: 'far-away' }, 'elsewhere')
  for (const [path, region] of [
    ['/far-away', 'eu-west-1'],
    ['/far-away', 'eu-west-2'],
    [`/${BUCKET}`, 'eu-west-1'],
  ] as const) {
    const moved = await ask(wire, { method: 'PUT', path, body: location(region) })
    wantError(t, moved, 409, 'BucketAlreadyOwnedByYou', { BucketName: path.slice(1) }, region)
  }
  const nowhere = await ask(wire, { method: 'PUT', path: '/nowhere', body: location('a b') })
  wantError(t, nowhere, 400, 'InvalidLocationConstraint', { LocationConstraint: 'a b' })
  wantError(
    t,
    await ask(wire, { method: 'PUT', path: '/nowhere', body: '<a>' }),
    400,
    'MalformedXML',
  )
  await put(wire, '/far-away/k')
  const full = await ask(wire, { method: 'DELETE', path: '/far-away' })
  wantError(t, full, 409, 'BucketNotEmpty', { BucketName: 'far-away' })
  await ask(wire, { method: 'DELETE', path: '/far-away/k' })
  t.equal((await ask(wire, { method: 'DELETE', path: '/far-away' })).status, 204)
  const gone = await ask(wire, { method: 'DELETE', path: '/far-away' })
  wantError(t, gone, 404, 'NoSuchBucket', { BucketName: 'far-away' })
  t.equal((await ask(wire, { method: 'PUT', path: '/far-away' })).status, 200, 'and once more')
  t.same(await listed(wire, '', 'far-away'), [])
  const all = await ask(wire, { path: '/' })
  t.same(elementsOf(all, 'Name'), ['far-away', BUCKET])
  t.ok(elementOf(all, 'ID') && elementOf(all, 'CreationDate'), 'owner and dates')
}
