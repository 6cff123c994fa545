// Parts that no row of the dump names: an object, when they can be all of it, otherwise an upload under way. Whether an
// upload was completed stands in rows alone, so what is made is assumed, and the report says so.
import { type Uid, uidTimeMs } from '../../kit/uid.ts'
import { oweShards } from '../commands/become-garbage.ts'
import { multipartChecksum, multipartEtag } from '../commands/multipart-digest.ts'
import type { Label } from '../label.ts'
import { type ObjectVersion, originOf, type Part } from '../records.ts'
import { completedKey, manifestKey, partKey, partsOf, rangeOf, uploadKey } from '../rows/keys.ts'
import { decodeManifestRow, encodeManifestRows } from '../rows/manifest-row.ts'
import { decodePartRow, encodePartRow } from '../rows/part-row.ts'
import { encodeUploadRow } from '../rows/upload-row.ts'
import type { Draft } from './draft.ts'
import { attributesOf, type FoundBlob, isReadable, labelOf, noteOf } from './remains.ts'

interface Together {
  uploadId: Uid
  first: FoundBlob
  label: Label
  parts: readonly Part[]
}

/** All parts together, as if they had all been listed. */
export async function placeUpload(
  draft: Draft,
  uploadId: Uid,
  found: readonly FoundBlob[],
): Promise<void> {
  const first = found[0]!
  // Completed before the dump: what it did not take was garbage.
  if (draft.rows.get(completedKey(uploadId))) return
  const parts = partsTogether(draft, uploadId, found)
  if (parts.length === 0) {
    draft.report.unplaced.push(noteOf(first))
    return
  }
  for (const part of found) if (!isReadable(part.blob)) draft.report.damaged.push(noteOf(part))
  const upload = { uploadId, first, label: labelOf(first), parts }
  const versioned = draft.remains.buckets.get(first.bucketId)?.versioned === true
  const obstacle = isWhole(found, parts) ? await findObstacle(draft, first, versioned) : 'not-whole'
  const isDone =
    obstacle === undefined && (await completeUpload(draft, upload, { found, versioned }))
  if (!isDone) resumeUpload(draft, upload)
  const assumed = isDone
    ? ({ assumed: 'completed', because: 'all-parts' } as const)
    : ({ assumed: 'under-way', because: obstacle ?? 'key-taken' } as const)
  draft.uploads.set(uploadId, { ...noteOf(first), uid: uploadId, ...assumed })
}

async function findObstacle(
  draft: Draft,
  { bucketId, key }: FoundBlob,
  versioned: boolean,
): Promise<'key-taken' | undefined> {
  if (versioned) return undefined
  const { current } = await draft.stateOf(bucketId, key)
  return current !== undefined && current.bytes > 0 ? 'key-taken' : undefined
}

/** Parts of the dump and those found since; of two with one number the later. */
function partsTogether({ rows }: Draft, uploadId: Uid, found: readonly FoundBlob[]): Part[] {
  const parts = new Map<number, Part>()
  for (const row of rows.scan(rangeOf(partsOf(uploadId)))) {
    const part = decodePartRow(row.value)
    parts.set(part.number, part)
  }
  const ordered = [...found].sort((left, right) =>
    originOf(left.blob) < originOf(right.blob) ? -1 : 1,
  )
  for (const one of ordered) {
    const { blob, plainBytes } = one
    const { facts } = labelOf(one)
    if (!facts) continue
    const { etag, checksum } = facts
    const modifiedMs = uidTimeMs(originOf(blob))
    parts.set(blob.part, {
      ...{ number: blob.part, bytes: plainBytes, etag, modifiedMs, blob },
      ...(checksum ? { checksum } : {}),
    })
  }
  return [...parts.values()].sort((left, right) => left.number - right.number)
}

/** Whether nothing is missing in the middle: an object is never made of some of its parts. */
function isWhole(found: readonly FoundBlob[], parts: readonly Part[]): boolean {
  const latest = new Map<number, FoundBlob>()
  for (const one of found) {
    const { part } = one.blob
    const before = latest.get(part)?.blob
    if (!before || originOf(before) < originOf(one.blob)) latest.set(part, one)
  }
  return (
    [...latest.values()].every((one) => labelOf(one).facts && isReadable(one.blob)) &&
    parts.every(({ number, blob }, index) => number === index + 1 && (!blob || isReadable(blob)))
  )
}

/** False when the key has something that does not give way. */
async function completeUpload(
  draft: Draft,
  { uploadId, first, label, parts }: Together,
  { found, versioned }: { found: readonly FoundBlob[]; versioned: boolean },
): Promise<boolean> {
  const { rows } = draft
  const atMs = found.reduce((last, { blob }) => Math.max(last, uidTimeMs(originOf(blob))), 0)
  const checksum = checksumOf(label, parts)
  const isPlaced = await draft.placeVersion(
    first,
    { atMs, versioned },
    {
      ...attributesOf(label),
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      etag: multipartEtag(parts),
      manifest: { uid: uploadId, partCount: parts.length },
      ...(checksum ? { checksum } : {}),
      ...(label.encryption ? { encryption: label.encryption } : {}),
    },
  )
  if (!isPlaced) return false
  rows.delete(uploadKey(first.bucketId, Buffer.from(first.key), uploadId))
  for (const { number } of parts) rows.delete(partKey(uploadId, number))
  for (const [chunk, value] of encodeManifestRows(parts).entries()) {
    const rowKey = manifestKey(uploadId, chunk)
    rows.put(rowKey, value)
    for (const { blob } of decodeManifestRow(value)) draft.apply(oweShards({ rowKey }, blob))
  }
  return true
}

function resumeUpload(draft: Draft, { uploadId, first, label, parts }: Together): void {
  const { bucketId, key } = first
  const { encryption, role } = label
  const declared = role.kind === 'part' ? role : undefined
  const { checksumAlgorithm, checksumType } = declared ?? {}
  const upload = {
    ...attributesOf(label),
    ...{ uploadId, initiatedMs: uidTimeMs(uploadId) },
    ...(checksumAlgorithm ? { checksumAlgorithm } : {}),
    ...(checksumType ? { checksumType } : {}),
    ...(encryption ? { encryption } : {}),
  }
  draft.rows.put(uploadKey(bucketId, Buffer.from(key), uploadId), encodeUploadRow(upload))
  for (const part of parts) {
    draft.rows.put(partKey(uploadId, part.number), encodePartRow(part))
    draft.apply(oweShards({ bucketId, key, uploadId }, part.blob))
  }
}

function checksumOf({ role }: Label, parts: readonly Part[]): ObjectVersion['checksum'] {
  if (role.kind !== 'part') return undefined
  const algorithm = role.checksumAlgorithm ?? 'CRC64NVME'
  const type = role.checksumType ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE')
  return multipartChecksum(algorithm, type, parts)
}
