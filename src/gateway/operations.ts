// Which function does which operation. Complete, or it does not compile: no operation falls through to another.
import type { Operation } from './call.ts'
import type { OperationName } from './operation-names.ts'
import { abortMultipartUpload } from './operations/abort-multipart-upload.ts'
import { completeMultipartUpload } from './operations/complete-multipart-upload.ts'
import { copyObject } from './operations/copy-object.ts'
import { corsPreflight } from './operations/cors-preflight.ts'
import { createBucket } from './operations/create-bucket.ts'
import { createMultipartUpload } from './operations/create-multipart-upload.ts'
import { deleteBucket } from './operations/delete-bucket.ts'
import { deleteBucketEncryption } from './operations/delete-bucket-encryption.ts'
import { deleteObject } from './operations/delete-object.ts'
import { deleteObjectAnnotation } from './operations/delete-object-annotation.ts'
import { deleteObjectTagging } from './operations/delete-object-tagging.ts'
import { deleteObjects } from './operations/delete-objects.ts'
import { getBucketEncryption } from './operations/get-bucket-encryption.ts'
import { getBucketLocation } from './operations/get-bucket-location.ts'
import { getBucketVersioning } from './operations/get-bucket-versioning.ts'
import { getObject } from './operations/get-object.ts'
import { getObjectAnnotation } from './operations/get-object-annotation.ts'
import { getObjectAttributes } from './operations/get-object-attributes.ts'
import { getObjectLegalHold } from './operations/get-object-legal-hold.ts'
import { getObjectLockConfiguration } from './operations/get-object-lock-configuration.ts'
import { getObjectRetention } from './operations/get-object-retention.ts'
import { getObjectTagging } from './operations/get-object-tagging.ts'
import { headBucket } from './operations/head-bucket.ts'
import { headObject } from './operations/head-object.ts'
import { listBuckets } from './operations/list-buckets.ts'
import { listMultipartUploads } from './operations/list-multipart-uploads.ts'
import { listObjectAnnotations } from './operations/list-object-annotations.ts'
import { listObjectVersions } from './operations/list-object-versions.ts'
import { listObjects } from './operations/list-objects.ts'
import { listObjectsV2 } from './operations/list-objects-v2.ts'
import { listParts } from './operations/list-parts.ts'
import { postObject } from './operations/post-object.ts'
import { putBucketEncryption } from './operations/put-bucket-encryption.ts'
import { putBucketOwnershipControls } from './operations/put-bucket-ownership-controls.ts'
import { putBucketVersioning } from './operations/put-bucket-versioning.ts'
import { putObject } from './operations/put-object.ts'
import { putObjectAnnotation } from './operations/put-object-annotation.ts'
import { putObjectLegalHold } from './operations/put-object-legal-hold.ts'
import { putObjectLockConfiguration } from './operations/put-object-lock-configuration.ts'
import { putObjectRetention } from './operations/put-object-retention.ts'
import { putObjectTagging } from './operations/put-object-tagging.ts'
import { renameObject } from './operations/rename-object.ts'
import { absent, cleared, notImplemented, unset } from './operations/unconfigured.ts'
import { uploadPart } from './operations/upload-part.ts'
import { uploadPartCopy } from './operations/upload-part-copy.ts'
import { ownerOnlyAclDocument } from './xml/documents/access-control.ts'
import { UNSET_DOCUMENTS } from './xml/documents/unset.ts'

