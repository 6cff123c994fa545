// Object Lock: no way to delete what is locked, and the few ways to loosen a lock.
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
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

const BUCKET = 'locked'
const DAY_MS = 86_400_000
const BYPASS = { 'x-amz-bypass-governance-retention': 'true' }
const PROTECTED = 'Access Denied because object protected by object lock.'

t.test('locks', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    const headers = { 'x-amz-bucket-object-lock-enabled': 'true' }
    t.equal((await ask(wire, { method: 'PUT', path: `/${BUCKET}`, headers })).status, 200)
    await t.test('pitfall 118: locks need versions', async (t) => needVersions(t, wire))
    await t.test('pitfall 118: the default of a bucket', async (t) => defaults(t, wire))
    await t.test('pitfall 118: headers of a new object', async (t) => onWrite(t, wire))
    await t.test('pitfall 118: what can not be a lock', async (t) => refuse(t, wire))
    await t.test('event holds are refused, not left out', async (t) => eventHolds(t, wire))
    await t.test('pitfall 118: a locked version is never deleted', async (t) => protect(t, wire))
    await t.test('pitfall 118: GOVERNANCE gives way to a bypass', async (t) => governance(t, wire))
    await t.test('pitfall 118: COMPLIANCE gives way to nothing', async (t) => compliance(t, wire))
    await t.test('pitfall 118: a hold has no end', async (t) => legalHold(t, wire))
    await t.test('pitfall 118: uploads', async (t) => uploads(t, wire))
  })
})

t.test('locks, strict', { timeout: 60_000 }, async (t) => {
  await withWire(t, { options: ['--strict-s3'] }, async (wire) => {
    const headers = { 'x-amz-bucket-object-lock-enabled': 'true' }
    await ask(wire, { method: 'PUT', path: `/${BUCKET}`, headers })
    const wanted = { method: 'PUT', path: `/${BUCKET}/a`, body: 'x' }
    const held = { 'x-amz-object-lock-legal-hold': 'OFF' }
    const unchecked = await ask(wire, { ...wanted, headers: held })
    wantError(t, unchecked, 400, 'InvalidRequest', {}, 'pitfall 118: a lock wants a digest')
    const checked = { ...held, 'content-md5': md5('x') }
    t.equal((await ask(wire, { ...wanted, headers: checked })).status, 200)
    t.equal((await ask(wire, wanted)).status, 200, 'what is not locked does not')
  })
})

/** So many days from now, in ISO 8601. */
function inDays(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString()
}

function lockHeaders(mode: string, until: string): Record<string, string> {
  return { 'x-amz-object-lock-mode': mode, 'x-amz-object-lock-retain-until-date': until }
}

/** Puts an object and returns its version. */
async function putVersion(wire: Wire, path: string, headers = {}): Promise<string> {
  return (await put(wire, path, 'locked', headers)).headers['x-amz-version-id']!
}

function setRetention(
  wire: Wire,
  path: string,
  retention: { mode: string; until: string } | undefined,
  headers = {},
): Promise<Answer> {
  const inner = retention
    ? `<Mode>${retention.mode}</Mode><RetainUntilDate>${retention.until}</RetainUntilDate>`
    : ''
  const body = `<Retention>${inner}</Retention>`
  return ask(wire, { method: 'PUT', path, query: { retention: '' }, body, headers })
}

function setHold(wire: Wire, path: string, status: string): Promise<Answer> {
  const body = `<LegalHold><Status>${status}</Status></LegalHold>`
  return ask(wire, { method: 'PUT', path, query: { 'legal-hold': '' }, body })
}

function deleteVersion(wire: Wire, path: string, versionId: string, headers = {}): Promise<Answer> {
  return ask(wire, { method: 'DELETE', path, query: { versionId }, headers })
}

async function configure(wire: Wire, rule: string, bucket = BUCKET): Promise<Answer> {
  const body = `<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`
  return ask(wire, { method: 'PUT', path: `/${bucket}`, query: { 'object-lock': '' }, body })
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('base64')
}

function setVersioning(wire: Wire, bucket: string, status: string): Promise<Answer> {
  const body = `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`
  return ask(wire, { method: 'PUT', path: `/${bucket}`, query: { versioning: '' }, body })
}

