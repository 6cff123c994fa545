// Which operation a request is: every operation of the S3 model, and everything that is none.
import t from 'tap'
import { OPERATION_NAMES, type OperationName } from '../../../src/gateway/operation-names.ts'
import { type Recognised, recognise } from '../../../src/gateway/recognise.ts'

interface Sent {
  host?: string
  headers?: Record<string, string>
}

function read(line: string, { host = '127.0.0.1:9000', headers = {} }: Sent = {}): Recognised {
  const [method = '', url = ''] = line.split(' ')
  return recognise({ method, url, headers: { host, ...headers } }, ['localhost', 's3.example.org'])
}

// Two names of the model for one request: the newer is used.
const SAME_ON_THE_WIRE: readonly OperationName[] = [
  'GetBucketLifecycle',
  'GetBucketNotification',
  'PutBucketLifecycle',
  'PutBucketNotification',
]

const COPY = { headers: { 'x-amz-copy-source': '/b/k' } }
const FORM = { headers: { 'content-type': 'multipart/form-data; boundary=x' } }

const TABLE: readonly [line: string, operation: OperationName, sent?: Sent][] = [
  ['GET /', 'ListBuckets'],
  ['GET /?x-id=ListBuckets', 'ListBuckets'],
  ['GET /?max-buckets=10&prefix=a', 'ListBuckets'],
  ['GET /?x-id=ListDirectoryBuckets', 'ListDirectoryBuckets'],
  ['POST /WriteGetObjectResponse', 'WriteGetObjectResponse'],
  ['PUT /bkt', 'CreateBucket'],
  ['PUT /bkt/', 'CreateBucket'],
  ['HEAD /bkt', 'HeadBucket'],
  ['DELETE /bkt', 'DeleteBucket'],
  ['GET /bkt', 'ListObjects'],
  ['GET /bkt/?delimiter=&encoding-type=url&max-keys=2&marker=a', 'ListObjects'],
  ['GET /bkt?list-type=2&prefix=a', 'ListObjectsV2'],
  ['GET /bkt?list-type=3', 'ListObjects'],
  ['GET /bkt?versions', 'ListObjectVersions'],
  ['GET /bkt?versions=&key-marker=a', 'ListObjectVersions'],
  ['GET /bkt?uploads', 'ListMultipartUploads'],
  ['POST /bkt?delete', 'DeleteObjects'],
  ['POST /bkt/?delete=', 'DeleteObjects'],
  ['POST /bkt', 'PostObject', FORM],
  ['OPTIONS /bkt/k', 'CorsPreflight'],
  ['OPTIONS /bkt', 'CorsPreflight'],
  ['POST /bkt?metadataConfiguration', 'CreateBucketMetadataConfiguration'],
  ['POST /bkt?metadataTable', 'CreateBucketMetadataTableConfiguration'],
  ['GET /bkt?session', 'CreateSession'],
  ['PUT /bkt?metadataAnnotationTable', 'UpdateBucketMetadataAnnotationTableConfiguration'],
  ['PUT /bkt?metadataInventoryTable', 'UpdateBucketMetadataInventoryTableConfiguration'],
  ['PUT /bkt?metadataJournalTable', 'UpdateBucketMetadataJournalTableConfiguration'],
  ['GET /bkt/k', 'GetObject'],
  ['GET /bkt/k?partNumber=1&versionId=v&response-content-type=a/b', 'GetObject'],
  ['GET /bkt/k?v=123', 'GetObject'],
  ['HEAD /bkt/k', 'HeadObject'],
  ['PUT /bkt/k', 'PutObject'],
  ['PUT /bkt/k?x-id=PutObject', 'PutObject'],
  ['PUT /bkt/k', 'CopyObject', COPY],
  ['PUT /bkt/k?partNumber=1&uploadId=u', 'UploadPart'],
  ['PUT /bkt/k?uploadId=u&partNumber=1', 'UploadPartCopy', COPY],
  ['DELETE /bkt/k', 'DeleteObject'],
  ['DELETE /bkt/k?versionId=v', 'DeleteObject'],
  ['POST /bkt/k?uploads', 'CreateMultipartUpload'],
  ['POST /bkt/k?uploads=', 'CreateMultipartUpload'],
  ['POST /bkt/k?uploadId=u', 'CompleteMultipartUpload'],
  ['DELETE /bkt/k?uploadId=u', 'AbortMultipartUpload'],
  ['GET /bkt/k?uploadId=u&max-parts=1', 'ListParts'],
  ['POST /bkt/k?restore', 'RestoreObject'],
  ['POST /bkt/k?select&select-type=2', 'SelectObjectContent'],
  ['PUT /bkt/k?renameObject', 'RenameObject'],
  ['PUT /bkt/k?encryption', 'UpdateObjectEncryption'],
  ['GET /bkt/k?attributes', 'GetObjectAttributes'],
  ['GET /bkt/k?torrent', 'GetObjectTorrent'],
  ['GET /bkt/k?annotation', 'ListObjectAnnotations'],
  ['GET /bkt/k?annotation&annotationName=n', 'GetObjectAnnotation'],
  ['PUT /bkt/k?annotation', 'PutObjectAnnotation'],
  ['DELETE /bkt/k?annotation', 'DeleteObjectAnnotation'],
  ['GET /bkt/k?legal-hold', 'GetObjectLegalHold'],
  ['PUT /bkt/k?legal-hold', 'PutObjectLegalHold'],
  ['GET /bkt/k?retention', 'GetObjectRetention'],
  ['PUT /bkt/k?retention', 'PutObjectRetention'],
  ['GET /bkt/k?acl', 'GetObjectAcl'],
  ['PUT /bkt/k?acl', 'PutObjectAcl'],
  ['GET /bkt/k?tagging', 'GetObjectTagging'],
  ['PUT /bkt/k?tagging', 'PutObjectTagging'],
  ['DELETE /bkt/k?tagging', 'DeleteObjectTagging'],
  ['GET /bkt?object-lock', 'GetObjectLockConfiguration'],
  ['PUT /bkt?object-lock', 'PutObjectLockConfiguration'],
  ['GET /bkt?location', 'GetBucketLocation'],
  ['GET /bkt?policyStatus', 'GetBucketPolicyStatus'],
  ['GET /bkt?lifecycle', 'GetBucketLifecycleConfiguration'],
  ['PUT /bkt?lifecycle', 'PutBucketLifecycleConfiguration'],
  ['DELETE /bkt?lifecycle', 'DeleteBucketLifecycle'],
  ['GET /bkt?notification', 'GetBucketNotificationConfiguration'],
  ['PUT /bkt?notification', 'PutBucketNotificationConfiguration'],
  ['GET /bkt?publicAccessBlock', 'GetPublicAccessBlock'],
  ['PUT /bkt?publicAccessBlock', 'PutPublicAccessBlock'],
  ['DELETE /bkt?publicAccessBlock', 'DeletePublicAccessBlock'],
  ['GET /bkt?accelerate', 'GetBucketAccelerateConfiguration'],
  ['PUT /bkt?accelerate', 'PutBucketAccelerateConfiguration'],
  ['GET /bkt?metadataConfiguration', 'GetBucketMetadataConfiguration'],
  ['DELETE /bkt?metadataConfiguration', 'DeleteBucketMetadataConfiguration'],
  ['GET /bkt?metadataTable', 'GetBucketMetadataTableConfiguration'],
  ['DELETE /bkt?metadataTable', 'DeleteBucketMetadataTableConfiguration'],
  ...configurations('analytics', 'Analytics'),
  ...configurations('intelligent-tiering', 'IntelligentTiering'),
  ...configurations('inventory', 'Inventory'),
  ...configurations('metrics', 'Metrics'),
  ...settings('abac', 'Abac', 'GET PUT'),
  ...settings('acl', 'Acl', 'GET PUT'),
  ...settings('cors', 'Cors', 'GET PUT DELETE'),
  ...settings('encryption', 'Encryption', 'GET PUT DELETE'),
  ...settings('logging', 'Logging', 'GET PUT'),
  ...settings('ownershipControls', 'OwnershipControls', 'GET PUT DELETE'),
  ...settings('policy', 'Policy', 'GET PUT DELETE'),
  ...settings('replication', 'Replication', 'GET PUT DELETE'),
  ...settings('requestPayment', 'RequestPayment', 'GET PUT'),
  ...settings('tagging', 'Tagging', 'GET PUT DELETE'),
  ...settings('versioning', 'Versioning', 'GET PUT'),
  ...settings('website', 'Website', 'GET PUT DELETE'),
]

