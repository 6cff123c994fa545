// A body becomes a stored blob, and what a row says of it. Until a commit names the blob it is invisible.
import type { Blob, Part } from '../metadata/records.ts'
import { drivesOfBlob } from '../placement/place.ts'
import type { Body, Bucket } from './object-store.ts'
import type { StoreParts } from './store-parts.ts'
import { discardBlob, type StoredBody, writeBlob } from './write-blob.ts'

/** Whose bytes they are. */
export interface BodyOwner {
  bucket: Bucket
  key: string
  /** 0 for a whole object. */
  part: number
  /** What else recovery needs to rebuild the row; absent for parts. */
  metadata?: Uint8Array
}

/** What a row says of bytes that were stored, be they an object or a part. */
export type StoredFacts = Pick<Part, 'bytes' | 'etag' | 'checksum' | 'blob'>

/** Stores a body; throws what the body throws, and then leaves nothing behind. */
export async function storeBody(
  { bucket, key, part, metadata = new Uint8Array(0) }: BodyOwner,
  body: Body,
  parts: StoreParts,
  signal: AbortSignal,
): Promise<StoredFacts> {
  const { partition } = parts.router.route(bucket.id, key)
  const owner = { bucketId: bucket.id, key, part, partition, metadata }
  return describeStored(body, await writeBlob(owner, body, parts, signal))
}

/** Forgets what was stored, when the commit that should have named it was refused. */
export async function discardStored({ blob }: { blob?: Blob }, parts: StoreParts): Promise<void> {
  if (!blob) return
  await discardBlob(blob, drivesOfBlob(parts.coordinator.state.map, blob), parts)
}

function describeStored({ bytes }: Body, { blob, digests }: StoredBody): StoredFacts {
  const { md5, checksum } = digests
  return { bytes, etag: md5, ...(checksum ? { checksum } : {}), ...(blob ? { blob } : {}) }
}