async function needVersions(t: Test, wire: Wire): Promise<void> {
  const versioning = await ask(wire, { path: `/${BUCKET}`, query: { versioning: '' } })
  t.equal(elementOf(versioning, 'Status'), 'Enabled')
  const suspended = await setVersioning(wire, BUCKET, 'Suspended')
  wantError(t, suspended, 409, 'InvalidBucketState')
  const path = '/unlocked'
  await ask(wire, { method: 'PUT', path })
  const none = await ask(wire, { path, query: { 'object-lock': '' } })
  wantError(t, none, 404, 'ObjectLockConfigurationNotFoundError')
  wantError(t, await configure(wire, '', 'unlocked'), 409, 'InvalidBucketState', {
    Message: "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
  })
  await setVersioning(wire, 'unlocked', 'Suspended')
  wantError(t, await configure(wire, '', 'unlocked'), 409, 'InvalidBucketState')
  const message = { Message: 'Bucket is missing Object Lock Configuration' }
  await put(wire, `${path}/a`)
  const until = inDays(1)
  const refused = [
    await setRetention(wire, `${path}/a`, { mode: 'GOVERNANCE', until }),
    await setHold(wire, `${path}/a`, 'ON'),
    await ask(wire, { path: `${path}/a`, query: { retention: '' } }),
    await ask(wire, { path: `${path}/a`, query: { 'legal-hold': '' } }),
    await ask(wire, {
      method: 'PUT',
      path: `${path}/a`,
      body: 'x',
      headers: lockHeaders('GOVERNANCE', until),
    }),
  ]
  for (const answer of refused) wantError(t, answer, 400, 'InvalidRequest', message)
  // What is wrong for every bucket is said first, and so is that nothing is there.
  const half = { 'x-amz-object-lock-mode': 'GOVERNANCE' }
  const halved = await ask(wire, { method: 'PUT', path: `${path}/a`, body: 'x', headers: half })
  wantError(t, halved, 400, 'InvalidArgument')
  wantError(t, await setHold(wire, `${path}/a`, 'yes'), 400, 'MalformedXML')
  const missing = await ask(wire, { path: `${path}/none`, query: { retention: '' } })
  wantError(t, missing, 404, 'NoSuchKey')
  t.equal((await setVersioning(wire, 'unlocked', 'Enabled')).status, 200)
  t.equal((await configure(wire, '', 'unlocked')).status, 200, 'a lock may come later')
  wantError(t, await setVersioning(wire, 'unlocked', 'Suspended'), 409, 'InvalidBucketState')
}

async function defaults(t: Test, wire: Wire): Promise<void> {
  const rule = (inner: string): string =>
    `<Rule><DefaultRetention>${inner}</DefaultRetention></Rule>`
  t.equal((await configure(wire, rule('<Mode>GOVERNANCE</Mode><Days>3</Days>'))).status, 200)
  const shown = await ask(wire, { path: `/${BUCKET}`, query: { 'object-lock': '' } })
  t.equal(elementOf(shown, 'ObjectLockEnabled'), 'Enabled')
  t.equal(elementOf(shown, 'Mode'), 'GOVERNANCE')
  t.equal(elementOf(shown, 'Days'), '3')
  const path = `/${BUCKET}/by-default`
  const before = Date.now()
  const version = await putVersion(wire, path)
  const { headers } = await ask(wire, { method: 'HEAD', path })
  t.equal(headers['x-amz-object-lock-mode'], 'GOVERNANCE')
  const until = Date.parse(headers['x-amz-object-lock-retain-until-date']!)
  t.ok(until >= before + 3 * DAY_MS && until <= Date.now() + 3 * DAY_MS)
  await deleteVersion(wire, path, version, BYPASS)
  const own = await putVersion(wire, path, lockHeaders('COMPLIANCE', inDays(0.001)))
  const named = await ask(wire, { method: 'HEAD', path, query: { versionId: own } })
  t.equal(named.headers['x-amz-object-lock-mode'], 'COMPLIANCE', 'what the object names goes first')
  for (const bad of [
    '<Mode>GOVERNANCE</Mode>',
    '<Mode>x</Mode><Days>1</Days>',
    '<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>',
  ])
    wantError(t, await configure(wire, rule(bad)), 400, 'MalformedXML', {}, bad)
  const zero = await configure(wire, rule('<Mode>GOVERNANCE</Mode><Days>0</Days>'))
  wantError(t, zero, 400, 'InvalidRetentionPeriod', { ArgumentName: 'Days', ArgumentValue: '0' })
  t.equal((await configure(wire, '')).status, 200)
  const without = `/${BUCKET}/without`
  await put(wire, without)
  t.notOk('x-amz-object-lock-mode' in (await ask(wire, { path: without })).headers)
}

