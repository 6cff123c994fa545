// Which query parameters choose an operation, and which only accompany one.
// A request whose parameters are in none of these tables is refused: it must never become its neighbour.
import type { OperationName } from './operation-names.ts'

/** The methods that these tables know; OPTIONS of a bucket or object is recognised apart from them. */
export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'

/** What a method does to a resource: by sub-resource, '' when there is none. */
export type Verbs = Partial<Record<Method, Readonly<Record<string, OperationName>>>>

/** Requests for the service itself. */
export const SERVICE_VERBS: Verbs = {
  GET: { '': 'ListBuckets' },
}

/** Requests for a bucket. */
export const BUCKET_VERBS: Verbs = {
  GET: {
    '': 'ListObjects',
    abac: 'GetBucketAbac',
    accelerate: 'GetBucketAccelerateConfiguration',
    acl: 'GetBucketAcl',
    analytics: 'ListBucketAnalyticsConfigurations',
    cors: 'GetBucketCors',
    encryption: 'GetBucketEncryption',
    'intelligent-tiering': 'ListBucketIntelligentTieringConfigurations',
    inventory: 'ListBucketInventoryConfigurations',
    lifecycle: 'GetBucketLifecycleConfiguration',
    location: 'GetBucketLocation',
    logging: 'GetBucketLogging',
    metadataConfiguration: 'GetBucketMetadataConfiguration',
    metadataTable: 'GetBucketMetadataTableConfiguration',
    metrics: 'ListBucketMetricsConfigurations',
    notification: 'GetBucketNotificationConfiguration',
    'object-lock': 'GetObjectLockConfiguration',
    ownershipControls: 'GetBucketOwnershipControls',
    policy: 'GetBucketPolicy',
    policyStatus: 'GetBucketPolicyStatus',
    publicAccessBlock: 'GetPublicAccessBlock',
    replication: 'GetBucketReplication',
    requestPayment: 'GetBucketRequestPayment',
    session: 'CreateSession',
    tagging: 'GetBucketTagging',
    uploads: 'ListMultipartUploads',
    versioning: 'GetBucketVersioning',
    versions: 'ListObjectVersions',
    website: 'GetBucketWebsite',
  },
  HEAD: { '': 'HeadBucket' },
  PUT: {
    '': 'CreateBucket',
    abac: 'PutBucketAbac',
    accelerate: 'PutBucketAccelerateConfiguration',
    acl: 'PutBucketAcl',
    analytics: 'PutBucketAnalyticsConfiguration',
    cors: 'PutBucketCors',
    encryption: 'PutBucketEncryption',
    'intelligent-tiering': 'PutBucketIntelligentTieringConfiguration',
    inventory: 'PutBucketInventoryConfiguration',
    lifecycle: 'PutBucketLifecycleConfiguration',
    logging: 'PutBucketLogging',
    metadataAnnotationTable: 'UpdateBucketMetadataAnnotationTableConfiguration',
    metadataInventoryTable: 'UpdateBucketMetadataInventoryTableConfiguration',
    metadataJournalTable: 'UpdateBucketMetadataJournalTableConfiguration',
    metrics: 'PutBucketMetricsConfiguration',
    notification: 'PutBucketNotificationConfiguration',
    'object-lock': 'PutObjectLockConfiguration',
    ownershipControls: 'PutBucketOwnershipControls',
    policy: 'PutBucketPolicy',
    publicAccessBlock: 'PutPublicAccessBlock',
    replication: 'PutBucketReplication',
    requestPayment: 'PutBucketRequestPayment',
    tagging: 'PutBucketTagging',
    versioning: 'PutBucketVersioning',
    website: 'PutBucketWebsite',
  },
  POST: {
    delete: 'DeleteObjects',
    metadataConfiguration: 'CreateBucketMetadataConfiguration',
    metadataTable: 'CreateBucketMetadataTableConfiguration',
  },
  DELETE: {
    '': 'DeleteBucket',
    analytics: 'DeleteBucketAnalyticsConfiguration',
    cors: 'DeleteBucketCors',
    encryption: 'DeleteBucketEncryption',
    'intelligent-tiering': 'DeleteBucketIntelligentTieringConfiguration',
    inventory: 'DeleteBucketInventoryConfiguration',
    lifecycle: 'DeleteBucketLifecycle',
    metadataConfiguration: 'DeleteBucketMetadataConfiguration',
    metadataTable: 'DeleteBucketMetadataTableConfiguration',
    metrics: 'DeleteBucketMetricsConfiguration',
    ownershipControls: 'DeleteBucketOwnershipControls',
    policy: 'DeleteBucketPolicy',
    publicAccessBlock: 'DeletePublicAccessBlock',
    replication: 'DeleteBucketReplication',
    tagging: 'DeleteBucketTagging',
    website: 'DeleteBucketWebsite',
  },
}

