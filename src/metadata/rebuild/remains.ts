// What is left of a partition whose replicas are all lost, and what is said of that which is made of it.
import type { Uid } from '../../kit/uid.ts'
import type { Row } from '../commands/decision.ts'
import { decodeLabel, type Label } from '../label.ts'
import {
  type Blob,
  type BucketId,
  MISSING_SLOT,
  type ObjectAttributes,
  originOf,
} from '../records.ts'

/** A blob as its shards tell of it. There may be millions, so a label is taken apart only when it is needed. */
export interface FoundBlob {
  bucketId: BucketId
  key: string
  /** Its drives are those on which a whole header and tail were found. */
  blob: Blob
  /** Length before encryption. */
  plainBytes: number
  /** As it is in the headers of its shards. */
  label: Uint8Array
}

/** What is left of a partition. */
export interface Remains {
  /** Absent: there is none. */
  dump?: { takenMs: number; rows: readonly Row[] }
  blobs: readonly FoundBlob[]
  /** Of buckets that exist: whether they keep versions. */
  buckets: ReadonlyMap<BucketId, { versioned: boolean }>
  nowMs: number
  /** Others were writing meanwhile: commands that they sent before may still come. */
  hasWriters?: true
  /** Drives of which nobody asked for shards: they may have some. */
  absent?: ReadonlySet<number>
}

/** Something that people are to know, by name as far as it has one. */
export interface Noted {
  bucketId?: BucketId
  key?: string
  uid?: Uid
}

/** An upload of which nothing tells for sure whether it was completed, and what was taken for true. */
export interface NotedUpload extends Noted {
  /** `completed`: an object was made of all parts that are there. `under-way`: it can be completed or aborted. */
  assumed: 'completed' | 'under-way'
  /**
   * `all-parts`: nothing is missing in between. `dump`: it was under way in the dump, and no part came since. `not-whole`: a part in
   * between is missing or damaged. `key-taken`: the key has an object, and keeps no versions.
   */
  because: 'all-parts' | 'dump' | 'not-whole' | 'key-taken'
}

/** What was made, and what can not be known. */
export interface RebuildReport {
  /** Rows that the dump had. */
  dumpedRows: number
  /** Versions made from shards alone. */
  unconfirmed: number
  /** Named by the dump, but no shard is left: deleted or overwritten since, or lost. */
  gone: Noted[]
  /** Too few shards are left to read them. */
  damaged: Noted[]
  /** Uploads with parts that may have been completed, or not. */
  uploads: NotedUpload[]
  /** Appends, annotations and blobs without a label: their shards stay, no row names them. */
  unplaced: Noted[]
  /** Shards of buckets that are no more. */
  strangers: number
}

/** A blob without a label says nothing of an object: only a row of the dump can name it. */
const NO_LABEL: Label = { role: { kind: 'annotation', name: '' } }

/** What the blob was written for. */
export function labelOf({ label }: Pick<FoundBlob, 'label'>): Label {
  return decodeLabel(label) ?? NO_LABEL
}

/** Attributes that had no room are gone. */
export function attributesOf({ attributes }: Label): ObjectAttributes {
  return attributes ?? { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
}

/** Whether as many shards are there as its bytes are made of. */
export function isReadable({ code, drives }: Blob): boolean {
  return drives.filter((drive) => drive !== MISSING_SLOT).length >= code.dataCount
}

/**
 * One name for a blob: an upload has many under one uid each, and a part number says which. The same bytes have the same
 * name, under whatever uid they were written again.
 */
export function nameOf(blob: Pick<Blob, 'uid' | 'origin' | 'part'>): string {
  return `${originOf(blob)}.${blob.part}`
}

/** How a report names it. */
export function noteOf({ bucketId, key, blob }: FoundBlob): Noted {
  return { bucketId, key, uid: blob.uid }
}
