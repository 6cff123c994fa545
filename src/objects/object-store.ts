// What operations see of the store: buckets and objects. It knows nothing of HTTP and throws no S3 error;
// outcomes are returned, broken disks and lost quorums are thrown (DriveUnavailable, MetadataUnavailable, Overloaded).
import type { Uid } from '../kit/uid.ts'
import type {
  AnswerTo,
  Command,
  CompleteRefused,
  ConditionName,
  DeletionOutcome,
  KeyDeletion,
  ListedPart,
  ListedVersion,
  Refused,
  ScanEntry,
  UploadCensus,
  VersionEdit,
  WriteConditions,
} from '../metadata/contract.ts'
import type {
  Annotation,
  AnyVersion,
  Checksum,
  DeleteMarker,
  Encryption,
  ListedObject,
  ObjectAttributes,
  ObjectVersion,
  Part,
  Retention,
  Tag,
  Upload,
  VersionName,
} from '../metadata/records.ts'
import type {
  Bucket,
  BucketEncryption,
  BucketLock,
  BucketSettings,
  CoordinatorUnavailable,
} from '../placement/coordinator.ts'

export type { ChecksumAlgorithm, ChecksumType, SystemHeaders } from '../metadata/records.ts'
export {
  CHECKSUM_ALGORITHMS,
  isDeleteMarker,
  PARTS_MAX,
  shownVersionId,
  stateIdOf,
} from '../metadata/records.ts'
export type {
  Annotation,
  AnyVersion,
  Bucket,
  BucketEncryption,
  BucketLock,
  BucketSettings,
  Checksum,
  CompleteRefused,
  ConditionName,
  CoordinatorUnavailable,
  DeleteMarker,
  DeletionOutcome,
  Encryption,
  KeyDeletion,
  ListedObject,
  ListedPart,
  ListedVersion,
  ObjectAttributes,
  ObjectVersion,
  Part,
  Refused,
  Retention,
  ScanEntry,
  Tag,
  Uid,
  Upload,
  UploadCensus,
  VersionEdit,
  VersionName,
  WriteConditions,
}

/** The key of SSE-C: 32 bytes that only the client keeps. Never logged, never stored. */
export interface CustomerKey {
  key: Uint8Array
  /** base64 of its MD5, as sent. */
  keyMd5: string
}

/** How a client wants its bytes encrypted. The key provider says which key SSE-KMS uses when none is named. */
export type EncryptionRequest =
  | { kind: 'SSE-S3' }
  | { kind: 'SSE-KMS'; keyId?: string; context?: string; bucketKey?: true }
  | { kind: 'SSE-C'; customerKey: CustomerKey }

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

/** Who waits for bytes: his signal is aborted when he does not any more. It is made when somebody asks, which short reads do not. */
export interface Waiter {
  readonly signal: AbortSignal
}

