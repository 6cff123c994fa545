// Every operation of the S3 model over the wire: each is answered as itself, and what is not built changes nothing (7).
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { OPERATION_NAMES, type OperationName } from '../../src/gateway/operation-names.ts'
import {
  type Ask,
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

const KEY = 'k'
type Resource = 'service' | 'bucket' | 'object'

/** A request of an operation and what must come: a status, an error code, or a text of the document. */
type Case = [
  method: string,
  resource: Resource,
  query: string,
  answer: number | string | RegExp,
  headers?: Record<string, string>,
]

const ABSENT = 'absent'

/** Operations that are built have files of their own; here it only counts that they answer. */
const CASES: { readonly [Name in OperationName]: Case | 'elsewhere' | 'alias' } = {
  AbortMultipartUpload: ['DELETE', 'object', 'uploadId=none', 'NoSuchUpload'],
  CompleteMultipartUpload: ['POST', 'object', 'uploadId=none', 'NoSuchUpload'],
  CopyObject: ['PUT', 'object', '', 'NoSuchKey', { 'x-amz-copy-source': `/${BUCKET}/${ABSENT}` }],
  CorsPreflight: ['OPTIONS', 'object', '', 'AccessForbidden', { origin: 'http://a' }],
  CreateBucket: 'elsewhere',
  CreateBucketMetadataConfiguration: ['POST', 'bucket', 'metadataConfiguration', 501],
  CreateBucketMetadataTableConfiguration: ['POST', 'bucket', 'metadataTable', 501],
  CreateMultipartUpload: 'elsewhere',
  CreateSession: ['GET', 'bucket', 'session', 501],
  DeleteBucket: ['DELETE', 'bucket', '', 'BucketNotEmpty'],
  DeleteBucketAnalyticsConfiguration: ['DELETE', 'bucket', 'analytics&id=a', 'NoSuchConfiguration'],
  DeleteBucketCors: ['DELETE', 'bucket', 'cors', 204],
  DeleteBucketEncryption: ['DELETE', 'bucket', 'encryption', 204],
  DeleteBucketIntelligentTieringConfiguration: [
    'DELETE',
    'bucket',
    'id=a&intelligent-tiering',
    'NoSuchConfiguration',
  ],
  DeleteBucketInventoryConfiguration: ['DELETE', 'bucket', 'id=a&inventory', 'NoSuchConfiguration'],
  DeleteBucketLifecycle: ['DELETE', 'bucket', 'lifecycle', 204],
  DeleteBucketMetadataConfiguration: ['DELETE', 'bucket', 'metadataConfiguration', 501],
  DeleteBucketMetadataTableConfiguration: ['DELETE', 'bucket', 'metadataTable', 501],
  DeleteBucketMetricsConfiguration: ['DELETE', 'bucket', 'id=a&metrics', 'NoSuchConfiguration'],
  DeleteBucketOwnershipControls: ['DELETE', 'bucket', 'ownershipControls', 501],
  DeleteBucketPolicy: ['DELETE', 'bucket', 'policy', 204],
  DeleteBucketReplication: ['DELETE', 'bucket', 'replication', 204],
  DeleteBucketTagging: ['DELETE', 'bucket', 'tagging', 204],
  DeleteBucketWebsite: ['DELETE', 'bucket', 'website', 204],
  DeleteObject: 'elsewhere',
  DeleteObjectAnnotation: ['DELETE', 'object', 'annotation&annotationName=a', 204],
  DeleteObjectTagging: ['DELETE', 'object', 'tagging', 204],
  DeleteObjects: ['POST', 'bucket', 'delete', 'InvalidRequest'],
  DeletePublicAccessBlock: ['DELETE', 'bucket', 'publicAccessBlock', 204],
  GetBucketAbac: ['GET', 'bucket', 'abac', 501],
  GetBucketAccelerateConfiguration: ['GET', 'bucket', 'accelerate', /<AccelerateConfiguration /],
  GetBucketAcl: ['GET', 'bucket', 'acl', /<AccessControlPolicy .*FULL_CONTROL/],
  GetBucketAnalyticsConfiguration: ['GET', 'bucket', 'analytics&id=a', 'NoSuchConfiguration'],
  GetBucketCors: ['GET', 'bucket', 'cors', 'NoSuchCORSConfiguration'],
  GetBucketEncryption: [
    ...(['GET', 'bucket', 'encryption'] as const),
    'ServerSideEncryptionConfigurationNotFoundError',
  ],
  GetBucketIntelligentTieringConfiguration: [
    ...(['GET', 'bucket', 'id=a&intelligent-tiering'] as const),
    'NoSuchConfiguration',
  ],
  GetBucketInventoryConfiguration: ['GET', 'bucket', 'id=a&inventory', 'NoSuchConfiguration'],
  GetBucketLifecycle: 'alias',
  GetBucketLifecycleConfiguration: ['GET', 'bucket', 'lifecycle', 'NoSuchLifecycleConfiguration'],
  GetBucketLocation: ['GET', 'bucket', 'location', /<LocationConstraint xmlns=/],
  GetBucketLogging: ['GET', 'bucket', 'logging', /<BucketLoggingStatus /],
  GetBucketMetadataConfiguration: ['GET', 'bucket', 'metadataConfiguration', 501],
  GetBucketMetadataTableConfiguration: ['GET', 'bucket', 'metadataTable', 501],
  GetBucketMetricsConfiguration: ['GET', 'bucket', 'id=a&metrics', 'NoSuchConfiguration'],
  GetBucketNotification: 'alias',
  GetBucketNotificationConfiguration: [
    ...(['GET', 'bucket', 'notification'] as const),
    /<NotificationConfiguration /,
  ],
  GetBucketOwnershipControls: [
    ...(['GET', 'bucket', 'ownershipControls'] as const),
    /<ObjectOwnership>BucketOwnerEnforced</,
  ],
  GetBucketPolicy: ['GET', 'bucket', 'policy', 'NoSuchBucketPolicy'],
  GetBucketPolicyStatus: ['GET', 'bucket', 'policyStatus', 'NoSuchBucketPolicy'],
  GetBucketReplication: [
    ...(['GET', 'bucket', 'replication'] as const),
    'ReplicationConfigurationNotFoundError',
  ],
  GetBucketRequestPayment: ['GET', 'bucket', 'requestPayment', /<Payer>BucketOwner</],
  GetBucketTagging: ['GET', 'bucket', 'tagging', 'NoSuchTagSet'],
  GetBucketVersioning: ['GET', 'bucket', 'versioning', /<VersioningConfiguration [^>]*(\/>|><\/)/],
  GetBucketWebsite: ['GET', 'bucket', 'website', 'NoSuchWebsiteConfiguration'],
  GetObject: ['GET', 'object', 'x-id=GetObject', /^kept$/],
  GetObjectAcl: ['GET', 'object', 'acl', /<AccessControlPolicy .*FULL_CONTROL/],
  GetObjectAnnotation: ['GET', 'object', 'annotation&annotationName=a', 404],
  GetObjectAttributes: [
    ...(['GET', 'object', 'attributes', /<ObjectSize>4</] as const),
    { 'x-amz-object-attributes': 'ObjectSize' },
  ],
  GetObjectLegalHold: ['GET', 'object', 'legal-hold', 'InvalidRequest'],
  GetObjectLockConfiguration: [
    ...(['GET', 'bucket', 'object-lock'] as const),
    'ObjectLockConfigurationNotFoundError',
  ],
  GetObjectRetention: ['GET', 'object', 'retention', 'InvalidRequest'],
  GetObjectTagging: ['GET', 'object', 'tagging', /<Tagging [^>]*><TagSet(\/>|><\/TagSet>)/],
  GetObjectTorrent: ['GET', 'object', 'torrent', 501],
  GetPublicAccessBlock: [
    ...(['GET', 'bucket', 'publicAccessBlock'] as const),
    'NoSuchPublicAccessBlockConfiguration',
  ],
  HeadBucket: ['HEAD', 'bucket', '', 200],
  HeadObject: ['HEAD', 'object', '', 200],
  ListBucketAnalyticsConfigurations: [
    ...(['GET', 'bucket', 'analytics'] as const),
    /<ListBucketAnalyticsConfigurationResult /,
  ],
  ListBucketIntelligentTieringConfigurations: [
    ...(['GET', 'bucket', 'intelligent-tiering'] as const),
    /<ListBucketIntelligentTieringConfigurationsOutput /,
  ],
  ListBucketInventoryConfigurations: [
    ...(['GET', 'bucket', 'inventory'] as const),
    /<ListInventoryConfigurationsResult /,
  ],
  ListBucketMetricsConfigurations: [
    ...(['GET', 'bucket', 'metrics'] as const),
    /<ListMetricsConfigurationsResult /,
  ],
  ListBuckets: ['GET', 'service', 'x-id=ListBuckets', /<ListAllMyBucketsResult /],
  ListDirectoryBuckets: ['GET', 'service', 'x-id=ListDirectoryBuckets', 501],
  ListMultipartUploads: ['GET', 'bucket', 'uploads', /<ListMultipartUploadsResult /],
  ListObjectAnnotations: ['GET', 'object', 'annotation', 200],
  ListObjectVersions: ['GET', 'bucket', 'versions', /<VersionId>null</],
  ListObjects: ['GET', 'bucket', '', /<Marker><\/Marker>/],
  ListObjectsV2: ['GET', 'bucket', 'list-type=2', /<KeyCount>1</],
  ListParts: ['GET', 'object', 'uploadId=none', 'NoSuchUpload'],
  PostObject: 'elsewhere',
  PutBucketAbac: ['PUT', 'bucket', 'abac', 501],
  PutBucketAccelerateConfiguration: ['PUT', 'bucket', 'accelerate', 501],
  PutBucketAcl: ['PUT', 'bucket', 'acl', 501],
  PutBucketAnalyticsConfiguration: ['PUT', 'bucket', 'analytics&id=a', 501],
  PutBucketCors: ['PUT', 'bucket', 'cors', 501],
  PutBucketEncryption: ['PUT', 'bucket', 'encryption', 'MalformedXML'],
  PutBucketIntelligentTieringConfiguration: ['PUT', 'bucket', 'id=a&intelligent-tiering', 501],
  PutBucketInventoryConfiguration: ['PUT', 'bucket', 'id=a&inventory', 501],
  PutBucketLifecycle: 'alias',
  PutBucketLifecycleConfiguration: ['PUT', 'bucket', 'lifecycle', 501],
  PutBucketLogging: ['PUT', 'bucket', 'logging', 501],
  PutBucketMetricsConfiguration: ['PUT', 'bucket', 'id=a&metrics', 501],
  PutBucketNotification: 'alias',
  PutBucketNotificationConfiguration: ['PUT', 'bucket', 'notification', 501],
  PutBucketOwnershipControls: ['PUT', 'bucket', 'ownershipControls', 'MalformedXML'],
  PutBucketPolicy: ['PUT', 'bucket', 'policy', 501],
  PutBucketReplication: ['PUT', 'bucket', 'replication', 501],
  PutBucketRequestPayment: ['PUT', 'bucket', 'requestPayment', 501],
  PutBucketTagging: ['PUT', 'bucket', 'tagging', 501],
  PutBucketVersioning: ['PUT', 'bucket', 'versioning', 'MalformedXML'],
  PutBucketWebsite: ['PUT', 'bucket', 'website', 501],
  PutObject: 'elsewhere',
  PutObjectAcl: ['PUT', 'object', 'acl', 501],
  PutObjectAnnotation: ['PUT', 'object', 'annotation&annotationName=a', 200],
  PutObjectLegalHold: ['PUT', 'object', 'legal-hold', 'MalformedXML'],
  PutObjectLockConfiguration: ['PUT', 'bucket', 'object-lock', 'MalformedXML'],
  PutObjectRetention: ['PUT', 'object', 'retention', 'MalformedXML'],
  PutObjectTagging: ['PUT', 'object', 'tagging', 'MalformedXML'],
  PutPublicAccessBlock: ['PUT', 'bucket', 'publicAccessBlock', 501],
  RenameObject: ['PUT', 'object', 'renameObject', 'InvalidRequest'],
  RestoreObject: ['POST', 'object', 'restore', 501],
  SelectObjectContent: ['POST', 'object', 'select&select-type=2', 501],
  UpdateBucketMetadataAnnotationTableConfiguration: [
    'PUT',
    'bucket',
    'metadataAnnotationTable',
    501,
  ],
  UpdateBucketMetadataInventoryTableConfiguration: ['PUT', 'bucket', 'metadataInventoryTable', 501],
  UpdateBucketMetadataJournalTableConfiguration: ['PUT', 'bucket', 'metadataJournalTable', 501],
  UpdateObjectEncryption: ['PUT', 'object', 'encryption', 501],
  UploadPart: ['PUT', 'object', 'partNumber=1&uploadId=none', 'NoSuchUpload'],
  UploadPartCopy: [
    ...(['PUT', 'object', 'partNumber=1&uploadId=none', 'NoSuchUpload'] as const),
    { 'x-amz-copy-source': `/${BUCKET}/${KEY}` },
  ],
  WriteGetObjectResponse: 'elsewhere',
}

function pathOf(resource: Resource, bucket = BUCKET, key = KEY): string {
  if (resource === 'service') return '/'
  return resource === 'bucket' ? `/${bucket}` : `/${bucket}/${key}`
}

function queryOf(text: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(text))
}

