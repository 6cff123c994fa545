// A body becomes a stored blob, and what a row says of it. Until a commit names the blob it is invisible.
import { hiddenEtag } from '../encryption/hidden-etag.ts'
import { Overloaded } from '../kit/semaphore.ts'
import { encodeLabel, type LabelRole, sealLabel } from '../metadata/label.ts'
import type { Blob, ObjectAttributes, Part } from '../metadata/records.ts'
import { MetadataUnavailable } from '../metadata/unavailable.ts'
import type { Sealing } from './data-keys.ts'
import type { StoredBody } from './describe-write.ts'
import { encryptBody } from './encrypt-body.ts'
import {
  type Body,
  type BodyDigests,
  type Bucket,
  BucketGone,
  type Waiter,
} from './object-store.ts'
import { StoreFull } from './place-write.ts'
import type { BlobParts, StoreParts } from './store-parts.ts'
import { discardBlob, writeBlob } from './write-blob.ts'

/** Whose bytes they are. */
export interface BodyOwner {
  bucket: Bucket
  key: string
  /** 0 for a whole object. */
  part: number
  storageClass: string
  /** What it is written as, and of what object: for the headers of its shards. */
  role: LabelRole
  attributes?: ObjectAttributes
  /** Absent: the bytes are stored as they come. */
  sealing?: Sealing | undefined
}

/** What a row says of bytes that were stored, be they an object or a part. */
export type StoredFacts = Pick<Part, 'bytes' | 'etag' | 'checksum' | 'blob'>

/** Stores a body; throws what the body throws, and then leaves nothing behind. */
export async function storeBody(
  { bucket, key, part, storageClass, sealing, role, attributes }: BodyOwner,
  body: Body,
  parts: StoreParts,
  waiter: Waiter,
): Promise<StoredFacts> {
  const { partition } = parts.router.route(bucket.id, key)
  const metadata = encodeLabel({ role, attributes, encryption: sealing?.encryption })
  const sealMetadata = ({ md5, checksum }: BodyDigests): Uint8Array =>
    sealLabel(metadata, { etag: shownEtag(md5, sealing), ...(checksum ? { checksum } : {}) })
  const uid = parts.writes.begin()
  let isStored = false
  try {
    const { id: bucketId } = bucket
    const owner = { uid, bucketId, key, part, partition, storageClass, metadata, sealMetadata }
    const written = sealing ? encryptBody(body, sealing.dataKey, { uid, part }) : body
    const stored = await writeBlob(owner, written, parts, waiter)
    isStored = stored.blob !== undefined
    return describeStored(body, stored, sealing)
  } finally {
    // What was stored is under way until its commit has an outcome, or somebody discards it.
    if (!isStored) parts.writes.end(uid)
  }
}

/** The answer of the commit that names what was stored. When it was surely not done nothing of that stays. */
export async function commitStored<Answer extends { kind: string }>(
  stored: readonly { blob?: Blob }[],
  parts: BlobParts,
  commit: () => Promise<Answer>,
): Promise<Answer> {
  // `open`: nobody knows, or not before `lateEnd`.
  let outcome: 'done' | 'refused' | 'open' = 'open'
  let lateEnd: Promise<unknown> | undefined
  try {
    const answer = await commit()
    outcome = answer.kind === 'done' ? 'done' : 'refused'
    return answer
  } catch (error) {
    // Any other error leaves open whether it was done.
    const isRefusal = [BucketGone, Overloaded, StoreFull].some((kind) => error instanceof kind)
    if (isRefusal) outcome = 'refused'
    if (error instanceof MetadataUnavailable) lateEnd = error.lateEnd
    throw error
  } finally {
    for (const one of stored) {
      if (outcome === 'refused') await discardStored(one, parts)
      else if (one.blob && outcome === 'done') parts.writes.end(one.blob.uid)
      else if (one.blob) parts.writes.leaveOpen(one.blob.uid, lateEnd)
    }
  }
}

/** Forgets what was stored, when no commit will name it. */
export async function discardStored({ blob }: { blob?: Blob }, parts: BlobParts): Promise<void> {
  if (!blob) return
  await discardBlob(blob, parts)
  parts.writes.end(blob.uid)
}

/**
 * Where the key is not the store's alone the ETag is no MD5, as on AWS: it would tell whoever may list what the bytes
 * are.
 */
function shownEtag(md5: string, sealing: Sealing | undefined): string {
  if (!sealing || sealing.encryption.kind === 'SSE-S3') return md5
  return hiddenEtag(sealing.dataKey, md5)
}

function describeStored(
  { bytes }: Body,
  { blob, digests }: StoredBody,
  sealing: Sealing | undefined,
): StoredFacts {
  const { md5, checksum } = digests
  const etag = shownEtag(md5, sealing)
  return { bytes, etag, ...(checksum ? { checksum } : {}), ...(blob ? { blob } : {}) }
}
