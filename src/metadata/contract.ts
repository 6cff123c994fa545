// What a metadata partition answers: commands change it, in one agreed order; queries ask it.
// Every command carries a uid of its own and is idempotent: sent twice it is done once and answers the same.
import type { Uid } from '../kit/uid.ts'
import type {
  Annotation,
  AnyVersion,
  Blob,
  BucketId,
  BucketRef,
  DeleteMarker,
  ListedObject,
  ObjectVersion,
  Part,
  Retention,
  Tag,
  Upload,
  VersionName,
} from './records.ts'
import type { WaitingTime } from './waiting-time.ts'

/** Partition of metadata: keys are spread over them by hash. */
export type MetaPartitionId = number

/**
 * Conditions of a write, decided in log order against the current version; a delete marker counts as absent.
 * ETags without quotes; `*` means any version at all.
 */
export interface WriteConditions {
  ifMatch?: string[]
  ifNoneMatch?: string[]
  /** Seconds since 1970: the current version was modified in that second. */
  ifMatchModified?: number
  /** Bytes of the current version. */
  ifMatchBytes?: number
  /** stateIdOf() the current version: how the store itself makes sure that nothing came in between, nor an edit. */
  ifCurrent?: string
}

/** What a version is before the log gives it an order: id, name and time are the log's to assign. */
export type NewVersion = Omit<
  ObjectVersion,
  'versionId' | 'versioned' | 'modifiedMs' | 'editId' | 'unconfirmed'
>

/**
 * A change of what stands beside the bytes of a version. An empty list of tags removes them; retention
 * undefined removes it. Weakening a GOVERNANCE retention needs `bypass`; COMPLIANCE is never weakened.
 */
export type VersionEdit =
  | { what: 'tags'; tags: Tag[] }
  | { what: 'retention'; retention: Retention | undefined; bypass: boolean }
  | { what: 'legal-hold'; on: boolean }

/** An annotation before the log gives it a time. */
export type NewAnnotation = Omit<Annotation, 'modifiedMs'>

/** A part as a client lists it when it completes an upload. */
export interface ListedPart {
  number: number
  /** Without quotes. */
  etag: string
  /** base64, when the client repeats it. */
  checksum?: { algorithm: string; value: string }
}

interface KeyCommand {
  commandId: Uid
  bucket: BucketRef
  key: string
}

/** What is to be deleted of a key. */
export interface KeyDeletion {
  key: string
  /** An id, or `null`; absent for the current version. */
  versionId?: string
  conditions: WriteConditions
}