/** `GET ?metrics` lists, `GET ?metrics&id=` gets one. */
function configurations(parameter: string, name: string): [string, OperationName][] {
  return [
    [`GET /bkt?${parameter}`, `ListBucket${name}Configurations`],
    [`GET /bkt?${parameter}&id=x`, `GetBucket${name}Configuration`],
    [`PUT /bkt?${parameter}&id=x`, `PutBucket${name}Configuration`],
    [`DELETE /bkt?id=x&${parameter}=`, `DeleteBucket${name}Configuration`],
  ] as [string, OperationName][]
}

function settings(parameter: string, name: string, methods: string): [string, OperationName][] {
  const verbs: Record<string, string> = { GET: 'Get', PUT: 'Put', DELETE: 'Delete' }
  return methods
    .split(' ')
    .map((method) => [
      `${method} /bkt?${parameter}`,
      `${verbs[method]}Bucket${name}` as OperationName,
    ])
}

t.test('every operation of the model is recognised', async (t) => {
  for (const [line, operation, sent] of TABLE) {
    t.equal(read(line, sent).operation, operation, line)
  }
  const reached = new Set(TABLE.map(([, operation]) => operation))
  const missing = OPERATION_NAMES.filter((name) => !reached.has(name))
  t.same(missing.sort(), SAME_ON_THE_WIRE)
})

