// What happens to blobs that lose their last reference: a garbage row in the same batch, due once readers are done.
// And to blobs that lack shards: a repair row in the batch that makes them visible.
import type { Uid } from '../../kit/uid.ts'
import type { OwedBlob } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import {
  type Annotation,
  type Blob,
  type BucketId,
  MISSING_SLOT,
  type ObjectVersion,
  type Part,
} from '../records.ts'
import { decodeAnnotationRow } from '../rows/annotation-row.ts'
import { encodeGarbageRow } from '../rows/garbage-row.ts'
import {
  annotationsOf,
  chunkOfManifest,
  garbageKey,
  manifestEndKey,
  manifestOf,
  oldManifestKey,
  rangeOf,
  repairKey,
} from '../rows/keys.ts'
import { decodeManifestRow } from '../rows/manifest-row.ts'
import { encodeManifestEndRow, encodeOldManifestRow } from '../rows/old-manifest-row.ts'
import { encodeRepairRow } from '../rows/repair-row.ts'
import type { Context, Row, View } from './decision.ts'

/** However slow a reader is, nobody is waited for longer. */
export const GARBAGE_DELAY_MS_MAX = 24 * 60 * 60 * 1000

/** As many chunks as the 10,000 parts of an object can fill, when each was appended. */
export const MANIFEST_CHUNKS_MAX = 10_000

/** A version can have no more. */
export const ANNOTATIONS_MAX = 1000

/** Between finding an object and asking for its parts nobody takes longer. */
const OLD_MANIFEST_KEPT_MS = 60 * 60 * 1000

/** Changes that give up everything which `version` alone references, but for the blob `kept`. */
export async function discardVersion(
  bucketId: BucketId,
  version: ObjectVersion,
  context: Context,
  kept?: Uid,
): Promise<RowBatch> {
  const { manifest, blob, bytes } = version
  const chunks = manifest ? await readManifestRows(context.view, manifest.uid) : []
  const parts = chunks.flatMap(({ value }) => decodeManifestRow(value))
  const batch = [...(blob ? [blob] : []), ...blobsOf(parts)]
    .filter(({ uid }) => uid !== kept)
    .flatMap((unused) => discardBlob({ bucketId, blob: unused, readerBytes: bytes }, context))
  batch.push(...(await discardAnnotations(bucketId, version, context)))
  const lastChunk = chunks.at(-1)
  if (manifest && lastChunk) {
    batch.push(...discardManifest(manifest.uid, chunkOfManifest(lastChunk.key) + 1, context))
  }
  return batch
}

/** Changes that give up the bytes of an annotation whose row is gone or written anew. */
export function discardAnnotation(
  bucketId: BucketId,
  { blob, bytes }: Annotation,
  context: Context,
): RowBatch {
  return blob ? discardBlob({ bucketId, blob, readerBytes: bytes }, context) : []
}

async function discardAnnotations(
  bucketId: BucketId,
  { annotationsId }: ObjectVersion,
  context: Context,
): Promise<RowBatch> {
  if (annotationsId === undefined) return []
  const rows = await context.view.scan(rangeOf(annotationsOf(annotationsId)), ANNOTATIONS_MAX)
  return rows.flatMap(({ key, value }) => [
    { key, value: undefined },
    ...discardAnnotation(bucketId, decodeAnnotationRow(key, value), context),
  ])
}

/**
 * The manifest stays readable for those who found the object before; sweep.ts forgets it. Until then it says that it
 * has ended: what it names is garbage, and not to be repaired.
 */
function discardManifest(uid: Uid, chunkCount: number, { nowMs }: Context): RowBatch {
  const dueMs = Math.floor(nowMs) + OLD_MANIFEST_KEPT_MS
  return [
    { key: oldManifestKey(dueMs, uid), value: encodeOldManifestRow(chunkCount) },
    { key: manifestEndKey(uid), value: encodeManifestEndRow() },
  ]
}

/** Changes that give up parts which no object took over. */
export function discardParts(
  bucketId: BucketId,
  parts: readonly Part[],
  context: Context,
): RowBatch {
  return blobsOf(parts).flatMap((blob) =>
    discardBlob({ bucketId, blob, readerBytes: blob.bytes }, context),
  )
}

/** The repair row of a blob that lacks shards; nothing for a whole one. */
export function oweShards(owed: Omit<OwedBlob, 'blob'>, blob: Blob | undefined): RowBatch {
  const key = blob && repairKeyOf(blob)
  return key ? [{ key, value: encodeRepairRow({ ...owed, blob }) }] : []
}

/** Forgets the repair row of a blob, if it has one. */
export function forgetOwed(blob: Blob): RowBatch {
  const key = repairKeyOf(blob)
  return key ? [{ key, value: undefined }] : []
}

/** Where the repair row of a blob is; undefined for a whole one. */
export function repairKeyOf(blob: Blob): Buffer | undefined {
  const missingCount = blob.drives.filter((drive) => drive === MISSING_SLOT).length
  return missingCount > 0 ? repairKey(missingCount, blob.uid) : undefined
}

/** Changes that give up one blob. `readerBytes`: what a reader who began before may still be reading. */
export function discardBlob(
  { bucketId, blob, readerBytes }: { bucketId: BucketId; blob: Blob; readerBytes: number },
  { nowMs, garbage }: Context,
): RowBatch {
  const readingMs = Math.ceil((readerBytes * 1000) / garbage.bytesPerSecond)
  const dueMs = Math.floor(nowMs) + Math.min(garbage.graceMs + readingMs, GARBAGE_DELAY_MS_MAX)
  return [
    { key: garbageKey(dueMs, blob.uid), value: encodeGarbageRow({ bucketId, blob }) },
    ...forgetOwed(blob),
  ]
}

function readManifestRows(view: View, uid: Uid): Promise<Row[]> {
  return view.scan(rangeOf(manifestOf(uid)), MANIFEST_CHUNKS_MAX)
}

function blobsOf(parts: readonly Part[]): Blob[] {
  return parts.flatMap((part) => (part.blob ? [part.blob] : []))
}
