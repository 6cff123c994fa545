// Every key of every row, in one table, so that no two kinds can collide (docs/formats/rows.md).
// A key is the number of its kind and then what names the row, so that the order of bytes is the order we scan in.
import { assert } from '../../kit/assert.ts'
import { asBuffer, prefixSuccessor } from '../../kit/bytes.ts'
import { UID_BYTES, type Uid, uidBytes, uidFromBytes } from '../../kit/uid.ts'
import type { RowRange } from '../log/contract.ts'
import type { BucketId } from '../records.ts'
import { escapeKey, KEY_END, unescapeKey } from './escape.ts'
import { VERSION_ID_BYTES, versionIdBytes } from './version-id.ts'

/** First byte of a key. Numbers are never reused. */
export const KeyKind = {
  /** Current version of an object: bucket | key. */
  Current: 1,
  /** Delete marker that is the latest version of its key: bucket | key. */
  Marker: 2,
  /** Version that is not the latest of its key: bucket | escaped key 00 01 | version id. */
  Version: 3,
  /** Upload under way: bucket | escaped key 00 01 | upload id. */
  Upload: 4,
  /** Part of an upload: upload id | number. */
  Part: 5,
  /** Parts of a completed multipart object: manifest uid | chunk. */
  Manifest: 6,
  /** Result of a completed upload: upload id. */
  Completed: 7,
  /** Blob that nothing references: due time | uid. */
  Garbage: 8,
  /** Blob that lacks shards: 255 minus missing slots | uid. */
  Repair: 9,
  /** Answer of a command that was done: command id. */
  Answer: 10,
  /** State of a bucket: bucket. */
  Bucket: 11,
  /** Reserved: counters of objects and bytes. */
  Counter: 12,
  /** The clock of the partition's log; one row. */
  Clock: 13,
  /** Manifest of an object that is no more: due time | manifest uid. */
  OldManifest: 14,
  /** Annotation of a version: annotations id | name. */
  Annotation: 15,
  /** A manifest belongs to no object any more: manifest uid. */
  ManifestEnd: 16,
  /** Up to when blobs were judged to be orphans; one row. */
  Judged: 17,
  Recovered: 18,
} as const
/** The number of a kind of rows. */
export type KeyKind = (typeof KeyKind)[keyof typeof KeyKind]

/** Length of a kind and a due time. */
const TIME_PREFIX_BYTES = 9

/** Length of a kind and a bucket id: where the key of an object begins in its row's key. */
const BUCKET_PREFIX_BYTES = 9

/** Row of the current version of `key`. */
export function currentKey(bucketId: BucketId, key: Uint8Array): Buffer {
  // The one key that every read of an object asks for: without a second buffer.
  const rowKey = Buffer.allocUnsafe(BUCKET_PREFIX_BYTES + key.length)
  writePrefix(rowKey, KeyKind.Current, bucketId)
  rowKey.set(key, BUCKET_PREFIX_BYTES)
  return rowKey
}

/** Row of `key` when its latest version is a delete marker. */
export function markerKey(bucketId: BucketId, key: Uint8Array): Buffer {
  return Buffer.concat([bucketPrefix(KeyKind.Marker, bucketId), key])
}

/** The bucket in a row key that begins with one. */
export function bucketIdOf(rowKey: Uint8Array): BucketId {
  return Number(asBuffer(rowKey).readBigUInt64BE(1))
}

/** The object key in a row key made by currentKey() or markerKey(). */
export function keyOfHead(rowKey: Uint8Array): Buffer {
  return asBuffer(rowKey.subarray(BUCKET_PREFIX_BYTES))
}

/** Versions below the latest ones, of keys that begin with `prefix`. */
export function versionPrefix(bucketId: BucketId, prefix: Uint8Array): Buffer {
  return Buffer.concat([bucketPrefix(KeyKind.Version, bucketId), escapeKey(prefix)])
}

/** All versions of exactly this key below the latest, newest first. */
export function versionsOfKey(bucketId: BucketId, key: Uint8Array): Buffer {
  return Buffer.concat([versionPrefix(bucketId, key), KEY_END])
}