t.test('operations', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await put(wire, pathOf('object'), 'kept')
    await t.test('pitfall 7: each operation is itself', async (t) => answerAll(t, wire))
    await t.test('each needs its bucket and its object', async (t) => needTheirs(t, wire))
    await t.test('pitfall 7: what is no operation', async (t) => refuseOthers(t, wire))
    await t.test('headers that ask for more than there is', async (t) => refuseHeaders(t, wire))
    await t.test('the admin port', async (t) => adminPort(t, wire))
  })
})

async function answerAll(t: Test, wire: Wire): Promise<void> {
  for (const name of OPERATION_NAMES) {
    const wanted = CASES[name]
    if (typeof wanted === 'string') continue
    const [method, resource, query, answer, headers = {}] = wanted
    const isCopy = 'x-amz-copy-source' in headers
    const hasBody = (method === 'PUT' || method === 'POST') && !isCopy
    const body = hasBody ? { body: '<Anything/>' } : {}
    const target = { method, path: pathOf(resource), query: queryOf(query), headers, ...body }
    const got = await ask(wire, target)
    if (typeof answer === 'string') t.equal(elementOf(got, 'Code'), answer, name)
    else if (answer instanceof RegExp) t.match(got.text, answer, name)
    else t.equal(got.status, answer, name)
    if (answer === 501) {
      wantError(t, got, 501, 'NotImplemented', { AdditionalMessage: name })
    }
    if (answer instanceof RegExp) t.equal(got.status, 200, name)
  }
  t.same(await namesNotLogged(wire), [], 'all stand in the log by their names')
  t.same(await listed(wire), [KEY])
  t.equal((await ask(wire, { path: pathOf('object') })).text, 'kept', 'nothing was overwritten')
  const buckets = await ask(wire, { path: '/' })
  t.same(elementsOf(buckets, 'Name'), [BUCKET], 'no bucket was made')
}