/** A change asked of one partition, decided in the order of its log; under one `commandId` once, however often sent. */
export type Command =
  | (KeyCommand & {
      kind: 'put-object'
      version: NewVersion
      conditions: WriteConditions
      /** Those that a copy brings along. */
      annotations?: NewAnnotation[]
    })
  /**
   * The current version grows by one part: only if its id still is `versionId`, and never where versions are kept.
   * `manifestUid` names the list of parts if the object has none yet.
   */
  | (KeyCommand & {
      kind: 'append-object'
      versionId: string
      part: Omit<Part, 'number' | 'modifiedMs'>
      manifestUid: Uid
      etag: string
      checksum: ObjectVersion['checksum']
      conditions: WriteConditions
    })
  /**
   * Without a version: forgets the current one, or puts a delete marker over it where the bucket keeps versions.
   * With one (an id, or `null`): removes just that, for ever, unless it is locked.
   */
  | (KeyCommand & {
      kind: 'delete-object'
      /** The client may and wants to pass over GOVERNANCE. */
      bypass?: true
    } & Omit<KeyDeletion, 'key'>)
  /**
   * As many delete-object, in this order and in one entry, as fit into it: the answer has the outcomes of the first so many
   * keys, of one at least. The others are to be asked for again, under another id.
   */
  | {
      kind: 'delete-objects'
      commandId: Uid
      bucket: BucketRef
      keys: KeyDeletion[]
      bypass?: true
    }
  | (KeyCommand & {
      kind: 'edit-version'
      /** Absent: the current one. */
      versionId?: string
      edit: VersionEdit
    })
  /** Sets an annotation of a version. `ifMatch`: ETags, one of which the version has. */
  | (KeyCommand & {
      kind: 'put-annotation'
      versionId: string
      annotation: NewAnnotation
      ifMatch?: string[]
    })
  /** Removes an annotation, if it is there. */
  | (KeyCommand & {
      kind: 'delete-annotation'
      versionId?: string
      name: string
      ifMatch?: string[]
      bypass?: true
    })
  | (KeyCommand & { kind: 'create-upload'; upload: Omit<Upload, 'initiatedMs'> })
  | (KeyCommand & { kind: 'put-part'; uploadId: Uid; part: Omit<Part, 'modifiedMs'> })
  | (KeyCommand & {
      kind: 'complete-upload'
      uploadId: Uid
      parts: ListedPart[]
      conditions: WriteConditions
      /** What the client claims of the whole: checked, never trusted. */
      claimed: {
        bytes?: number
        checksum?: { algorithm: string; value: string }
        checksumType?: string
      }
      /** Of the bucket; holds where Create named none. */
      defaultRetention?: Retention
    })
  /**
   * `ifInitiated`: only an upload that began in that second. `idleSinceMs`: only one that neither began nor got a part
   * since; no other is found.
   */
  | (KeyCommand & {
      kind: 'abort-upload'
      uploadId: Uid
      ifInitiated?: number
      idleSinceMs?: number
    })
  /** From here on commands of lower revisions are refused; `frozen` refuses all. Answers whether the bucket is empty here. */
  | { kind: 'set-bucket'; commandId: Uid; bucket: BucketRef; state: 'live' | 'frozen' }
  /** Everything of the bucket becomes garbage: only after every partition answered frozen and empty. */
  | { kind: 'drop-bucket'; commandId: Uid; bucket: BucketRef }
  /**
   * The shards of a blob lie on other drives now, all of them durable: `drives` as in Blob. `from`: what its row said
   * when that was decided; the command is refused if it says something else by now. The repair row goes, or stays for
   * the slots that are still owed.
   */
  | {
      kind: 'move-blob'
      commandId: Uid
      rowKey: Uint8Array
      uid: Uid
      part: number
      from: number[]
      drives: number[]
    }
  /**
   * The bytes of a blob were written anew, as `blob`, with another code. It takes the place of the one of `uid`, which
   * becomes garbage; refused if the row does not name that by now. `bucketId`: of the object that the row is of.
   */
  | {
      kind: 'replace-blob'
      commandId: Uid
      rowKey: Uint8Array
      bucketId: BucketId
      uid: Uid
      blob: Blob
    }
  /** The shards of these blobs are gone: forget the garbage rows. */
  | { kind: 'forget-garbage'; commandId: Uid; items: { dueMs: number; uid: Uid }[] }

/** A blob and the row that names it: where its drives are written when they change. */
export interface BlobReference {
  /** Key of the row: an object, an older version, a part, a chunk of a manifest or an annotation. */
  rowKey: Uint8Array
  bucketId: BucketId | undefined
  /** Of the object; undefined, like the bucket, where the row does not say (parts, manifests, annotations). */
  key: string | undefined
  blob: Blob
}

/** A blob that is known to lack shards, and enough to find the row that names it. */
export interface OwedBlob {
  /** Absent, like the key, when the blob lost shards after it was committed and its row does not say. */
  bucketId?: BucketId
  key?: string
  blob: Blob
  /** The upload that the blob was a part of when it was written. */
  uploadId?: Uid
  /** The row that names it for as long as any does. */
  rowKey?: Uint8Array
}

/** As the error shows it. */
export type ConditionName =
  | 'If-Match'
  | 'If-None-Match'
  | 'x-amz-if-match-last-modified-time'
  | 'x-amz-if-match-size'
  | 'x-amz-if-match-initiated-time'
  | 'x-amz-object-if-match'

