// What operations see of the store: buckets and objects. It knows nothing of HTTP and throws no S3 error;
// outcomes are returned, broken disks and lost quorums are thrown (DriveUnavailable, MetadataUnavailable, Overloaded).
import type { Uid } from '../kit/uid.ts'
import type {
  AnswerTo,
  Command,
  CompleteRefused,
  ListedPart,
  Refused,
  ScanEntry,
  WriteConditions,
} from '../metadata/contract.ts'
import type {
  Checksum,
  ObjectAttributes,
  ObjectVersion,
  Part,
  Upload,
} from '../metadata/records.ts'
import type { Bucket } from '../placement/coordinator.ts'

export type { ChecksumAlgorithm, ChecksumType, SystemHeaders } from '../metadata/records.ts'
export { CHECKSUM_ALGORITHMS } from '../metadata/records.ts'
export type {
  Bucket,
  Checksum,
  CompleteRefused,
  ListedPart,
  ObjectAttributes,
  ObjectVersion,
  Part,
  Refused,
  ScanEntry,
  Uid,
  Upload,
  WriteConditions,
}

/** Bytes on their way in. The store reads `chunks` once, then asks finish(), then commits. */
export interface Body {
  /** Exact length, known before the first byte. */
  bytes: number
  chunks: AsyncIterable<Uint8Array>
  /** Called after the last chunk. Throws when the bytes are not what the client claimed: nothing is committed then. */
  finish(): BodyDigests
}

/** What is known of a body once it has passed. */
export interface BodyDigests {
  /** Hex. */
  md5: string
  checksum?: Checksum
}

/** `first` to `last`, both inclusive, as HTTP counts. */
export interface ByteRange {
  first: number
  last: number
}

/** An object that was found: what is known of it, and its bytes on demand. */
export interface StoredObject {
  version: ObjectVersion
  /** Where part `number` lies; for an object that is not multipart, part 1 is all of it. */
  findPart(number: number): Promise<PartExtent | undefined>
  /**
   * Bytes of the range, every one checked against its checksum. Throws when too few shards are left:
   * a reader must then break off, never end early.
   */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** A part inside its object. */
export interface PartExtent {
  number: number
  /** 1 when the object is not multipart. */
  partCount: number
  firstByte: number
  bytes: number
  checksum?: Checksum
}

export interface PutRequest {
  bucket: Bucket
  key: string
  attributes: ObjectAttributes
  conditions: WriteConditions
  body: Body
  signal: AbortSignal
}

export type PutOutcome = AnswerTo<Extract<Command, { kind: 'put-object' }>>
export type DeleteOutcome = AnswerTo<Extract<Command, { kind: 'delete-object' }>>
export type PutPartOutcome = AnswerTo<Extract<Command, { kind: 'put-part' }>>
export type CompleteOutcome = AnswerTo<Extract<Command, { kind: 'complete-upload' }>>

/** One page of a listing, in UTF-8 byte order. */
export interface ListRequest {
  bucket: Bucket
  prefix: string
  /** Empty: none. */
  delimiter: string
  /** Listed are keys and common prefixes strictly after it; keys under a common prefix at or before it are skipped too. */
  after: string
  limit: number
}

/** `last` is the key or common prefix to continue after; undefined when the listing is complete. */
export interface ListPage<Record> {
  entries: ScanEntry<Record>[]
  last: string | undefined
}

export interface UploadListRequest extends ListRequest {
  /** Uploads of the key `after` with greater ids are listed too, when this is not empty. */
  afterUploadId: string
}

/** The store. */
export interface ObjectStore {
  /** In order of name. */
  listBuckets(): Bucket[]
  findBucket(name: string): Bucket | undefined
  createBucket(
    name: string,
    region: string,
  ): Promise<{ kind: 'created' | 'exists'; bucket: Bucket }>
  deleteBucket(name: string): Promise<{ kind: 'deleted' | 'missing' | 'not-empty' }>

  /** undefined when there is no such object. */
  find(bucket: Bucket, key: string): Promise<StoredObject | undefined>
  put(request: PutRequest): Promise<PutOutcome>
  delete(bucket: Bucket, key: string, conditions: WriteConditions): Promise<DeleteOutcome>
  list(request: ListRequest): Promise<ListPage<ObjectVersion>>

  createUpload(
    bucket: Bucket,
    key: string,
    upload: ObjectAttributes & Pick<Upload, 'checksumAlgorithm' | 'checksumType'>,
  ): Promise<Upload>
  findUpload(bucket: Bucket, key: string, uploadId: Uid): Promise<Upload | undefined>
  putPart(
    request: Omit<PutRequest, 'attributes' | 'conditions'> & { uploadId: Uid; number: number },
  ): Promise<PutPartOutcome>
  completeUpload(
    request: Omit<
      Extract<Command, { kind: 'complete-upload' }>,
      'kind' | 'commandId' | 'bucket'
    > & {
      bucket: Bucket
    },
  ): Promise<CompleteOutcome>
  /** False when there is no such upload. */
  abortUpload(bucket: Bucket, key: string, uploadId: Uid): Promise<boolean>
  listParts(
    bucket: Bucket,
    key: string,
    uploadId: Uid,
    after: number,
    limit: number,
  ): Promise<{ parts: Part[]; more: boolean }>
  listUploads(request: UploadListRequest): Promise<ListPage<Upload>>
}

/** The bucket was deleted while the request ran: the gateway answers NoSuchBucket. */
export class BucketGone extends Error {
  override readonly name = 'BucketGone'
  readonly code = 'BUCKET_GONE'
}
