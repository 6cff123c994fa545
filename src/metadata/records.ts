// What the store remembers, as plain data. Rows are these records in bytes; commands are made of them.
import type { ErasureCode } from '../kit/erasure-code.ts'
import type { Uid } from '../kit/uid.ts'

/** Never given twice in a cluster, so that a new bucket of an old name sees nothing of the old one. */
export type BucketId = number

/** A bucket as a command or query names it. A revision that the partition knows to be old is refused. */
export interface BucketRef {
  id: BucketId
  revision: number
}

/** In `Blob.drives`: this slot was not written, a repair row owes it. */
export const MISSING_SLOT = 0xffff

/** The immutable bytes of one PUT or one part, erasure-coded under their uid. */
export interface Blob {
  uid: Uid
  /** 0 for a whole object, else the part number. */
  part: number
  bytes: number
  code: ErasureCode
  cellBytes: number
  /** Data partition of the key: with the map it gives the drive of every slot. */
  partition: number
  /** Drive of every slot, only when it is not what the map says; MISSING_SLOT where nothing was written. */
  drives?: number[]
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

/** Checksum algorithms of the S3 model. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number]
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE'

/** `value` is base64 of the big-endian digest; COMPOSITE ends in `-N`, the number of parts. */
export interface Checksum {
  algorithm: ChecksumAlgorithm
  type: ChecksumType
  value: string
}

/** What a client says of an object beside its bytes. */
export interface ObjectAttributes {
  headers: SystemHeaders
  /** Names in lower case, without `x-amz-meta-`. */
  userMetadata: Record<string, string>
  /** As sent; STANDARD when none was. */
  storageClass: string
}

/** One version of an object. */
export interface ObjectVersion extends ObjectAttributes {
  /** Opaque, URL-safe; made by the log when it commits. */
  versionId: string
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
}

/** A multipart upload that is under way. */
export interface Upload extends ObjectAttributes {
  uploadId: Uid
  initiatedMs: number
  /** As declared at Create; absent: the client may still send checksums with parts. */
  checksumAlgorithm?: ChecksumAlgorithm
  checksumType?: ChecksumType
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