/** Why a write was not done. */
export type Refused = KeyRefused | { kind: 'bucket-gone' }

/** Why a write was not done, for what its key has. */
export type KeyRefused =
  | { kind: 'condition-failed'; condition: ConditionName }
  /** If-Match on a key that does not exist. */
  | { kind: 'missing' }
  /** What would have to go is held by retention or legal hold. */
  | { kind: 'locked' }

/** Why an upload was not completed, beside what any write may be refused for. ETags have no quotes. */
export type CompleteRefused =
  | { kind: 'no-upload' }
  | { kind: 'invalid-part'; number: number; etag: string }
  | { kind: 'part-order' }
  | { kind: 'part-too-small'; number: number; bytes: number; etag: string }
  /** Sizes, checksum type or object checksum are not what the client claimed. */
  | {
      kind: 'claim-failed'
      claim: 'bytes' | 'checksum' | 'checksum-type' | 'part-checksum'
      wanted: string
      actual: string
    }

/** There is no such version, or it is a delete marker. */
export type NotEditable = { kind: 'no-version' } | { kind: 'delete-marker'; marker: DeleteMarker }

/** What became of a key that was to be deleted. */
export type DeletionOutcome =
  | {
      kind: 'done'
      /** What was removed, or put on top: undefined where nothing changed. */
      removed?: VersionName & { deleteMarker: boolean }
      made?: DeleteMarker
    }
  | KeyRefused

/** What a command answers, by its kind. */
export interface Answers {
  'put-object': { kind: 'done'; version: ObjectVersion } | Refused
  'append-object': { kind: 'done'; version: ObjectVersion } | { kind: 'changed' } | Refused
  'delete-object': DeletionOutcome | { kind: 'bucket-gone' }
  'delete-objects': { kind: 'done'; outcomes: DeletionOutcome[] } | { kind: 'bucket-gone' }
  'edit-version': { kind: 'done'; version: ObjectVersion } | NotEditable | Refused
  'put-annotation':
    | { kind: 'done'; version: ObjectVersion; annotation: Annotation }
    | { kind: 'too-many' }
    | NotEditable
    | Refused
  'delete-annotation': { kind: 'done'; version: ObjectVersion } | NotEditable | Refused
  'create-upload': { kind: 'done'; upload: Upload } | Refused
  'put-part': { kind: 'done'; part: Part } | { kind: 'no-upload' } | Refused
  'complete-upload': { kind: 'done'; version: ObjectVersion } | CompleteRefused | Refused
  'abort-upload': { kind: 'done' } | { kind: 'no-upload' } | Refused
  'set-bucket': { kind: 'done'; empty: boolean } | { kind: 'bucket-gone' }
  'drop-bucket': { kind: 'done' }
  /** `elsewhere`: the row does not name the blob any more; it may have moved, or be garbage. */
  'move-blob': { kind: 'done' } | { kind: 'elsewhere' }
  /** `elsewhere`: as for move-blob. */
  'replace-blob': { kind: 'done' } | { kind: 'elsewhere' }
  'forget-garbage': { kind: 'done' }
}
/** What commands of this type are answered. */
export type AnswerTo<C extends Command> = Answers[C['kind']]

/** One ordered page of a scan asks from strictly after `after` (bytes of UTF-8 order). */
export interface ObjectScan {
  bucket: BucketRef
  prefix: string
  /** Empty: from the beginning. Everything up to and including it is skipped; with a delimiter, `afterPrefix` skips a whole common prefix. */
  after: string
  /** True when `after` is a common prefix: every key that begins with it is skipped. */
  afterPrefix: boolean
  /** Empty: none. */
  delimiter: string
  limit: number
}

/** One line of a page: a key with what is listed of it, or a common prefix that stands for all keys below it. */
export type ScanEntry<Record> =
  | { kind: 'entry'; key: string; record: Record }
  | { kind: 'prefix'; prefix: string }