const REFUSED: readonly [line: string, code: string, sent?: Sent][] = [
  // What is not known must not become a neighbour.
  ['PUT /bkt?foo-config', 'NotImplemented'],
  ['PUT /bkt/k?foo', 'NotImplemented'],
  ['PUT /bkt/k?foo=bar', 'NotImplemented'],
  ['DELETE /bkt/k?foo=bar', 'NotImplemented'],
  ['GET /bkt/k?foo', 'NotImplemented'],
  ['GET /bkt?events=x', 'NotImplemented'],
  ['GET /bkt/k?policy', 'NotImplemented'],
  ['PUT /bkt/k?cors', 'NotImplemented'],
  ['DELETE /bkt/k?lifecycle', 'NotImplemented'],
  ['GET /bkt?attributes', 'NotImplemented'],
  ['GET /bkt?uploadId=u', 'NotImplemented'],
  ['GET /bkt?__proto__', 'NotImplemented'],
  // Known, but not by this method.
  ['DELETE /bkt?acl', 'MethodNotAllowed'],
  ['HEAD /bkt/k?acl', 'MethodNotAllowed'],
  ['POST /bkt?acl', 'MethodNotAllowed'],
  ['POST /bkt/k', 'MethodNotAllowed'],
  ['PUT /bkt?versions', 'MethodNotAllowed'],
  ['PUT /', 'MethodNotAllowed'],
  ['HEAD /', 'MethodNotAllowed'],
  ['OPTIONS /', 'MethodNotAllowed'],
  ['PATCH /bkt/k', 'MethodNotAllowed'],
  ['PROPFIND /bkt/k', 'MethodNotAllowed'],
  // Pitfalls 8 and 9.
  ['GET /bkt/k?uploads', 'InvalidRequest'],
  ['GET /bkt/k?versions', 'InvalidRequest'],
  ['PUT /bkt/k?partNumber=1', 'InvalidArgument'],
  ['DELETE /bkt/k?partNumber=1', 'InvalidArgument'],
  ['PUT /bkt/k?uploadId=u', 'InvalidArgument'],
  ['GET /bkt/k', 'InvalidArgument', COPY],
  ['POST /bkt/k?uploads', 'InvalidArgument', COPY],
  ['PUT /bkt', 'InvalidArgument', COPY],
  ['GET /bkt?acl&policy', 'InvalidArgument'],
  ['POST /bkt', 'PreconditionFailed'],
  // Addresses.
  ['GET /bkt/%zz', 'InvalidURI'],
  ['GET /bkt/%4', 'InvalidURI'],
  ['GET /bkt/%ff', 'InvalidURI'],
  ['GET /bkt/\u00ff', 'InvalidURI'],
  ['GET /bkt/a%00b', 'InvalidURI'],
  ['GET /bkt?prefix=%zz', 'InvalidURI'],
  ['GET /bkt/../x', 'InvalidURI'],
  ['GET /bkt/a/../../b', 'InvalidURI'],
  ['GET /bkt/a/%2e%2e%2f../b', 'InvalidURI'],
  ['GET /bkt/a//../../b', 'InvalidURI'],
  ['GET bkt/k', 'InvalidURI'],
  ['OPTIONS *', 'InvalidURI'],
  [`GET /bkt/${'k'.repeat(1025)}`, 'KeyTooLongError'],
  [`GET /bkt/${'%C3%A9'.repeat(513)}`, 'KeyTooLongError'],
  ['GET //k', 'InvalidBucketName'],
  ['GET /ab', 'InvalidBucketName'],
  ['PUT /Upper', 'InvalidBucketName'],
  ['PUT /192.168.1.1', 'InvalidBucketName'],
  ['PUT /xn--bucket', 'InvalidBucketName'],
  ['PUT /sthree-bucket', 'InvalidBucketName'],
  ['PUT /bucket--x-s3', 'InvalidBucketName'],
  ['PUT /bucket-s3alias', 'InvalidBucketName'],
  ['PUT /-bucket', 'InvalidBucketName'],
  ['PUT /a..b', 'InvalidBucketName'],
  ['PUT /a.-b', 'InvalidBucketName'],
  ['PUT /a-.b', 'InvalidBucketName'],
  [`PUT /${'b'.repeat(64)}`, 'InvalidBucketName'],
  ['GET /k', 'InvalidBucketName', { host: 'B_d.localhost' }],
]