/** Requests for an object. */
export const OBJECT_VERBS: Verbs = {
  GET: {
    '': 'GetObject',
    acl: 'GetObjectAcl',
    annotation: 'ListObjectAnnotations',
    attributes: 'GetObjectAttributes',
    'legal-hold': 'GetObjectLegalHold',
    retention: 'GetObjectRetention',
    tagging: 'GetObjectTagging',
    torrent: 'GetObjectTorrent',
    uploadId: 'ListParts',
  },
  HEAD: { '': 'HeadObject' },
  PUT: {
    '': 'PutObject',
    acl: 'PutObjectAcl',
    annotation: 'PutObjectAnnotation',
    encryption: 'UpdateObjectEncryption',
    'legal-hold': 'PutObjectLegalHold',
    renameObject: 'RenameObject',
    retention: 'PutObjectRetention',
    tagging: 'PutObjectTagging',
    uploadId: 'UploadPart',
  },
  POST: {
    restore: 'RestoreObject',
    select: 'SelectObjectContent',
    uploadId: 'CompleteMultipartUpload',
    uploads: 'CreateMultipartUpload',
  },
  DELETE: {
    '': 'DeleteObject',
    annotation: 'DeleteObjectAnnotation',
    tagging: 'DeleteObjectTagging',
    uploadId: 'AbortMultipartUpload',
  },
}

/** Every sub-resource of S3: present in the query it takes part in choosing the operation. */
export const SUB_RESOURCES: ReadonlySet<string> = new Set(
  [BUCKET_VERBS, OBJECT_VERBS]
    .flatMap((verbs) => Object.values(verbs))
    .flatMap((names) => Object.keys(names))
    .filter((name) => name !== ''),
)

/** Operations that may be asked for one version of an object. */
export const WITH_VERSIONS: ReadonlySet<OperationName> = new Set([
  'DeleteObject',
  'DeleteObjectAnnotation',
  'DeleteObjectTagging',
  'GetObject',
  'GetObjectAcl',
  'GetObjectAttributes',
  'GetObjectLegalHold',
  'GetObjectRetention',
  'GetObjectTagging',
  'GetObjectTorrent',
  'HeadObject',
  'ListObjectAnnotations',
  'PutObjectAcl',
  'PutObjectAnnotation',
  'PutObjectLegalHold',
  'PutObjectRetention',
  'PutObjectTagging',
  'RestoreObject',
  'SelectObjectContent',
  'UpdateObjectEncryption',
])

/** Parameters that accompany operations and choose none. Those that begin with `x-` are no sub-resources either (recognise.ts). */
export const PARAMETERS: ReadonlySet<string> = new Set([
  'annotation-prefix',
  'AWSAccessKeyId',
  'annotationName',
  'bucket-region',
  'content-md5',
  'content-type',
  'continuation-token',
  'delimiter',
  'encoding-type',
  'Expires',
  'fetch-owner',
  'id',
  'key-marker',
  'list-type',
  'marker',
  'max-annotation-results',
  'max-buckets',
  'max-directory-buckets',
  'max-keys',
  'max-parts',
  'max-uploads',
  'part-number-marker',
  'partNumber',
  'prefix',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'select-type',
  'Signature',
  'start-after',
  'upload-id-marker',
  'version-id-marker',
  'versionId',
])
