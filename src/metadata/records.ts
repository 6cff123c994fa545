// What the store remembers, as plain data. Rows are these records in bytes; commands are made of them.
import type { ErasureCode } from '../kit/erasure-code.ts'
import type { Uid } from '../kit/uid.ts'

/** Never given twice in a cluster, so that a new bucket of an old name sees nothing of the old one. */
export type BucketId = number

/** Whether a bucket keeps old versions. `suspended`: it did, and keeps those that it has. */
export type Versioning = 'unversioned' | 'enabled' | 'suspended'

/** A bucket as a command or query names it. A revision that the partition knows to be old is refused. */
export interface BucketRef {
  id: BucketId
  revision: number
  /** As of this revision: a change of it is a new revision, so no command is decided by an old one. */
  versioning: Versioning
}

/** In `Blob.drives`: this slot was not written, a repair row owes it. */
export const MISSING_SLOT = 0xffff

/** Rows name drives by 16 bits. */
export const DRIVE_ID_MAX = MISSING_SLOT - 1

/** The immutable bytes of one PUT or one part, erasure-coded under their uid. */
export interface Blob {
  uid: Uid
  /** The uid under which these bytes were written first; absent while it is `uid`. */
  origin?: Uid
  /** 0 for a whole object, else the part number. */
  part: number
  /** As they are stored: encrypted ones are a little longer than what the client sees. */
  bytes: number
  code: ErasureCode
  cellBytes: number
  /** Data partition of the key. */
  partition: number
  /** Drive of every slot, whatever the map says of it later; MISSING_SLOT where nothing was written. */
  drives: number[]
}

/** The uid under which the bytes of a blob were written first: what is sealed is sealed for that one. */
export function originOf({ uid, origin }: Pick<Blob, 'uid' | 'origin'>): Uid {
  return origin ?? uid
}

/** Headers that S3 keeps and returns verbatim. */
export interface SystemHeaders {
  contentType?: string
  cacheControl?: string
  contentDisposition?: string
  contentEncoding?: string
  contentLanguage?: string
  expires?: string
  websiteRedirectLocation?: string
}

/** Part numbers are 1 to 10,000. */
export const PARTS_MAX = 10_000

/** Checksum algorithms of the S3 model. */
export const CHECKSUM_ALGORITHMS = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'SHA1',
  'SHA256',
  'SHA512',
  'MD5',
  'XXHASH64',
  'XXHASH3',
  'XXHASH128',
] as const
/** A checksum as S3 names it. */
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number]
/** FULL_OBJECT: of all bytes. COMPOSITE: of the checksums of the parts, one after the other. */
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE'

/** `value` is base64 of the big-endian digest; COMPOSITE ends in `-N`, the number of parts. */
export interface Checksum {
  algorithm: ChecksumAlgorithm
  type: ChecksumType
  value: string
}

/** One tag of an object. */
export interface Tag {
  key: string
  value: string
}

/** Until when a version may not be deleted. GOVERNANCE can be lifted by those who may; COMPLIANCE by nobody. */
export interface Retention {
  mode: 'GOVERNANCE' | 'COMPLIANCE'
  untilMs: number
}

/**
 * How the bytes of a version are encrypted. `wrappedKey` is the key of its data, itself encrypted: by the key
 * provider, or for SSE-C by the key that only the client has.
 */
export type Encryption =
  | { kind: 'SSE-S3'; wrappedKey: Uint8Array }
  | {
      kind: 'SSE-KMS'
      wrappedKey: Uint8Array
      keyId: string
      /** As the client sent it: base64 of JSON. */
      context?: string
      bucketKey?: true
    }
  | {
      kind: 'SSE-C'
      wrappedKey: Uint8Array
      /** base64 of the MD5 of the client's key, as the client sends it. */
      keyMd5: string
    }

/** What a client says of an object beside its bytes. */
export interface ObjectAttributes {
  headers: SystemHeaders
  /** Names in lower case, without `x-amz-meta-`. */
  userMetadata: Record<string, string>
  /** As sent; STANDARD when none was. */
  storageClass: string
  /** Absent: none. */
  tags?: Tag[]
  retention?: Retention
  /** False: it was held and is not any more. Absent: it never was. */
  legalHold?: boolean
}

/** What every version has, be it an object or a delete marker. */
export interface VersionName {
  /** Opaque, URL-safe; made by the log when it commits. Ids of one key sort newest first. */
  versionId: string
  /** Made while the bucket kept versions: clients see its id. All others are called `null`, one per key at most. */
  versioned?: true
}

/** Says that a key was deleted, while its older versions stay. */
export interface DeleteMarker extends VersionName {
  deleteMarker: true
  modifiedMs: number
}

/** What may stand under a version id. */
export type AnyVersion = ObjectVersion | DeleteMarker

/** Tells markers from objects. */
export function isDeleteMarker(version: AnyVersion): version is DeleteMarker {
  return 'deleteMarker' in version
}

/** The name by which clients know a version. */
export function shownVersionId({ versionId, versioned }: VersionName): string {
  return versioned ? versionId : 'null'
}

/** One version of an object. */
export interface ObjectVersion extends ObjectAttributes, VersionName {
  /** Commit time of the log, also what Last-Modified shows. Milliseconds since 1970. */
  modifiedMs: number
  bytes: number
  /** Hex MD5, or hex-N for multipart; without quotes. */
  etag: string
  checksum?: Checksum
  /** Where the bytes are; absent for an empty object and for multipart. */
  blob?: Blob
  /** Multipart: the parts stand in manifest rows under this uid. */
  manifest?: { uid: Uid; partCount: number }
  /** The id under which the rows of its annotations lie; absent: it never had any. */
  annotationsId?: string
  /** The command that last changed what stands beside the bytes; absent: none did. */
  editId?: Uid
  /** Made from shards alone when metadata was lost: perhaps it was refused, or deleted, before. */
  unconfirmed?: true
  /** Absent: the bytes lie as they came. `bytes` is always the length that the client sees. */
  encryption?: Encryption
}

/** What a listing shows of an object: of its checksum that it has one, not the value. */
export interface ListedObject
  extends Pick<ObjectVersion, 'modifiedMs' | 'bytes' | 'etag' | 'storageClass'> {
  checksum?: Pick<Checksum, 'algorithm' | 'type'>
}

/** Another one after each edit: who copied a version can tell whether it has all of it. */
export function stateIdOf({ versionId, editId }: ObjectVersion): string {
  return editId ?? versionId
}

/** A named text that is kept with one version of an object, encrypted as the version is. */
export interface Annotation {
  name: string
  bytes: number
  /** Hex, without quotes. */
  etag: string
  modifiedMs: number
  checksum?: Checksum
  blob?: Blob
}

/** A multipart upload that is under way. */
export interface Upload extends ObjectAttributes {
  uploadId: Uid
  initiatedMs: number
  /** As declared at Create; absent: the client may still send checksums with parts. */
  checksumAlgorithm?: ChecksumAlgorithm
  checksumType?: ChecksumType
  /** Of all its parts, and then of the object. */
  encryption?: Encryption
}

/** One uploaded part, and one entry of a manifest. */
export interface Part {
  number: number
  bytes: number
  /** Hex MD5 without quotes. */
  etag: string
  modifiedMs: number
  checksum?: Checksum
  /** Absent when the part is empty. */
  blob?: Blob
}