/** The handler of every operation. docs/operations.md says the same in words. */
export const operations: { readonly [Name in OperationName]: Operation } = {
  AbortMultipartUpload: abortMultipartUpload,
  CompleteMultipartUpload: completeMultipartUpload,
  CopyObject: copyObject,
  CorsPreflight: corsPreflight,
  CreateBucket: createBucket,
  CreateBucketMetadataConfiguration: notImplemented,
  CreateBucketMetadataTableConfiguration: notImplemented,
  CreateMultipartUpload: createMultipartUpload,
  CreateSession: notImplemented,
  DeleteBucket: deleteBucket,
  DeleteBucketAnalyticsConfiguration: absent('NoSuchConfiguration'),
  DeleteBucketCors: cleared,
  DeleteBucketEncryption: deleteBucketEncryption,
  DeleteBucketIntelligentTieringConfiguration: absent('NoSuchConfiguration'),
  DeleteBucketInventoryConfiguration: absent('NoSuchConfiguration'),
  DeleteBucketLifecycle: cleared,
  DeleteBucketMetadataConfiguration: notImplemented,
  DeleteBucketMetadataTableConfiguration: notImplemented,
  DeleteBucketMetricsConfiguration: absent('NoSuchConfiguration'),
  DeleteBucketOwnershipControls: notImplemented,
  DeleteBucketPolicy: cleared,
  DeleteBucketReplication: cleared,
  DeleteBucketTagging: cleared,
  DeleteBucketWebsite: cleared,
  DeleteObject: deleteObject,
  DeleteObjectAnnotation: deleteObjectAnnotation,
  DeleteObjectTagging: deleteObjectTagging,
  DeleteObjects: deleteObjects,
  DeletePublicAccessBlock: cleared,
  GetBucketAbac: notImplemented,
  GetBucketAccelerateConfiguration: unset(UNSET_DOCUMENTS.accelerate),
  GetBucketAcl: unset(ownerOnlyAclDocument()),
  GetBucketAnalyticsConfiguration: absent('NoSuchConfiguration'),
  GetBucketCors: absent('NoSuchCORSConfiguration'),
  GetBucketEncryption: getBucketEncryption,
  GetBucketIntelligentTieringConfiguration: absent('NoSuchConfiguration'),
  GetBucketInventoryConfiguration: absent('NoSuchConfiguration'),
  GetBucketLifecycle: absent('NoSuchLifecycleConfiguration'),
  GetBucketLifecycleConfiguration: absent('NoSuchLifecycleConfiguration'),
  GetBucketLocation: getBucketLocation,
  GetBucketLogging: unset(UNSET_DOCUMENTS.logging),
  GetBucketMetadataConfiguration: notImplemented,
  GetBucketMetadataTableConfiguration: notImplemented,
  GetBucketMetricsConfiguration: absent('NoSuchConfiguration'),
  GetBucketNotification: unset(UNSET_DOCUMENTS.notification),
  GetBucketNotificationConfiguration: unset(UNSET_DOCUMENTS.notification),
  GetBucketOwnershipControls: unset(UNSET_DOCUMENTS.ownershipControls),
  GetBucketPolicy: absent('NoSuchBucketPolicy'),
  GetBucketPolicyStatus: absent('NoSuchBucketPolicy'),
  GetBucketReplication: absent('ReplicationConfigurationNotFoundError'),
  GetBucketRequestPayment: unset(UNSET_DOCUMENTS.requestPayment),
  GetBucketTagging: absent('NoSuchTagSet'),
  GetBucketVersioning: getBucketVersioning,
  GetBucketWebsite: absent('NoSuchWebsiteConfiguration'),
  GetObject: getObject,
  GetObjectAcl: unset(ownerOnlyAclDocument()),
  GetObjectAnnotation: getObjectAnnotation,
  GetObjectAttributes: getObjectAttributes,
  GetObjectLegalHold: getObjectLegalHold,
  GetObjectLockConfiguration: getObjectLockConfiguration,
  GetObjectRetention: getObjectRetention,
  GetObjectTagging: getObjectTagging,
  GetObjectTorrent: notImplemented,
  GetPublicAccessBlock: absent('NoSuchPublicAccessBlockConfiguration'),
  HeadBucket: headBucket,
  HeadObject: headObject,
  ListBucketAnalyticsConfigurations: unset(UNSET_DOCUMENTS.analyticsList),
  ListBucketIntelligentTieringConfigurations: unset(UNSET_DOCUMENTS.intelligentTieringList),
  ListBucketInventoryConfigurations: unset(UNSET_DOCUMENTS.inventoryList),
  ListBucketMetricsConfigurations: unset(UNSET_DOCUMENTS.metricsList),
  ListBuckets: listBuckets,
  ListDirectoryBuckets: notImplemented,
  ListMultipartUploads: listMultipartUploads,
  ListObjectAnnotations: listObjectAnnotations,
  ListObjectVersions: listObjectVersions,
  ListObjects: listObjects,
  ListObjectsV2: listObjectsV2,
  ListParts: listParts,
  PostObject: postObject,
  PutBucketAbac: notImplemented,
  PutBucketAccelerateConfiguration: notImplemented,
  PutBucketAcl: notImplemented,
  PutBucketAnalyticsConfiguration: notImplemented,
  PutBucketCors: notImplemented,
  PutBucketEncryption: putBucketEncryption,
  PutBucketIntelligentTieringConfiguration: notImplemented,
  PutBucketInventoryConfiguration: notImplemented,
  PutBucketLifecycle: notImplemented,
  PutBucketLifecycleConfiguration: notImplemented,
  PutBucketLogging: notImplemented,
  PutBucketMetricsConfiguration: notImplemented,
  PutBucketNotification: notImplemented,
  PutBucketNotificationConfiguration: notImplemented,
  PutBucketOwnershipControls: putBucketOwnershipControls,
  PutBucketPolicy: notImplemented,
  PutBucketReplication: notImplemented,
  PutBucketRequestPayment: notImplemented,
  PutBucketTagging: notImplemented,
  PutBucketVersioning: putBucketVersioning,
  PutBucketWebsite: notImplemented,
  PutObject: putObject,
  PutObjectAcl: notImplemented,
  PutObjectAnnotation: putObjectAnnotation,
  PutObjectLegalHold: putObjectLegalHold,
  PutObjectLockConfiguration: putObjectLockConfiguration,
  PutObjectRetention: putObjectRetention,
  PutObjectTagging: putObjectTagging,
  PutPublicAccessBlock: notImplemented,
  RenameObject: renameObject,
  RestoreObject: notImplemented,
  SelectObjectContent: notImplemented,
  UpdateBucketMetadataAnnotationTableConfiguration: notImplemented,
  UpdateBucketMetadataInventoryTableConfiguration: notImplemented,
  UpdateBucketMetadataJournalTableConfiguration: notImplemented,
  UpdateObjectEncryption: notImplemented,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
  WriteGetObjectResponse: notImplemented,
}
