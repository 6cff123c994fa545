// Every operation that is recognised and not built answers as docs/operations.md says (pitfalls 7, 57, 96, 116).
import t from 'tap'
import { OPERATION_NAMES, type OperationName } from '../../../../src/gateway/operation-names.ts'
import { notImplemented } from '../../../../src/gateway/operations/unconfigured.ts'
import { operations } from '../../../../src/gateway/operations.ts'
import { openGateway, texts } from './fake-call.ts'

/** Operations on an object, of those that are not built. */
const ON_OBJECTS =
  /Object(Acl|Annotations?|Attributes|Encryption|LegalHold|Retention|Tagging|Torrent)$/

async function withObject() {
  const gateway = await openGateway()
  await gateway.ask('PutObject', { key: 'a', body: 'x' })
  return gateway
}

t.test('what was never set is an error where S3 calls it one (pitfall 96)', async (t) => {
  const { refused } = await withObject()
  const rows: [operation: OperationName, code: string][] = [
    ['GetBucketPolicy', 'NoSuchBucketPolicy'],
    ['GetBucketPolicyStatus', 'NoSuchBucketPolicy'],
    ['GetBucketCors', 'NoSuchCORSConfiguration'],
    ['GetBucketLifecycleConfiguration', 'NoSuchLifecycleConfiguration'],
    ['GetBucketWebsite', 'NoSuchWebsiteConfiguration'],
    ['GetPublicAccessBlock', 'NoSuchPublicAccessBlockConfiguration'],
    ['GetBucketReplication', 'ReplicationConfigurationNotFoundError'],
    ['GetBucketEncryption', 'ServerSideEncryptionConfigurationNotFoundError'],
    ['GetBucketTagging', 'NoSuchTagSet'],
    ['GetBucketInventoryConfiguration', 'NoSuchConfiguration'],
  ]
  for (const [operation, code] of rows) {
    const expected = { code, status: 404, elements: { BucketName: 'photos' } }
    t.match(await refused(operation), expected, operation)
  }
})

t.test('and an empty document where it does not (pitfall 96)', async (t) => {
  const { ask } = await withObject()
  const rows: [operation: OperationName, root: string][] = [
    ['GetBucketVersioning', 'VersioningConfiguration'],
    ['GetBucketLogging', 'BucketLoggingStatus'],
    ['GetBucketNotificationConfiguration', 'NotificationConfiguration'],
    ['GetBucketAccelerateConfiguration', 'AccelerateConfiguration'],
  ]
  for (const [operation, root] of rows) {
    const { text } = await ask(operation)
    t.ok(text.endsWith(`<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></${root}>`), text)
  }
  t.same(texts((await ask('GetBucketRequestPayment')).text, 'Payer'), ['BucketOwner'])
  t.match((await ask('ListBucketMetricsConfigurations')).text, /<IsTruncated>false</)
})

t.test('ownership is what it is: set again, never otherwise, never cleared', async (t) => {
  const { ask, refused } = await withObject()
  const { text } = await ask('GetBucketOwnershipControls')
  const rule = '<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>'
  t.ok(text.endsWith(`>${rule}</OwnershipControls>`), text)
  const put = (body: string) => ({ body: `<OwnershipControls>${body}</OwnershipControls>` })
  t.match(await ask('PutBucketOwnershipControls', put(rule)), { status: 200 })
  for (const word of ['BucketOwnerPreferred', 'ObjectWriter']) {
    const other = put(rule.replace('BucketOwnerEnforced', word))
    const error = await refused('PutBucketOwnershipControls', other)
    t.match(error, { code: 'NotImplemented' }, word)
  }
  for (const body of ['', rule + rule, rule.replace('Enforced', ''), '<Rule></Rule>']) {
    const error = await refused('PutBucketOwnershipControls', put(body))
    t.match(error, { code: 'MalformedXML' }, body)
  }
  t.match(await refused('DeleteBucketOwnershipControls'), { code: 'NotImplemented' })
})

t.test('the owner may do everything', async (t) => {
  const { ask } = await withObject()
  for (const [operation, key] of [
    ['GetBucketAcl', ''],
    ['GetObjectAcl', 'a'],
  ] as const) {
    const { text } = await ask(operation, { key })
    t.same(texts(text, 'Permission'), ['FULL_CONTROL'])
    const ids = texts(text, 'ID')
    t.equal(ids.length, 2)
    t.equal(ids[0], ids[1])
  }
})

t.test('clearing what was never set is 204 (pitfall 57)', async (t) => {
  const { ask } = await withObject()
  const cleared = ['DeleteBucketPolicy', 'DeleteBucketCors', 'DeletePublicAccessBlock'] as const
  for (const operation of cleared) t.equal((await ask(operation)).status, 204, operation)
})

t.test('everything else that is not built is 501 (pitfall 7)', async (t) => {
  const { refused } = await withObject()
  const missing = OPERATION_NAMES.filter((name) => operations[name] === notImplemented)
  t.ok(missing.includes('PutBucketPolicy') && missing.includes('RestoreObject'))
  for (const operation of missing) {
    const key = ON_OBJECTS.test(operation) ? 'a' : ''
    const expected = { code: 'NotImplemented', elements: { AdditionalMessage: operation } }
    t.match(await refused(operation, { key }), expected, operation)
  }
})

t.test('bucket and object must be there', async (t) => {
  const { refused } = await withObject()
  for (const operation of [
    'GetBucketCors',
    'DeleteBucketCors',
    'PutBucketCors',
    'GetBucketAcl',
  ] as const)
    t.match(await refused(operation, { bucket: 'none' }), { code: 'NoSuchBucket' }, operation)
  for (const operation of ['GetObjectTagging', 'DeleteObjectTagging', 'GetObjectAcl'] as const)
    t.match(await refused(operation, { key: 'none' }), { code: 'NoSuchKey' }, operation)
})

t.test('a preflight says that CORS is off (pitfall 116)', async (t) => {
  const { refused } = await openGateway()
  const headers = { origin: 'http://a', 'access-control-request-method': 'PUT' }
  t.match(await refused('CorsPreflight', { key: 'a', headers }), {
    code: 'AccessForbidden',
    status: 403,
    message: 'CORSResponse: CORS is not enabled for this bucket.',
    elements: { Method: 'PUT', ResourceType: 'BUCKET' },
  })
  t.match(await refused('CorsPreflight', { key: 'a', headers: { origin: 'http://a' } }), {
    elements: { Method: 'OPTIONS', ResourceType: 'BUCKET' },
  })
  t.match(await refused('CorsPreflight'), { code: 'BadRequest' })
  const enabled = 'CORSResponse: CORS is not enabled for this bucket.'
  const rows: [bucket: string, strict: boolean, message: string][] = [
    ['none', false, enabled],
    ['photos', true, enabled],
    ['none', true, 'CORSResponse: Bucket not found'],
  ]
  for (const [bucket, strict, message] of rows)
    t.equal((await refused('CorsPreflight', { bucket, strict, headers })).message, message)
})
