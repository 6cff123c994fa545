// Object Lock: of the bucket, and of versions (pitfall 118).
import t from 'tap'
import type { VersionEdit } from '../../../../src/objects/object-store.ts'
import { openGateway, texts } from './fake-call.ts'
import { STORE_TIME_MS } from './memory-store.ts'

const LATER = new Date(STORE_TIME_MS + 3_600_000).toISOString()
const MISSING = { code: 'InvalidRequest', message: 'Bucket is missing Object Lock Configuration' }
const ENABLED = { 'x-amz-bucket-object-lock-enabled': 'true' }

const configuration = (rule = '') =>
  `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`
const defaultRule = (inner: string) =>
  configuration(`<Rule><DefaultRetention>${inner}</DefaultRetention></Rule>`)
const retention = (mode: string, until: string) =>
  `<Retention><Mode>${mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`

async function openLocked() {
  const gateway = await openGateway()
  await gateway.ask('CreateBucket', { bucket: 'safe', headers: ENABLED })
  return gateway
}

t.test('a bucket that is made for locks keeps versions', async (t) => {
  const { ask, refused, store } = await openLocked()
  t.same(store.findBucket('safe')?.settings, { versioning: 'enabled', objectLock: {} })
  const { text } = await ask('GetObjectLockConfiguration', { bucket: 'safe' })
  t.same(texts(text, 'ObjectLockEnabled'), ['Enabled'])
  t.notMatch(text, /Rule/)
  t.equal((await ask('CreateBucket', { bucket: 'safe', headers: ENABLED })).status, 200)
  const unlocked = await refused('CreateBucket', { bucket: 'photos', headers: ENABLED })
  t.match(unlocked, { code: 'BucketAlreadyOwnedByYou' }, 'a lock is never promised in vain')
  const bad = { 'x-amz-bucket-object-lock-enabled': 'yes' }
  t.match(await refused('CreateBucket', { bucket: 'new', headers: bad }), {
    code: 'InvalidArgument',
  })
  t.match(await refused('GetObjectLockConfiguration'), {
    code: 'ObjectLockConfigurationNotFoundError',
    status: 404,
  })
})

t.test('default retention in days or years', async (t) => {
  const { ask, store } = await openLocked()
  const set = (body: string) => ask('PutObjectLockConfiguration', { bucket: 'safe', body })
  await set(defaultRule('<Mode>COMPLIANCE</Mode><Years>7</Years>'))
  const { text } = await ask('GetObjectLockConfiguration', { bucket: 'safe' })
  t.match(
    text,
    '<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>7</Years></DefaultRetention></Rule>',
  )
  await set(defaultRule('<Mode>GOVERNANCE</Mode><Days>36500</Days>'))
  t.same(store.findBucket('safe')?.settings?.objectLock, {
    defaultRetention: { mode: 'GOVERNANCE', days: 36500 },
  })
  await ask('PutObject', { bucket: 'safe', key: 'a' })
  const { headers } = await ask('HeadObject', { bucket: 'safe', key: 'a' })
  t.equal(headers['x-amz-object-lock-mode'], 'GOVERNANCE')
  t.match(headers['x-amz-object-lock-retain-until-date'], /^2126-10-/)
  await set(configuration())
  t.same(store.findBucket('safe')?.settings?.objectLock, {}, 'no rule, no default')
})

t.test('configurations that can not be', async (t) => {
  const { refused } = await openLocked()
  const set = (body: string, strict = false) =>
    refused('PutObjectLockConfiguration', { bucket: 'safe', body, strict })
  const mode = '<Mode>GOVERNANCE</Mode>'
  t.match(await set(''), { code: 'MissingRequestBodyError' })
  for (const body of [
    '<ObjectLockConfiguration/>',
    configuration().replace('Enabled<', 'Disabled<'),
    configuration('<Rule/>'),
    defaultRule('<Days>1</Days>'),
    defaultRule(mode),
    defaultRule('<Mode>governance</Mode><Days>1</Days>'),
    defaultRule(`${mode}<Days>1</Days><Years>1</Years>`),
    defaultRule(`${mode}<Days>one</Days>`),
    defaultRule(`${mode}<Days>1.5</Days>`),
  ])
    t.match(await set(body), { code: 'MalformedXML' }, body)
  for (const period of [
    '<Days>0</Days>',
    '<Days>36501</Days>',
    '<Years>-1</Years>',
    '<Years>101</Years>',
  ]) {
    t.match(await set(defaultRule(mode + period)), { code: 'InvalidRetentionPeriod', status: 400 })
    t.match(await set(defaultRule(mode + period), true), { code: 'InvalidArgument' }, 'on AWS')
  }
  t.match(await refused('PutObjectLockConfiguration', { body: configuration() }), {
    code: 'InvalidBucketState',
    status: 409,
    message: "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
  })
})

t.test('a bucket that keeps versions may be locked later', async (t) => {
  const { ask, store } = await openGateway()
  await store.changeBucket(store.findBucket('photos')!, { versioning: 'enabled' })
  t.equal((await ask('PutObjectLockConfiguration', { body: configuration() })).status, 200)
  t.same(store.findBucket('photos')?.settings?.objectLock, {})
})