/** An object that was found: what is known of it, and its bytes on demand. */
export interface StoredObject {
  version: ObjectVersion
  /** Where part `number` lies; for an object that is not multipart, part 1 is all of it. */
  findPart(number: number): Promise<PartExtent | undefined>
  /** Whether the version is still there and as it was found: its annotations are read apart from it. */
  isUnchanged(): Promise<boolean>
  /** A version that is to be as this one but for its bytes and its lock. `customerKey`: for SSE-C. */
  describeAgain(customerKey?: CustomerKey): Redescribed
  /** Annotations in order of name, from strictly after `after`. */
  listAnnotations(scan: {
    prefix: string
    after: string
    limit: number
  }): Promise<{ annotations: Annotation[]; more: boolean }>
  findAnnotation(name: string): Promise<Annotation | undefined>
  /** The text of one of its annotations as that was found, whatever has taken its place since; bounds are those of read(). */
  readAnnotation(annotation: Annotation, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Parts with numbers above `after`, in order; an object that is not multipart has none. */
  listParts(after: number, limit: number): Promise<{ parts: Part[]; more: boolean }>
  /**
   * Bytes of the range, every one checked against its checksum, and decrypted (`customerKey`: for SSE-C, whose MD5
   * the caller has compared). Throws when too few shards are left: a reader must then break off, never end early.
   */
  read(range: ByteRange, waiter: Waiter, customerKey?: CustomerKey): AsyncIterable<Uint8Array>
  /** What read() would give where that is known without waiting. Absent where no bytes are kept at hand. */
  readAtHand?(range: ByteRange): Uint8Array | undefined
}

/** What of a version goes into one that takes its place, or its name. */
export interface Redescribed {
  attributes: Omit<ObjectAttributes, 'retention' | 'legalHold'>
  encryption?: EncryptionRequest
  annotationsOf: StoredObject
}

/** What a lookup found. */
export type FindOutcome =
  | { kind: 'found'; object: StoredObject }
  | { kind: 'delete-marker'; marker: DeleteMarker }
  | { kind: 'missing' }

/** A part inside its object. */
export interface PartExtent {
  number: number
  /** 1 when the object is not multipart. */
  partCount: number
  firstByte: number
  bytes: number
  checksum?: Checksum
}

/** An object to be written whole, whatever is under the key; a copy is one too. */
export interface PutRequest extends Waiter {
  bucket: Bucket
  key: string
  attributes: ObjectAttributes
  conditions: WriteConditions
  /** Absent: the bytes are stored as they come. */
  encryption?: EncryptionRequest
  body: Body
  /** A copy brings the annotations of this object along. */
  annotationsOf?: StoredObject
}

/** Sets an annotation of a version; SSE-C ones have none, which the caller has made sure of. */
export interface AnnotateRequest {
  bucket: Bucket
  key: string
  version: ObjectVersion
  name: string
  ifMatch?: string[]
  body: Body
  signal: AbortSignal
}

/** Bytes to be put at the end of an object. */
export interface AppendRequest {
  bucket: Bucket
  key: string
  /** Where the first byte goes: the length that the object has now; 0 may also make a new one. */
  offset: number
  /** Of a new object; an object that is there keeps its own. */
  attributes: ObjectAttributes
  conditions: WriteConditions
  encryption?: EncryptionRequest
  customerKey?: CustomerKey
  body: Body
  signal: AbortSignal
}

/** The version that was written, or why none was. */
export type PutOutcome = AnswerTo<Extract<Command, { kind: 'put-object' }>>
/** The version as it has grown, or why it has not. */
export type AppendOutcome =
  | PutOutcome
  /** The object is not `offset` bytes long. */
  | { kind: 'wrong-offset'; bytes: number }
  /** The object has as many parts as it can have. */
  | { kind: 'too-many-parts' }
  /** Somebody else wrote the object meanwhile. */
  | { kind: 'changed' }
/** The annotation as it is kept. `too-many`: the version has 1,000 others. `no-version`: it went meanwhile. */
export type AnnotateOutcome = AnswerTo<Extract<Command, { kind: 'put-annotation' }>>
/** The version with its change, or why it is as it was; `no-version` and `delete-marker` say what is under that name. */
export type EditOutcome = AnswerTo<Extract<Command, { kind: 'edit-version' }>>
/** `done` also where nothing changed: then neither `removed` nor `made` is said. */
export type DeleteOutcome = AnswerTo<Extract<Command, { kind: 'delete-object' }>>
/** The part as it is kept; `no-upload` where the upload is over or was never begun. */
export type PutPartOutcome = AnswerTo<Extract<Command, { kind: 'put-part' }>>
/** The version that the parts have become, the same for the same list again; or what is wrong with list or claims. */
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

/** One page of uploads, by key and then by age. */
export interface UploadListRequest extends ListRequest {
  /** Uploads of the key `after` with greater ids are listed too, when this is not empty. */
  afterUploadId: string
}

/** One page of versions and delete markers, by key and then newest first. */
export interface VersionListRequest extends ListRequest {
  /** An id or `null`: versions of the key `after` that are older than it are listed too, when this is not empty. */
  afterVersionId: string
}

/** What a delete is asked beside the key. */
export interface DeleteOptions {
  /** An id, or `null`; absent for the current version. */
  versionId?: string
  conditions: WriteConditions
  bypass?: true
}

/** The bucket with its settings as they are now; after a `conflict` they are as they were. */
export type ChangeBucketOutcome =
  | { kind: 'changed'; bucket: Bucket }
  /** Object Lock needs versions, and versions of a locked bucket can not be suspended. */
  | { kind: 'conflict'; why: 'lock-needs-versions' | 'locked-keeps-versions' }

/** A rename that a client gave a token: asked again with that it must be the same. */
export interface Rename {
  bucketId: number
  source: string
  target: string
}

/** `another`: with this token another rename was done. */
export type RenameRecall = 'unknown' | 'done' | 'another'

/** What is known of a request: looked at while it is served. */
export interface RequestWaits {
  /** When it came, by the monotonic clock: it may have waited for its turn. */
  readonly startMs: number
  /** Its client is gone: questions that nobody has answered yet need no answer then. */
  readonly departed: boolean
}

/** The store. */
export interface ObjectStore {
  /**
   * The same store for one request: all that it asks of metadata that does not answer takes half a minute together. Absent
   * where nothing is known of that.
   */
  forRequest?(request: RequestWaits): ObjectStore
  /** In order of name. */
  listBuckets(): Bucket[]
  findBucket(name: string): Bucket | undefined
  /** Likewise, but whoever decides is asked: it knows of every bucket that was made before, by whomever. */
  lookUpBucket(name: string): Promise<Bucket | undefined>
  /** Likewise all of them; what is known here while nobody can be asked. */
  lookUpBuckets(): Promise<Bucket[]>
  createBucket(
    name: string,
    region: string,
    settings?: BucketSettings,
  ): Promise<{ kind: 'created' | 'exists'; bucket: Bucket }>
  /** Sets what `change` has; a setting that is undefined in it is removed. All partitions know it afterwards. */
  changeBucket(
    bucket: Bucket,
    change: { [Name in keyof BucketSettings]: BucketSettings[Name] | undefined },
  ): Promise<ChangeBucketOutcome>
  deleteBucket(name: string): Promise<{ kind: 'deleted' | 'missing' | 'not-empty' }>

