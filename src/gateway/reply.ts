// Shapes replies: XML documents, empty answers, and the headers that describe an object.
import {
  type Bucket,
  type ObjectVersion,
  shownVersionId,
  type VersionName,
} from '../objects/object-store.ts'
import type { Reply } from './call.ts'
import { checksumFields } from './headers/checksum-headers.ts'
import { httpDate } from './headers/dates.ts'
import { encryptionFields } from './headers/encryption-headers.ts'
import { lockFields } from './headers/object-lock.ts'
import { systemHeaderFields } from './headers/system-headers.ts'
import { userMetadataHeaders } from './headers/user-metadata.ts'

/** 200 with a document. */
export function xmlReply(text: string, headers: Record<string, string> = {}): Reply {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', ...headers },
    body: { kind: 'text', text },
  }
}

/** 204: done, and nothing to say (pitfall 57). */
export function noContent(): Reply {
  return { status: 204 }
}

/** The name of a bucket as policies and SDKs write it. */
export function bucketArn(name: string): string {
  return `arn:aws:s3:::${name}`
}

/** x-amz-bucket-region of a listing, which AWS leaves out for us-east-1. */
export function regionField({ region }: Bucket): Record<string, string> {
  return region === 'us-east-1' ? {} : { 'x-amz-bucket-region': region }
}

/** Headers of the answer to a write: what became of it. */
export function describeWritten(bucket: Bucket, version: ObjectVersion): Record<string, string> {
  const fields: Record<string, string> = { etag: quoteEtag(version.etag) }
  Object.assign(fields, checksumFields(version.checksum))
  if (version.encryption) Object.assign(fields, encryptionFields(version.encryption))
  return Object.assign(fields, writtenVersionField(bucket, version))
}

/** x-amz-version-id, where the bucket ever had versions (pitfall 104). */
export function versionField(bucket: Bucket, version: VersionName): Record<string, string> {
  return bucket.settings?.versioning ? { 'x-amz-version-id': shownVersionId(version) } : {}
}

/** The same for what a write made: nothing is said of one that replaced the `null` version. Copies do say it. */
export function writtenVersionField(bucket: Bucket, version: VersionName): Record<string, string> {
  return version.versioned ? versionField(bucket, version) : {}
}

/** x-amz-object-version-id: the version that an annotation belongs to. */
export function objectVersionField(bucket: Bucket, version: VersionName): Record<string, string> {
  return bucket.settings?.versioning ? { 'x-amz-object-version-id': shownVersionId(version) } : {}
}

/** Headers of GET and HEAD that describe the object, whatever part of it is sent. */
export function describeObject(bucket: Bucket, version: ObjectVersion): Record<string, string> {
  // One object that is added to: to spread eight small ones into a ninth is dear where every read does it.
  const { encryption, retention, legalHold, tags, storageClass } = version
  const fields = systemHeaderFields(version.headers)
  fields.etag = quoteEtag(version.etag)
  fields['last-modified'] = httpDate(version.modifiedMs)
  fields['accept-ranges'] = 'bytes'
  if (bucket.settings?.versioning) fields['x-amz-version-id'] = shownVersionId(version)
  if (encryption) Object.assign(fields, encryptionFields(encryption))
  if (retention || legalHold !== undefined) Object.assign(fields, lockFields(version))
  if (tags) fields['x-amz-tagging-count'] = String(tags.length)
  if (storageClass !== 'STANDARD') fields['x-amz-storage-class'] = storageClass
  return Object.assign(fields, userMetadataHeaders(version.userMetadata))
}

/** The headers of a 304 (pitfall 61). */
export function describeUnmodified(bucket: Bucket, version: ObjectVersion): Record<string, string> {
  const { 'cache-control': cacheControl, expires } = systemHeaderFields(version.headers)
  return {
    ...identifyVersion(bucket, version),
    ...(cacheControl === undefined ? {} : { 'cache-control': cacheControl }),
    ...(expires === undefined ? {} : { expires }),
  }
}

/** An ETag as headers and documents have it. */
export function quoteEtag(etag: string): string {
  return `"${etag}"`
}

function identifyVersion(bucket: Bucket, version: ObjectVersion): Record<string, string> {
  return {
    etag: quoteEtag(version.etag),
    'last-modified': httpDate(version.modifiedMs),
    ...versionField(bucket, version),
  }
}