/** Row of a version that is not the latest of its key. */
export function versionKey(bucketId: BucketId, key: Uint8Array, versionId: string): Buffer {
  const id = versionIdBytes(versionId)
  assert(id, 'a version id has 26 digits')
  return Buffer.concat([versionsOfKey(bucketId, key), id])
}

/** The object key in a row key made by versionKey(). */
export function keyOfVersion(rowKey: Uint8Array): Buffer {
  const end = rowKey.length - VERSION_ID_BYTES - KEY_END.length
  return unescapeKey(rowKey.subarray(BUCKET_PREFIX_BYTES, end))
}

/** Uploads whose keys begin with `prefix`. */
export function uploadPrefix(bucketId: BucketId, prefix: Uint8Array): Buffer {
  return Buffer.concat([bucketPrefix(KeyKind.Upload, bucketId), escapeKey(prefix)])
}

/** All uploads of exactly this key, oldest first. */
export function uploadsOfKey(bucketId: BucketId, key: Uint8Array): Buffer {
  return Buffer.concat([uploadPrefix(bucketId, key), KEY_END])
}

/** Row of an upload under way. */
export function uploadKey(bucketId: BucketId, key: Uint8Array, uploadId: Uid): Buffer {
  return Buffer.concat([uploadsOfKey(bucketId, key), uidBytes(uploadId)])
}

/** Key and upload id in a row key made by uploadKey(). */
export function parseUploadKey(rowKey: Uint8Array): { key: Buffer; uploadId: Uid } {
  const end = rowKey.length - UID_BYTES
  const escaped = rowKey.subarray(BUCKET_PREFIX_BYTES, end - KEY_END.length)
  return { key: unescapeKey(escaped), uploadId: uidFromBytes(rowKey.subarray(end)) }
}

/** Row of one part of an upload. */
export function partKey(uploadId: Uid, number: number): Buffer {
  assert(number >= 0 && number <= 0xffff, 'a part number fits in 16 bits')
  const key = keyOfUid(KeyKind.Part, uploadId, 2)
  key.writeUInt16BE(number, 1 + UID_BYTES)
  return key
}

/** All parts of an upload, in order of number. */
export function partsOf(uploadId: Uid): Buffer {
  return keyOfUid(KeyKind.Part, uploadId, 0)
}

/** Row of one chunk of a manifest. */
export function manifestKey(uid: Uid, chunk: number): Buffer {
  const key = keyOfUid(KeyKind.Manifest, uid, 4)
  key.writeUInt32BE(chunk, 1 + UID_BYTES)
  return key
}

/** All chunks of a manifest, in order. */
export function manifestOf(uid: Uid): Buffer {
  return keyOfUid(KeyKind.Manifest, uid, 0)
}

/** The number of the chunk in a row key made by manifestKey(). */
export function chunkOfManifest(rowKey: Uint8Array): number {
  return asBuffer(rowKey).readUInt32BE(1 + UID_BYTES)
}

/** The upload in a row key made by partKey(), or the manifest in one made by manifestKey(). */
export function uidOfParts(rowKey: Uint8Array): Uid {
  return uidFromBytes(rowKey.subarray(1, 1 + UID_BYTES))
}

/** Row that says that a manifest belongs to no object any more. */
export function manifestEndKey(uid: Uid): Buffer {
  return keyOfUid(KeyKind.ManifestEnd, uid, 0)
}

/** Row of the result of a completed upload. */
export function completedKey(uploadId: Uid): Buffer {
  return keyOfUid(KeyKind.Completed, uploadId, 0)
}

/** Row of the annotation `name` of a version. */
export function annotationKey(annotationsId: string, name: string): Buffer {
  return Buffer.concat([annotationsOf(annotationsId), Buffer.from(name)])
}

/** All annotations of a version, in order of name. */
export function annotationsOf(annotationsId: string): Buffer {
  const id = versionIdBytes(annotationsId)
  assert(id, 'annotations lie under the id of a version')
  return Buffer.concat([Buffer.of(KeyKind.Annotation), id])
}

/** The name in a row key made by annotationKey(). */
export function nameOfAnnotation(rowKey: Uint8Array): string {
  return asBuffer(rowKey.subarray(1 + VERSION_ID_BYTES)).toString()
}

