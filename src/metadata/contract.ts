// What a metadata partition answers: commands change it, in one agreed order; queries ask it.
// Every command carries a uid of its own and is idempotent: sent twice it is done once and answers the same.
import type { Uid } from '../kit/uid.ts'
import type { Blob, BucketId, BucketRef, ObjectVersion, Part, Upload } from './records.ts'

/** Partition of metadata: keys are spread over them by hash (storage.md 1). */
export type MetaPartitionId = number

/** Conditions of a write, decided in log order. ETags without quotes; `*` means any version at all. */
export interface WriteConditions {
  ifMatch?: string[]
  ifNoneMatch?: string[]
}

/** What a version is before the log gives it an order: id and time are the log's to assign. */
export type NewVersion = Omit<ObjectVersion, 'versionId' | 'modifiedMs'>

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

export type Command =
  | (KeyCommand & { kind: 'put-object'; version: NewVersion; conditions: WriteConditions })
  | (KeyCommand & { kind: 'delete-object'; conditions: WriteConditions })
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
    })
  | (KeyCommand & { kind: 'abort-upload'; uploadId: Uid })
  /** From here on commands of lower revisions are refused; `frozen` refuses all. Answers whether the bucket is empty here. */
  | { kind: 'set-bucket'; commandId: Uid; bucket: BucketRef; state: 'live' | 'frozen' }
  /** Everything of the bucket becomes garbage: only after every partition answered frozen and empty. */
  | { kind: 'drop-bucket'; commandId: Uid; bucket: BucketRef }
  /** The shards of these blobs are gone: forget the garbage rows. */
  | { kind: 'forget-garbage'; commandId: Uid; items: { dueMs: number; uid: Uid }[] }

/** Why a write was not done. */
export type Refused =
  | { kind: 'condition-failed'; condition: 'If-Match' | 'If-None-Match' }
  /** If-Match on a key that does not exist. */
  | { kind: 'missing' }
  | { kind: 'bucket-gone' }

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

/** What a command answers, by its kind. */
export interface Answers {
  'put-object': { kind: 'done'; version: ObjectVersion } | Refused
  'delete-object': { kind: 'done'; existed: boolean } | Refused
  'create-upload': { kind: 'done'; upload: Upload } | Refused
  'put-part': { kind: 'done'; part: Part } | { kind: 'no-upload' } | Refused
  'complete-upload': { kind: 'done'; version: ObjectVersion } | CompleteRefused | Refused
  'abort-upload': { kind: 'done' } | { kind: 'no-upload' } | Refused
  'set-bucket': { kind: 'done'; empty: boolean } | { kind: 'bucket-gone' }
  'drop-bucket': { kind: 'done' }
  'forget-garbage': { kind: 'done' }
}
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

export type ScanEntry<Record> =
  | { kind: 'entry'; key: string; record: Record }
  | { kind: 'prefix'; prefix: string }

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

/** A blob that nothing references any more. */
export interface Garbage {
  dueMs: number
  bucketId: BucketId
  blob: Blob
}

/** Questions to a partition; each reads a state that holds every write acknowledged before it was asked. */
export interface Queries {
  getObject(bucket: BucketRef, key: string): Promise<ObjectVersion | undefined | 'bucket-gone'>
  getManifest(uid: Uid): Promise<Part[]>
  scanObjects(scan: ObjectScan): Promise<ScanPage<ObjectVersion> | 'bucket-gone'>
  getUpload(bucket: BucketRef, key: string, uploadId: Uid): Promise<Upload | undefined>
  /** Parts with numbers above `after`, in order. */
  listParts(uploadId: Uid, after: number, limit: number): Promise<{ parts: Part[]; more: boolean }>
  scanUploads(scan: UploadScan): Promise<ScanPage<Upload> | 'bucket-gone'>
  /** Garbage due at `nowMs`, oldest first. */
  dueGarbage(nowMs: number, limit: number): Promise<Garbage[]>
}

/** A partition: one order of commands, and rows that follow from it. */
export interface MetadataPartition extends Queries {
  readonly id: MetaPartitionId
  /**
   * Resolves once the outcome is durable on the commit quorum. Throws MetadataUnavailable when it can not be
   * known whether the command was done (its commandId may be sent again).
   */
  commit<C extends Command>(command: C): Promise<AnswerTo<C>>
}