t.test('without a lock of the bucket there is none of objects', async (t) => {
  const { ask, refused } = await openGateway()
  await ask('PutObject', { key: 'a' })
  const body = retention('GOVERNANCE', LATER)
  t.match(await refused('PutObjectRetention', { key: 'a', body }), MISSING)
  t.match(await refused('GetObjectRetention', { key: 'a' }), MISSING)
  t.match(
    await refused('PutObjectLegalHold', {
      key: 'a',
      body: '<LegalHold><Status>ON</Status></LegalHold>',
    }),
    MISSING,
  )
  t.match(await refused('GetObjectLegalHold', { key: 'a' }), MISSING)
  const headers = { 'x-amz-object-lock-legal-hold': 'ON' }
  t.match(await refused('PutObject', { key: 'a', headers }), MISSING)
})

t.test('retention and hold of a version', async (t) => {
  const { ask, refused } = await openLocked()
  const { headers } = await ask('PutObject', { bucket: 'safe', key: 'a' })
  const which = { bucket: 'safe', key: 'a' }
  t.match(await refused('GetObjectRetention', which), { code: 'NoSuchObjectLockConfiguration' })
  t.match(await refused('GetObjectLegalHold', which), { code: 'NoSuchObjectLockConfiguration' })
  const put = await ask('PutObjectRetention', { ...which, body: retention('GOVERNANCE', LATER) })
  t.equal(put.headers['x-amz-version-id'], headers['x-amz-version-id'])
  const { text } = await ask('GetObjectRetention', which)
  t.same(texts(text, 'Mode'), ['GOVERNANCE'])
  t.same(texts(text, 'RetainUntilDate'), [LATER])
  for (const status of ['ON', 'OFF']) {
    const body = `<LegalHold><Status>${status}</Status></LegalHold>`
    t.equal((await ask('PutObjectLegalHold', { ...which, body })).status, 200)
    t.same(texts((await ask('GetObjectLegalHold', which)).text, 'Status'), [status])
  }
  const body = '<LegalHold><Status>on</Status></LegalHold>'
  t.match(await refused('PutObjectLegalHold', { ...which, body }), { code: 'MalformedXML' })
})

t.test('retentions that can not be', async (t) => {
  const { ask, refused } = await openLocked()
  await ask('PutObject', { bucket: 'safe', key: 'a' })
  const set = (body: string) => refused('PutObjectRetention', { bucket: 'safe', key: 'a', body })
  for (const body of [
    '',
    '<Retention><Mode>GOVERNANCE</Mode></Retention>',
    `<Retention><RetainUntilDate>${LATER}</RetainUntilDate></Retention>`,
    retention('governance', LATER),
    retention('GOVERNANCE', '2126-01-01'),
  ])
    t.match(await set(body), { code: 'MalformedXML' }, body)
  const past = new Date(STORE_TIME_MS).toISOString()
  t.match(await set(retention('GOVERNANCE', past)), {
    code: 'InvalidArgument',
    message: 'The retain until date must be in the future!',
    elements: { ArgumentName: 'RetainUntilDate', ArgumentValue: past },
  })
})

t.test('bypass is handed on, and what stays locked is denied', async (t) => {
  const { ask, refused, store } = await openLocked()
  await ask('PutObject', { bucket: 'safe', key: 'a' })
  const edits: VersionEdit[] = []
  store.edit = async (_bucket, _key, _versionId, edit) => {
    edits.push(edit)
    return { kind: 'locked' }
  }
  const which = { bucket: 'safe', key: 'a', body: '<Retention/>' }
  const headers = { 'x-amz-bypass-governance-retention': 'true' }
  t.match(await refused('PutObjectRetention', { ...which, headers }), {
    code: 'AccessDenied',
    message: 'Access Denied because object protected by object lock.',
  })
  await refused('PutObjectRetention', which)
  await refused('PutObjectRetention', { ...which, headers, anonymous: true })
  t.same(edits, [
    { what: 'retention', retention: undefined, bypass: true },
    { what: 'retention', retention: undefined, bypass: false },
    { what: 'retention', retention: undefined, bypass: false },
  ])
})

t.test('what is renamed gets the default retention of its bucket where it has none', async (t) => {
  const { ask } = await openLocked()
  const rename = (source: string, key: string) =>
    ask('RenameObject', { bucket: 'safe', key, headers: { 'x-amz-rename-source': source } })
  const lockOf = async (key: string) => {
    const { headers } = await ask('HeadObject', { bucket: 'safe', key })
    return headers['x-amz-object-lock-mode']
  }
  await ask('PutObject', { bucket: 'safe', key: 'bare' })
  const body = defaultRule('<Mode>COMPLIANCE</Mode><Days>1</Days>')
  await ask('PutObjectLockConfiguration', { bucket: 'safe', body })
  const own = {
    'x-amz-object-lock-mode': 'GOVERNANCE',
    'x-amz-object-lock-retain-until-date': LATER,
  }
  await ask('PutObject', { bucket: 'safe', key: 'own', headers: own })
  t.equal(await lockOf('bare'), undefined)
  await rename('bare', 'bare 2')
  await rename('own', 'own 2')
  t.equal(await lockOf('bare 2'), 'COMPLIANCE')
  t.equal(await lockOf('own 2'), 'GOVERNANCE')
})