/** An object in a page. */
export type ListedEntry = Extract<ScanEntry<ListedObject>, { kind: 'entry' }>

/** `more` is false only when nothing is left after the last entry. */
export interface ScanPage<Record> {
  entries: ScanEntry<Record>[]
  more: boolean
}

/** Uploads sort by key, then by time of initiation (= upload id). */
export interface UploadScan extends ObjectScan {
  /** With `after` a key: uploads of that key with greater ids are still listed. Empty: none are. */
  afterUploadId: string
}

/** Versions sort by key, then newest first. */
export interface VersionScan extends ObjectScan {
  /** With `after` a key: versions of that key with greater (older) ids are still listed. Empty: none are. */
  afterVersionId: string
}

/** One line of a listing of versions. */
export interface ListedVersion {
  version: AnyVersion
  isLatest: boolean
}

/** A page of the annotations of one version, in order of name. */
export interface AnnotationScan {
  prefix: string
  /** Empty: from the beginning. */
  after: string
  limit: number
}

/** How many uploads are under way, and since when. */
export interface UploadCensus {
  count: number
  /** Parts that were uploaded and are no object yet, and their bytes without parity. */
  parts: number
  bytes: number
  /** Undefined when there are none. */
  oldestMs: number | undefined
}

/** A blob that nothing references any more. */
export interface Garbage {
  dueMs: number
  bucketId: BucketId
  blob: Blob
}

/** Questions to a partition; each reads a state that holds every write acknowledged before it was asked. */
export interface Queries {
  /** `versionId`: an id, or `null`; absent for the latest version, which may be a delete marker. */
  getObject(
    bucket: BucketRef,
    key: string,
    versionId?: string,
  ): Promise<AnyVersion | undefined | 'bucket-gone'>
  getManifest(uid: Uid): Promise<Part[]>
  scanObjects(scan: ObjectScan): Promise<ScanPage<ListedObject> | 'bucket-gone'>
  getUpload(bucket: BucketRef, key: string, uploadId: Uid): Promise<Upload | undefined>
  /** Parts with numbers above `after`, in order. */
  listParts(uploadId: Uid, after: number, limit: number): Promise<{ parts: Part[]; more: boolean }>
  scanUploads(scan: UploadScan): Promise<ScanPage<Upload> | 'bucket-gone'>
  scanVersions(scan: VersionScan): Promise<ScanPage<ListedVersion> | 'bucket-gone'>
  countUploads(): Promise<UploadCensus>
  getAnnotation(annotationsId: string, name: string): Promise<Annotation | undefined>
  scanAnnotations(
    annotationsId: string,
    scan: AnnotationScan,
  ): Promise<{ annotations: Annotation[]; more: boolean }>
  /**
   * Blobs in order of the keys of the rows that name them, strictly after the row `after`: about `limit`, for all of
   * one row come at once. Go on after the `after` of the page while there is `more`. A version that becomes the
   * latest again while they are walked may be missed, for it goes back to where the walk has been: see `tally`.
   */
  scanBlobs(
    after: Uint8Array | undefined,
    limit: number,
  ): Promise<{ references: BlobReference[]; after: Uint8Array | undefined; more: boolean }>
  /** Blobs with repair rows: those that lack most first, then the oldest. */
  owedBlobs(limit: number): Promise<OwedBlob[]>
  /** The row that names a blob now, by bucket and key, upload or row; undefined when nothing does. */
  findBlob(owed: OwedBlob): Promise<BlobReference | undefined>
  /**
   * The rows that name blobs which were written for a key, by its shards' own word, in the order of `blobs`; undefined
   * where no row does. Asked in the order of the commands, so it is exact: what is not named then will never be named
   * again, unless its writer has not committed yet. Throws when that can not be known, as SearchTooLong for a key of
   * very many rows.
   */
  findInOrder(
    place: { bucketId: BucketId; key: string },
    blobs: readonly Pick<Blob, 'uid' | 'part'>[],
  ): Promise<(BlobReference | undefined)[]>
  /**
   * Resolves once every command that was given before is done or refused, also those that nobody waits for any more:
   * rows show all of them then. Throws MetadataUnavailable when that can not be known.
   */
  settle(): Promise<void>
  /** Garbage due at `nowMs`, oldest first; with `after` what comes after that. */
  dueGarbage(nowMs: number, limit: number, after?: Garbage): Promise<Garbage[]>
}