async function onWrite(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/on-write`
  const until = '2099-01-01T00:00:00.250Z'
  const sent = { ...lockHeaders('GOVERNANCE', until), 'x-amz-object-lock-legal-hold': 'ON' }
  const versionId = await putVersion(wire, path, sent)
  for (const method of ['GET', 'HEAD']) {
    const { headers } = await ask(wire, { method, path, query: { versionId } })
    for (const [name, value] of Object.entries(sent))
      t.equal(headers[name], value, `${method} ${name}`)
  }
  const retention = await ask(wire, { path, query: { retention: '', versionId } })
  t.equal(elementOf(retention, 'Mode'), 'GOVERNANCE')
  t.equal(elementOf(retention, 'RetainUntilDate'), until)
  const hold = await ask(wire, { path, query: { 'legal-hold': '', versionId } })
  t.equal(elementOf(hold, 'Status'), 'ON')

  const copy = `/${BUCKET}/copied`
  await put(wire, copy, '', { 'x-amz-copy-source': path })
  const copied = await ask(wire, { method: 'HEAD', path: copy })
  t.notOk('x-amz-object-lock-mode' in copied.headers, 'a copy does not inherit the lock (99)')
  const locked = lockHeaders('COMPLIANCE', inDays(1))
  await put(wire, copy, '', { 'x-amz-copy-source': path, ...locked })
  t.equal(
    (await ask(wire, { method: 'HEAD', path: copy })).headers['x-amz-object-lock-mode'],
    'COMPLIANCE',
  )
}

async function refuse(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/refused`
  const until = inDays(1)
  const past = inDays(-1)
  const rows: [headers: Record<string, string>, argument: string][] = [
    [{ 'x-amz-object-lock-mode': 'GOVERNANCE' }, 'x-amz-object-lock-retain-until-date'],
    [{ 'x-amz-object-lock-retain-until-date': until }, 'x-amz-object-lock-mode'],
    [lockHeaders('governance', until), 'x-amz-object-lock-mode'],
    [lockHeaders('GOVERNANCE', 'tomorrow'), 'x-amz-object-lock-retain-until-date'],
    [lockHeaders('GOVERNANCE', past), 'x-amz-object-lock-retain-until-date'],
    [{ 'x-amz-object-lock-legal-hold': 'yes' }, 'x-amz-object-lock-legal-hold'],
  ]
  for (const [headers, argument] of rows)
    for (const wanted of [
      { method: 'PUT', path, body: 'x' },
      { method: 'POST', path, query: { uploads: '' } },
    ]) {
      const answer = await ask(wire, { ...wanted, headers })
      wantError(t, answer, 400, 'InvalidArgument', { ArgumentName: argument })
    }
  wantError(t, await ask(wire, { path }), 404, 'NoSuchKey')
  const versionId = await putVersion(wire, path)
  const early = await setRetention(wire, path, { mode: 'GOVERNANCE', until: past })
  wantError(t, early, 400, 'InvalidArgument', {
    Message: 'The retain until date must be in the future!',
  })
  wantError(t, await setRetention(wire, path, { mode: 'x', until }), 400, 'MalformedXML')
  wantError(t, await setHold(wire, path, 'yes'), 400, 'MalformedXML')
  const none = await ask(wire, { path, query: { retention: '' } })
  wantError(t, none, 404, 'NoSuchObjectLockConfiguration')
  wantError(t, await setHold(wire, `/${BUCKET}/none`, 'ON'), 404, 'NoSuchKey')
  t.equal((await deleteVersion(wire, path, versionId)).status, 204, 'nothing is locked')
}