  /** The version of that id (or `null`); without one the latest, which may be a delete marker. */
  find(bucket: Bucket, key: string, versionId?: string): Promise<FindOutcome>
  /**
   * The object that find() would find if it were asked in this moment, where that is known without waiting; undefined
   * when find() has to be asked. Absent where nothing is kept at hand.
   */
  findAtHand?(bucket: Bucket, key: string): StoredObject | undefined
  put(request: PutRequest): Promise<PutOutcome>
  append(request: AppendRequest): Promise<AppendOutcome>
  delete(bucket: Bucket, key: string, options: DeleteOptions): Promise<DeleteOutcome>
  /** Deletes each of these keys of the bucket, and says in their order what became of them. Nothing begins after the signal. */
  deleteMany(
    bucket: Bucket,
    keys: readonly KeyDeletion[],
    options: { bypass?: true },
    signal: AbortSignal,
  ): Promise<DeletionOutcome[]>
  /** Changes tags, retention or legal hold of a version; without `versionId` of the current one. */
  edit(
    bucket: Bucket,
    key: string,
    versionId: string | undefined,
    edit: VersionEdit,
  ): Promise<EditOutcome>
  annotate(request: AnnotateRequest): Promise<AnnotateOutcome>
  deleteAnnotation(
    bucket: Bucket,
    key: string,
    options: { versionId?: string; name: string; ifMatch?: string[]; bypass?: true },
  ): Promise<EditOutcome>
  list(request: ListRequest): Promise<ListPage<ListedObject>>
  listVersions(request: VersionListRequest): Promise<ListPage<ListedVersion>>

  createUpload(
    bucket: Bucket,
    key: string,
    upload: ObjectAttributes & Pick<Upload, 'checksumAlgorithm' | 'checksumType'>,
    encryption?: EncryptionRequest,
  ): Promise<Upload>
  findUpload(bucket: Bucket, key: string, uploadId: Uid): Promise<Upload | undefined>
  putPart(
    request: Omit<PutRequest, 'attributes' | 'conditions' | 'encryption'> & {
      upload: Upload
      number: number
      /** Of an SSE-C upload: its MD5 was compared by the caller. */
      customerKey?: CustomerKey
    },
  ): Promise<PutPartOutcome>
  completeUpload(
    request: Omit<
      Extract<Command, { kind: 'complete-upload' }>,
      'kind' | 'commandId' | 'bucket'
    > & {
      bucket: Bucket
    },
  ): Promise<CompleteOutcome>
  /** `ifInitiated`: only if it began in that second since 1970. */
  abortUpload(
    bucket: Bucket,
    key: string,
    uploadId: Uid,
    ifInitiated?: number,
  ): Promise<AnswerTo<Extract<Command, { kind: 'abort-upload' }>>>
  listParts(
    bucket: Bucket,
    key: string,
    uploadId: Uid,
    after: number,
    limit: number,
  ): Promise<{ parts: Part[]; more: boolean }>
  listUploads(request: UploadListRequest): Promise<ListPage<Upload>>
  /** Whether this rename was done lately with this token, by whichever process that serves this store. */
  recallRename(token: string, rename: Rename): Promise<RenameRecall>
  /** It was done. */
  noteRename(token: string, rename: Rename): Promise<void>
  /** Of all buckets together; a minute old at most when they are many. */
  countUploads(): Promise<UploadCensus>
}

/** The bucket was deleted while the request ran: the gateway answers NoSuchBucket. */
export class BucketGone extends Error {
  override readonly name = 'BucketGone'
  readonly code = 'BUCKET_GONE'
}