/** Lines come a little after the answers they are about. */
async function namesNotLogged(wire: Wire): Promise<string[]> {
  const asked = OPERATION_NAMES.filter((name) => typeof CASES[name] !== 'string')
  for (let attempt = 0; ; attempt += 1) {
    const log = wire.server.log()
    const missing = asked.filter((name) => !log.includes(`"operation":"${name}"`))
    if (missing.length === 0 || attempt === 500) return missing
    await sleep(10)
  }
}

async function needTheirs(t: Test, wire: Wire): Promise<void> {
  for (const name of OPERATION_NAMES) {
    const wanted = CASES[name]
    if (typeof wanted === 'string') continue
    const [method, resource, query, , headers = {}] = wanted
    if (resource === 'service' || method === 'HEAD' || method === 'OPTIONS') continue
    const body = method === 'PUT' || method === 'POST' ? { body: '<Anything/>' } : {}
    const path = pathOf(resource, 'no-such-bucket')
    const got = await ask(wire, { method, path, query: queryOf(query), headers, ...body })
    wantError(t, got, 404, 'NoSuchBucket', { BucketName: 'no-such-bucket' }, name)
  }
  for (const query of ['acl', 'tagging']) {
    const got = await ask(wire, { path: pathOf('object', BUCKET, ABSENT), query: queryOf(query) })
    wantError(t, got, 404, 'NoSuchKey', { Key: ABSENT }, query)
  }
  t.equal((await ask(wire, { method: 'HEAD', path: '/no-such-bucket' })).status, 404)
  t.same(elementsOf(await ask(wire, { path: '/' }), 'Name'), [BUCKET])
}

