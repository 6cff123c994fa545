// A body becomes a stored blob, and what a row says of it. Until a commit names the blob it is invisible.
import { hiddenEtag } from '../encryption/hidden-etag.ts'
import { Overloaded } from '../kit/semaphore.ts'
import { newUid } from '../kit/uid.ts'
import { encodeLabel, type LabelRole, sealLabel } from '../metadata/label.ts'
import type { Blob, ObjectAttributes, Part } from '../metadata/records.ts'
import type { Sealing } from './data-keys.ts'
import { encryptBody } from './encrypt-body.ts'
import { type Body, type BodyDigests, type Bucket, BucketGone } from './object-store.ts'
import type { StoreParts } from './store-parts.ts'
import { discardBlob, type StoredBody, writeBlob } from './write-blob.ts'

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
  { bucket, key, part, storageClass, sealing, ...described }: BodyOwner,
  body: Body,
  parts: StoreParts,
  signal: AbortSignal,
): Promise<StoredFacts> {
  const { partition } = parts.router.route(bucket.id, key)
  const uid = newUid(parts.world)
  const metadata = encodeLabel({
    ...described,
    ...(sealing ? { encryption: sealing.encryption } : {}),
  })
  const sealMetadata = ({ md5, checksum }: BodyDigests): Uint8Array =>
    sealLabel(metadata, { etag: shownEtag(md5, sealing), ...(checksum ? { checksum } : {}) })
  const owner = {
    ...{ uid, bucketId: bucket.id, key, part, partition, storageClass },
    ...{ metadata, sealMetadata },
  }
  const written = sealing ? encryptBody(body, sealing.dataKey, { uid, part }) : body
  const stored = await writeBlob(owner, written, parts, signal)
  const facts = describeStored(body, stored)
  return { ...facts, etag: shownEtag(facts.etag, sealing) }
}

/** The answer of the commit that names what was stored. When it was surely not done nothing of that stays. */
export async function commitStored<Answer extends { kind: string }>(
  stored: readonly { blob?: Blob }[],
  parts: StoreParts,
  commit: () => Promise<Answer>,
): Promise<Answer> {
  let isRefused = false
  try {
    const answer = await commit()
    isRefused = answer.kind !== 'done'
    return answer
  } catch (error) {
    // Any other error leaves open whether it was done.
    isRefused = error instanceof BucketGone || error instanceof Overloaded
    throw error
  } finally {
    if (isRefused) for (const unused of stored) await discardStored(unused, parts)
  }
}

/** Forgets what was stored, when no commit will name it. */
export async function discardStored({ blob }: { blob?: Blob }, parts: StoreParts): Promise<void> {
  if (!blob) return
  await discardBlob(blob, parts)
}

/**
 * Where the key is not the store's alone the ETag is no MD5, as on AWS: it would tell whoever may list what the bytes
 * are.
 */
function shownEtag(md5: string, sealing: Sealing | undefined): string {
  if (!sealing || sealing.encryption.kind === 'SSE-S3') return md5
  return hiddenEtag(sealing.dataKey, md5)
}

function describeStored({ bytes }: Body, { blob, digests }: StoredBody): StoredFacts {
  const { md5, checksum } = digests
  return { bytes, etag: md5, ...(checksum ? { checksum } : {}), ...(blob ? { blob } : {}) }
}