t.test('what is no operation is refused', async (t) => {
  for (const [line, code, sent] of REFUSED) {
    t.throws(() => read(line, sent), { code }, line.slice(0, 60))
  }
})

t.test('refusals name what they are about', async (t) => {
  t.throws(() => read('DELETE /bkt?acl'), {
    code: 'MethodNotAllowed',
    elements: { Method: 'DELETE', ResourceType: 'BUCKET' },
    headers: { allow: /GET/ },
  })
  t.throws(() => read(`GET /bkt/${'k'.repeat(1025)}`), {
    code: 'KeyTooLongError',
    elements: { Size: '1025', MaxSizeAllowed: '1024' },
  })
  t.throws(() => read('PUT /bkt/k?partNumber=1'), {
    message: 'This operation does not accept partNumber without uploadId',
  })
})

t.test('keys are decoded once and never folded', async (t) => {
  const keys: [string, string][] = [
    ['a/../b', 'a/../b'],
    ['a/./b', 'a/./b'],
    ['a//b', 'a//b'],
    ['/a', '/a'],
    ['a/', 'a/'],
    ['a/..', 'a/..'],
    ['..a/..b', '..a/..b'],
    ['a+b', 'a+b'],
    ['a%20b', 'a b'],
    ['a%2520b', 'a%20b'],
    ['a%2Fb', 'a/b'],
    ['a%252Fb', 'a%2Fb'],
    ['%C3%A9', 'é'],
    ['\u00c3\u00a9', 'é'],
    ['%F0%9F%8D%8F', '🍏'],
    ['%EF%BB%BFbom', '\ufeffbom'],
    ['%01%7f', '\u0001\u007f'],
    ['k'.repeat(1024), 'k'.repeat(1024)],
    ['a#b', 'a#b'],
  ]
  for (const [sent, key] of keys) {
    t.match(
      read(`GET /bkt/${sent}`),
      { bucket: 'bkt', key, rawPath: `/bkt/${sent}` },
      sent.slice(0, 40),
    )
  }
})

t.test(
  'query parameters: decoded once, first wins, plus is a space, no value is empty',
  async (t) => {
    const { query, pairs } = read(
      'GET /bkt?prefix=a+b%2Bc%2525&prefix=z&max-keys=&delimiter&list-type=2',
    )
    t.same({ ...query }, { prefix: 'a b+c%25', 'max-keys': '', delimiter: '', 'list-type': '2' })
    t.equal(pairs.length, 5)
  },
)