async function refuseOthers(t: Test, wire: Wire): Promise<void> {
  type Other = [string, Resource, string, number, string, Record<string, string>?]
  const cases: Other[] = [
    ['PUT', 'bucket', 'foo-config', 501, 'NotImplemented'],
    ['GET', 'bucket', 'foo-config', 501, 'NotImplemented'],
    ['PUT', 'object', 'foo', 501, 'NotImplemented'],
    ['DELETE', 'object', 'foo', 501, 'NotImplemented'],
    ['DELETE', 'bucket', 'foo', 501, 'NotImplemented'],
    ['DELETE', 'object', 'acl', 405, 'MethodNotAllowed'],
    ['PUT', 'object', 'cors', 501, 'NotImplemented'],
    ['PUT', 'bucket', 'location', 405, 'MethodNotAllowed'],
    ['POST', 'object', '', 405, 'MethodNotAllowed'],
    ['PATCH', 'object', '', 405, 'MethodNotAllowed'],
    ['PUT', 'service', '', 405, 'MethodNotAllowed'],
    ['DELETE', 'service', '', 405, 'MethodNotAllowed'],
    ['POST', 'bucket', '', 412, 'PreconditionFailed'],
    ['GET', 'object', 'uploads', 400, 'InvalidRequest'],
    ['GET', 'object', 'versions', 400, 'InvalidRequest'],
    ['PUT', 'object', 'acl&tagging', 400, 'InvalidArgument'],
    ['PUT', 'object', 'partNumber=1', 400, 'InvalidArgument'],
    ['PUT', 'object', 'versionId=null', 400, 'InvalidArgument'],
    ['POST', 'object', 'uploads&versionId=null', 400, 'InvalidArgument'],
    ['DELETE', 'bucket', 'versionId=null', 400, 'InvalidArgument'],
    ['PUT', 'object', 'uploadId=a', 400, 'InvalidArgument'],
    ['GET', 'object', '', 400, 'InvalidArgument', { 'x-amz-copy-source': '/a/b' }],
    ['DELETE', 'object', '', 400, 'InvalidArgument', { 'x-amz-copy-source': '/a/b' }],
  ]
  for (const [method, resource, query, status, code, headers = {}] of cases) {
    const body = method === 'PUT' || method === 'POST' ? { body: 'other' } : {}
    const wanted = { method, path: pathOf(resource), query: queryOf(query), headers, ...body }
    const answer = await ask(wire, wanted)
    wantError(t, answer, status, code, {}, `${method} ${resource} ?${query}`)
    if (status === 405) t.ok(answer.headers.allow, 'says what is allowed')
  }
  t.equal((await ask(wire, { path: pathOf('object') })).text, 'kept')
  const ignored = { 'x-id': 'GetObject', v: '3' }
  t.equal((await ask(wire, { path: pathOf('object'), query: ignored })).text, 'kept')
}