/** What commands did since the process began: where it has grown, what was read of the rows before says too little. */
export interface PartitionTally {
  /** Blobs that were left without some of their shards. */
  readonly owed: number
  /** Blobs of versions that became the latest again. */
  readonly promoted: number
  /** Those that became it since there were `promoted`; undefined where they were too many to remember. */
  promotedSince(promoted: number): readonly OwedBlob[] | undefined
}

/** A partition as everybody sees it, whichever process orders its commands. */
export interface ReachablePartition extends Queries {
  readonly id: MetaPartitionId
  /**
   * The latest version of a key as getObject() would find it if it were asked in this moment, where that is known without
   * waiting; undefined when getObject() has to be asked. Absent where nothing is kept at hand.
   */
  getAtHand?(bucket: BucketRef, key: string): ObjectVersion | undefined
  /**
   * Resolves once the outcome is durable on the commit quorum. Throws MetadataUnavailable when it can not be
   * known whether the command was done (its commandId may be sent again); its `lateEnd` tells, where it goes on.
   */
  commit<C extends Command>(command: C, sending?: Pick<Sending, 'isFirst'>): Promise<AnswerTo<C>>
  /**
   * The same partition, as a request asks it that waits no longer than that: MetadataUnavailable then. Absent where nobody has
   * to be found who answers.
   */
  within?(time: WaitingTime): ReachablePartition
}

/** What is known of a command when it comes. */
export interface Sending {
  /** Its id was made for it just now and nobody has sent it before: whether it was done already need not be looked up. */
  isFirst?: boolean | undefined
  /** Once it says so nothing is appended for the command: MetadataUnavailable. */
  isLate?: (() => boolean) | undefined
}

/** What whoever leads a partition says of a blob that may be an orphan. */
export type BlobVerdict =
  | { kind: 'named'; reference: BlobReference }
  /** No row names it, and none ever will. */
  | { kind: 'unnamed' }
  /** No row names it, but its writer may be about to commit it. */
  | { kind: 'young' }

/** Where the row of garbage is among the others. */
export interface GarbagePlace {
  dueMs: number
  uid: Uid
}

/** A partition that is led in this process: one order of commands, and rows that follow from it. */
export interface MetadataPartition extends ReachablePartition {
  /** Has grown before a command is answered, and before it is durable. */
  readonly tally: PartitionTally
  commit<C extends Command>(command: C, sending?: Sending): Promise<AnswerTo<C>>
  /**
   * As findInOrder(), and for ever, whoever leads: by an entry in the log, after which no blob gets a row that had none and
   * is of the same time or older. Throws when that can not be known.
   */
  judgeBlobs(
    place: { bucketId: BucketId; key: string },
    blobs: readonly Pick<Blob, 'uid' | 'part'>[],
  ): Promise<BlobVerdict[]>
  /**
   * Forgets some of the rows that outlived their use: answers of commands, results of completed uploads, manifests of
   * objects that are no more. Commands do it on their way; a partition that gets none has to be told, now and then.
   * Resolves, once it is durable, with the count of rows forgotten; throws as commit() does.
   */
  forgetExpired(): Promise<number>
  /** Blobs with repair rows after that of `after`, in the order of owedBlobs(). */
  owedAfter(after: OwedBlob, limit: number): Promise<OwedBlob[]>
  /** How many repair rows there are, by a walk over all of them. */
  countOwed(): Promise<number>
  /** Garbage after that place, whenever it is due, the earliest first: for what the wall clock says nothing true of. */
  garbageAfter(after: GarbagePlace, limit: number): Promise<Garbage[]>
}