async function eventHolds(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/event-held`
  const headers = { 'x-amz-object-lock-event-hold': 'ON' }
  for (const wanted of [
    { method: 'PUT', path, body: 'x', headers },
    { method: 'PUT', path, headers: { ...headers, 'x-amz-copy-source': path } },
    { method: 'POST', path, query: { uploads: '' }, headers },
  ])
    wantError(t, await ask(wire, wanted), 501, 'NotImplemented', {
      Header: Object.keys(headers)[0]!,
    })
  const versionId = await putVersion(wire, path, lockHeaders('GOVERNANCE', inDays(1)))
  const retain = (inner: string): Promise<Answer> =>
    ask(wire, {
      ...{ method: 'PUT', path, query: { retention: '' } },
      body: `<Retention>${inner}</Retention>`,
      headers: { 'x-amz-bypass-governance-retention': 'true' },
    })
  const hold = '<EventHold>ON</EventHold><EventHoldDuration><Days>1</Days></EventHoldDuration>'
  wantError(t, await retain(hold), 501, 'NotImplemented', { AdditionalMessage: 'EventHold' })
  wantError(t, await retain('<mode>GOVERNANCE</mode>'), 400, 'MalformedXML')
  wantError(t, await deleteVersion(wire, path, versionId), 403, 'AccessDenied', {}, 'still locked')
  const given =
    '<Mode>GOVERNANCE</Mode><Days>1</Days><DefaultEventHold><Days>1</Days></DefaultEventHold>'
  const rule = `<Rule><DefaultRetention>${given}</DefaultRetention></Rule>`
  const expected = { AdditionalMessage: 'DefaultEventHold' }
  wantError(t, await configure(wire, rule), 501, 'NotImplemented', expected)
}

async function protect(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/protected`
  const versionId = await putVersion(wire, path, lockHeaders('COMPLIANCE', inDays(1)))
  const denied = await deleteVersion(wire, path, versionId)
  wantError(t, denied, 403, 'AccessDenied', { Message: PROTECTED }, 'DeleteObject')

  const key = 'protected'
  const body = `<Delete><Object><Key>${key}</Key><VersionId>${versionId}</VersionId></Object></Delete>`
  const headers = { 'content-md5': md5(body) }
  const many = await ask(wire, {
    method: 'POST',
    path: `/${BUCKET}`,
    query: { delete: '' },
    body,
    headers,
  })
  t.equal(many.status, 200)
  t.equal(elementOf(many, 'Code'), 'AccessDenied', 'DeleteObjects')
  t.equal(elementOf(many, 'Message'), PROTECTED)
  t.same(elementsOf(many, 'Deleted'), [])

  const plain = await ask(wire, { method: 'DELETE', path })
  t.equal(plain.status, 204, 'a delete marker is allowed')
  t.equal(plain.headers['x-amz-delete-marker'], 'true')
  t.equal((await putVersion(wire, path)).length > 0, true, 'and so is another version')
  const kept = await ask(wire, { path, query: { versionId } })
  t.equal(kept.text, 'locked')
  wantError(t, await ask(wire, { method: 'DELETE', path: `/${BUCKET}` }), 409, 'BucketNotEmpty')
  t.equal((await ask(wire, { path, query: { versionId } })).status, 200)
  const marker = plain.headers['x-amz-version-id']!
  t.equal((await deleteVersion(wire, path, marker)).status, 204, 'markers are never locked')
}