t.test('buckets stand in the path or in the host', async (t) => {
  const places: [line: string, host: string, bucket: string, key: string, baseHost: string][] = [
    ['GET /bkt/k', 'localhost:9000', 'bkt', 'k', 'localhost:9000'],
    ['GET /bkt/k', 'other.example', 'bkt', 'k', 'other.example'],
    ['GET /bkt/k', '[::1]:9000', 'bkt', 'k', '[::1]:9000'],
    ['GET /bkt/k', 's3.example.org', 'bkt', 'k', 's3.example.org'],
    ['GET /k', 'bkt.localhost:9000', 'bkt', 'k', 'localhost:9000'],
    ['GET /bkt/k', 'my.dotted.bucket.localhost', 'my.dotted.bucket', 'bkt/k', 'localhost'],
    ['GET //k', 'BKT.s3.Example.org', 'bkt', '/k', 's3.example.org'],
    ['GET /', 'bkt.localhost', 'bkt', '', 'localhost'],
    ['GET http://bkt.localhost/k?x-id=a', 'bkt.localhost', 'bkt', 'k', 'localhost'],
  ]
  for (const [line, host, bucket, key, baseHost] of places) {
    t.match(read(line, { host }), { bucket, key, baseHost }, `${line} at ${host}`)
  }
  t.equal(read('GET /', { host: 'bkt.localhost' }).operation, 'ListObjects')
  t.equal(recognise({ method: 'GET', url: '/', headers: {} }, []).operation, 'ListBuckets')
})

t.test('a presigned copy carries its source as a parameter', async (t) => {
  const signed = 'x-amz-copy-source=b%2Fk&X-Amz-Signature=0'
  t.equal(read(`PUT /bkt/k?${signed}`).operation, 'CopyObject')
  t.equal(read(`PUT /bkt/k?partNumber=1&uploadId=u&${signed}`).operation, 'UploadPartCopy')
})

t.test('settings in the query of a request that is signed in its header are refused', async (t) => {
  const signed = { headers: { authorization: 'AWS4-HMAC-SHA256 Credential=x' } }
  const settings = [
    ...['x-amz-tagging=a%3Db', 'X-Amz-Tagging=a%3Db', 'x-amz-copy-source=b%2Fk', 'x-amz-meta-a=b'],
    ...['x-amz-acl=private', 'x-amz-storage-class=GLACIER', 'x-amz-checksum-crc32=AAAAAA%3D%3D'],
    ...['x-amz-object-lock-mode=GOVERNANCE', 'x-amz-server-side-encryption=AES256'],
  ]
  for (const setting of settings) {
    const url = `/bkt/k?${setting}`
    t.throws(() => read(`PUT ${url}`, signed), { code: 'NotImplemented', message: /as a header/ })
    t.throws(() => read(`POST ${url}&uploads`, signed), { code: 'NotImplemented' }, setting)
    t.throws(() => read(`PUT /bkt?${setting}`, signed), { code: 'NotImplemented' }, setting)
  }
  t.throws(() => read('DELETE /bkt/k?x-amz-bypass-governance-retention=true', signed))
  const harmless = [
    ...['PUT /bkt/k?x-id=PutObject', 'PUT /bkt/k?X-Amz-Security-Token=t&X-Amz-Date=d'],
    ...['GET /bkt/k?x-amz-checksum-mode=ENABLED', 'HEAD /bkt/k?x-amz-request-payer=requester'],
    ...['PUT /bkt/k?x-amzn-trace-id=a', 'GET /bkt?list-type=2&x-id=ListObjectsV2'],
  ]
  for (const line of harmless) t.ok(read(line, signed).operation, line)
  const presigned = 'PUT /bkt/k?x-amz-tagging=a%3Db&X-Amz-Signature=0'
  t.equal(read(presigned).headers['x-amz-tagging'], 'a=b')
  t.equal(read(presigned, signed).operation, 'PutObject', 'two signatures are refused elsewhere')
})

t.test('a parameter in another case is not the one that is meant', async (t) => {
  const head = { method: 'DELETE', url: '/bkt/k?versionid=3', headers: { host: 'localhost' } }
  t.throws(() => recognise(head, []), { code: 'NotImplemented' })
})
