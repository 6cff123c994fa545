// What happens to blobs that lose their last reference: a garbage row in the same batch, due once readers are done.
// And to blobs that lack shards: a repair row in the batch that makes them visible.
import type { Uid } from '../../kit/uid.ts'
import type { RowBatch, RowChange } from '../log/contract.ts'
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
  manifestOf,
  oldManifestKey,
  rangeOf,
  repairKey,
} from '../rows/keys.ts'
import { decodeManifestRow } from '../rows/manifest-row.ts'
import { encodeOldManifestRow } from '../rows/old-manifest-row.ts'
import { encodeRepairRow, type Repair } from '../rows/repair-row.ts'
import type { Context, Row, View } from './decision.ts'

/** Nobody is waited for longer (storage.md 2, Deletes). */
const GARBAGE_DELAY_MS_MAX = 24 * 60 * 60 * 1000

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
    batch.push(discardManifest(manifest.uid, chunkOfManifest(lastChunk.key) + 1, context))
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

/** The manifest stays readable for those who found the object before; sweep.ts forgets it. */
function discardManifest(uid: Uid, chunkCount: number, { nowMs }: Context): RowChange {
  const dueMs = Math.floor(nowMs) + OLD_MANIFEST_KEPT_MS
  return { key: oldManifestKey(dueMs, uid), value: encodeOldManifestRow(chunkCount) }
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
export function oweShards(repair: Omit<Repair, 'blob'>, blob: Blob | undefined): RowBatch {
  const missingCount = blob ? countMissing(blob) : 0
  if (!blob || missingCount === 0) return []
  return [{ key: repairKey(missingCount, blob.uid), value: encodeRepairRow({ ...repair, blob }) }]
}

/** `readerBytes`: what a reader who began before may still be reading. */
function discardBlob(
  { bucketId, blob, readerBytes }: { bucketId: BucketId; blob: Blob; readerBytes: number },
  { nowMs, garbage }: Context,
): RowBatch {
  const readingMs = Math.ceil((readerBytes * 1000) / garbage.bytesPerSecond)
  const dueMs = Math.floor(nowMs) + Math.min(garbage.graceMs + readingMs, GARBAGE_DELAY_MS_MAX)
  const batch: RowBatch = [
    { key: garbageKey(dueMs, blob.uid), value: encodeGarbageRow({ bucketId, blob }) },
  ]
  const missingCount = countMissing(blob)
  if (missingCount > 0) batch.push({ key: repairKey(missingCount, blob.uid), value: undefined })
  return batch
}

function readManifestRows(view: View, uid: Uid): Promise<Row[]> {
  return view.scan(rangeOf(manifestOf(uid)), MANIFEST_CHUNKS_MAX)
}

function blobsOf(parts: readonly Part[]): Blob[] {
  return parts.flatMap((part) => (part.blob ? [part.blob] : []))
}

function countMissing(blob: Blob): number {
  return blob.drives?.filter((drive) => drive === MISSING_SLOT).length ?? 0
}