/** Row of a blob to be deleted at `dueMs`. */
export function garbageKey(dueMs: number, uid: Uid): Buffer {
  return Buffer.concat([garbageFrom(dueMs), uidBytes(uid)])
}

/** Where garbage that is due at `dueMs` or later begins. */
export function garbageFrom(dueMs: number): Buffer {
  return keyOfTime(KeyKind.Garbage, dueMs)
}

/** Row of a manifest to be forgotten at `dueMs`. */
export function oldManifestKey(dueMs: number, uid: Uid): Buffer {
  return Buffer.concat([oldManifestsFrom(dueMs), uidBytes(uid)])
}

/** Where manifests to be forgotten at `dueMs` or later begin. */
export function oldManifestsFrom(dueMs: number): Buffer {
  return keyOfTime(KeyKind.OldManifest, dueMs)
}

/** The manifest in a row key made by oldManifestKey(). */
export function uidOfOldManifest(rowKey: Uint8Array): Uid {
  return uidFromBytes(rowKey.subarray(TIME_PREFIX_BYTES))
}

/** The due time in a row key made by garbageKey(). */
export function dueOfGarbage(rowKey: Uint8Array): number {
  return Number(asBuffer(rowKey).readBigUInt64BE(1))
}

/** Row of a blob that lacks `missingCount` shards: those that lack most come first, then the oldest. */
export function repairKey(missingCount: number, uid: Uid): Buffer {
  return Buffer.concat([Buffer.of(KeyKind.Repair, 0xff - missingCount), uidBytes(uid)])
}

/** Row of the answer of a command. */
export function answerKey(commandId: Uid): Buffer {
  return keyOfUid(KeyKind.Answer, commandId, 0)
}

/** Where answers of commands made at `timeMs` or later begin: a uid begins with its time. */
export function answersFrom(timeMs: number): Buffer {
  const key = Buffer.alloc(7)
  key[0] = KeyKind.Answer
  key.writeUIntBE(Math.max(0, Math.floor(timeMs)), 1, 6)
  return key
}

/** Row of a bucket's state. */
export function bucketKey(bucketId: BucketId): Buffer {
  return bucketPrefix(KeyKind.Bucket, bucketId)
}

/** Row of the log's clock. */
export const CLOCK_KEY: Uint8Array = Buffer.of(KeyKind.Clock)

/** Row of the time up to which blobs were judged. */
export const JUDGED_KEY: Uint8Array = Buffer.of(KeyKind.Judged)

/** Row of the time at which the partition was recovered. */
export const RECOVERED_KEY: Uint8Array = Buffer.of(KeyKind.Recovered)

/** All keys that begin with `prefix`. */
export function rangeOf(prefix: Uint8Array): RowRange {
  const to = prefixSuccessor(prefix)
  assert(to, 'a key begins with its kind, and no kind is 255')
  return { from: prefix, to }
}

/** Every row of one kind. */
export function rangeOfKind(kind: KeyKind): RowRange {
  return rangeOf(Buffer.of(kind))
}

/** The first key after `key`. */
export function keyAfter(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.of(0)])
}

function bucketPrefix(kind: KeyKind, bucketId: BucketId): Buffer {
  const prefix = Buffer.alloc(BUCKET_PREFIX_BYTES)
  writePrefix(prefix, kind, bucketId)
  return prefix
}

function writePrefix(target: Buffer, kind: KeyKind, bucketId: BucketId): void {
  assert(Number.isSafeInteger(bucketId) && bucketId >= 0, 'buckets are counted')
  target[0] = kind
  // 64 bits in two halves: a BigInt is an object.
  target.writeUInt32BE(Math.floor(bucketId / 2 ** 32), 1)
  target.writeUInt32BE(bucketId % 2 ** 32, 5)
}

function keyOfTime(kind: KeyKind, timeMs: number): Buffer {
  const key = Buffer.alloc(TIME_PREFIX_BYTES)
  key[0] = kind
  key.writeBigUInt64BE(BigInt(timeMs), 1)
  return key
}

function keyOfUid(kind: KeyKind, uid: Uid, extraBytes: number): Buffer {
  const key = Buffer.alloc(1 + UID_BYTES + extraBytes)
  key[0] = kind
  key.set(uidBytes(uid), 1)
  return key
}