async function refuseHeaders(t: Test, wire: Wire): Promise<void> {
  const refused: [name: string, value: string][] = [
    ['x-amz-acl', 'public-read'],
    ['x-amz-grant-read', 'id="a"'],
  ]
  for (const [name, value] of refused) {
    const wanted: Ask = { method: 'PUT', path: pathOf('object'), body: 'other' }
    const answer = await ask(wire, { ...wanted, headers: { [name]: value } })
    wantError(t, answer, 501, 'NotImplemented', { Header: name }, name)
    const created = await ask(wire, {
      ...{ method: 'POST', path: pathOf('object'), query: { uploads: '' } },
      headers: { [name]: value },
    })
    wantError(t, created, 501, 'NotImplemented', { Header: name }, `${name} of an upload`)
  }
  const unknown = await ask(wire, {
    ...{ method: 'PUT', path: '/public', headers: { 'x-amz-acl': 'everybody' } },
  })
  wantError(t, unknown, 400, 'InvalidArgument', { ArgumentName: 'x-amz-acl' })
  const bucketAcl = await ask(wire, {
    ...{ method: 'PUT', path: '/public', headers: { 'x-amz-acl': 'public-read' } },
  })
  wantError(t, bucketAcl, 501, 'NotImplemented', { Header: 'x-amz-acl' })
  const owner = { 'x-amz-expected-bucket-owner': '123456789012' }
  const expected = await ask(wire, { path: pathOf('object'), headers: owner })
  wantError(t, expected, 403, 'AccessDenied', {}, 'another owner (120)')
  for (const path of [pathOf('object'), '/none']) {
    const answer = await ask(wire, { path, headers: { 'x-amz-expected-bucket-owner': '' } })
    wantError(t, answer, 400, 'InvalidBucketOwnerAWSAccountID')
  }
  t.equal((await ask(wire, { path: pathOf('object') })).text, 'kept')
  await put(wire, pathOf('object'), 'kept', {
    ...{ 'x-amz-acl': 'private', 'x-amz-tagging': '', 'x-amz-api-version': '2006-03-01' },
    ...{ 'amz-sdk-invocation-id': 'a', 'amz-sdk-request': 'attempt=1; max=3' },
  })
  await put(wire, pathOf('object'), 'kept', { 'x-amz-acl': 'bucket-owner-full-control' })
  const uploads = await ask(wire, { path: `/${BUCKET}`, query: { uploads: '' } })
  t.same(elementsOf(uploads, 'UploadId'), [], 'no upload was begun')
}

async function adminPort(t: Test, wire: Wire): Promise<void> {
  const { adminEndpoint } = wire.server
  const metrics = await (await fetch(`${adminEndpoint}/metrics`)).text()
  t.match(metrics, /kintsugi_s3_requests_total\{operation="GetObject",status="200"\} \d+/)
  t.match(metrics, /kintsugi_s3_requests_total\{operation="PutObjectAcl",status="501"\} \d+/)
  t.match(metrics, /kintsugi_s3_requests_in_flight \d+/)
  t.match(metrics, /kintsugi_s3_request_seconds_bucket/)
  for (const path of ['/health/live', '/health/ready']) {
    t.equal((await fetch(adminEndpoint + path)).status, 200, path)
  }
  t.equal((await fetch(`${adminEndpoint}/${BUCKET}/${KEY}`)).status, 404, 'no S3 there')
  t.equal((await ask(wire, { path: '/metrics' })).status, 404, 'a bucket like any other')
}