async function governance(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/governance`
  const versionId = await putVersion(wire, path, lockHeaders('GOVERNANCE', inDays(2)))
  wantError(t, await deleteVersion(wire, path, versionId), 403, 'AccessDenied')
  const longer = { mode: 'GOVERNANCE', until: inDays(3) }
  t.equal((await setRetention(wire, path, longer)).status, 200, 'longer is always allowed')
  const shorter = { mode: 'GOVERNANCE', until: inDays(1) }
  wantError(t, await setRetention(wire, path, shorter), 403, 'AccessDenied', { Message: PROTECTED })
  wantError(t, await setRetention(wire, path, undefined), 403, 'AccessDenied')
  const stricter = { ...longer, mode: 'COMPLIANCE' }
  wantError(t, await setRetention(wire, path, stricter), 403, 'AccessDenied', {}, 'another mode')
  t.equal((await setRetention(wire, path, shorter, BYPASS)).status, 200)
  const shown = await ask(wire, { path, query: { retention: '' } })
  t.equal(elementOf(shown, 'RetainUntilDate'), shorter.until)
  t.equal((await deleteVersion(wire, path, versionId, BYPASS)).status, 204)
  wantError(t, await ask(wire, { path, query: { versionId } }), 404, 'NoSuchVersion')

  const lifted = await putVersion(wire, path, lockHeaders('GOVERNANCE', inDays(2)))
  t.equal((await setRetention(wire, path, undefined, BYPASS)).status, 200, 'an empty one lifts it')
  t.equal((await deleteVersion(wire, path, lifted)).status, 204)

  const body = `<Delete><Object><Key>governance</Key><VersionId>${await putVersion(wire, path, lockHeaders('GOVERNANCE', inDays(2)))}</VersionId></Object></Delete>`
  const headers = { 'content-md5': md5(body), ...BYPASS }
  const many = await ask(wire, {
    method: 'POST',
    path: `/${BUCKET}`,
    query: { delete: '' },
    body,
    headers,
  })
  t.equal(elementOf(many, 'Code'), undefined, 'DeleteObjects with bypass')
}

async function compliance(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/compliance`
  const until = inDays(2)
  const versionId = await putVersion(wire, path, lockHeaders('COMPLIANCE', until))
  const weaker = [
    { mode: 'COMPLIANCE', until: inDays(1) },
    { mode: 'GOVERNANCE', until: inDays(3) },
    undefined,
  ]
  for (const headers of [{}, BYPASS]) {
    for (const retention of weaker) {
      const answer = await setRetention(wire, path, retention, headers)
      wantError(t, answer, 403, 'AccessDenied', { Message: PROTECTED }, JSON.stringify(retention))
    }
    wantError(t, await deleteVersion(wire, path, versionId, headers), 403, 'AccessDenied')
  }
  const { headers } = await ask(wire, { method: 'HEAD', path })
  t.equal(headers['x-amz-object-lock-mode'], 'COMPLIANCE')
  t.equal(headers['x-amz-object-lock-retain-until-date'], until)
  const longer = { mode: 'COMPLIANCE', until: inDays(3) }
  t.equal((await setRetention(wire, path, longer)).status, 200, 'longer is allowed')
}

async function legalHold(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/held`
  const versionId = await putVersion(wire, path)
  const set = await setHold(wire, path, 'ON')
  t.equal(set.headers['x-amz-version-id'], versionId)
  for (const headers of [{}, BYPASS]) {
    const answer = await deleteVersion(wire, path, versionId, headers)
    wantError(t, answer, 403, 'AccessDenied', { Message: PROTECTED })
  }
  t.equal((await setHold(wire, path, 'OFF')).status, 200)
  const shown = await ask(wire, { path, query: { 'legal-hold': '' } })
  t.equal(elementOf(shown, 'Status'), 'OFF')
  t.equal((await ask(wire, { path })).headers['x-amz-object-lock-legal-hold'], 'OFF')
  t.equal((await deleteVersion(wire, path, versionId)).status, 204)
}

async function uploads(t: Test, wire: Wire): Promise<void> {
  const path = `/${BUCKET}/uploaded`
  const sent = { ...lockHeaders('COMPLIANCE', inDays(1)), 'x-amz-object-lock-legal-hold': 'ON' }
  await (await beginUpload(wire, path, sent))()
  const { headers } = await ask(wire, { method: 'HEAD', path })
  for (const [name, value] of Object.entries(sent)) t.equal(headers[name], value, name)
  const answer = await deleteVersion(wire, path, headers['x-amz-version-id']!)
  wantError(t, answer, 403, 'AccessDenied')

  const byDefault = `/${BUCKET}/uploaded-by-default`
  const rule =
    '<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>'
  t.equal((await configure(wire, rule)).status, 200)
  const complete = await beginUpload(wire, byDefault)
  const completedMs = Date.now()
  await complete()
  t.equal((await configure(wire, '')).status, 200)
  const shown = await ask(wire, { method: 'HEAD', path: byDefault })
  t.equal(shown.headers['x-amz-object-lock-mode'], 'GOVERNANCE')
  const until = Date.parse(shown.headers['x-amz-object-lock-retain-until-date']!)
  t.ok(until >= completedMs + DAY_MS, 'the default counts from the end of the upload')
}

/** Begins an upload of one part; returns how to complete it. */
async function beginUpload(wire: Wire, path: string, headers = {}): Promise<() => Promise<void>> {
  const created = await ask(wire, { method: 'POST', path, query: { uploads: '' }, headers })
  const uploadId = elementOf(created, 'UploadId')!
  const query = { uploadId, partNumber: '1' }
  const { headers: part } = await ask(wire, { method: 'PUT', path, query, body: 'x' })
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.etag}</ETag></Part></CompleteMultipartUpload>`
  return async () => {
    const done = await ask(wire, { method: 'POST', path, query: { uploadId }, body })
    if (done.status !== 200) throw new Error(done.text)
  }
}
