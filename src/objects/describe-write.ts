// What is said of a blob that is being written: in the headers of its shards, and in the row that names it.
import { CELL_BYTES, type ErasureCode } from '../kit/erasure-code.ts'
import type { Uid } from '../kit/uid.ts'
import { type Blob, type BucketId, MISSING_SLOT } from '../metadata/records.ts'
import type { Placement } from '../placement/place.ts'
import type { CopiesDescription } from '../storage-node/contract.ts'
import type { Body, BodyDigests } from './object-store.ts'
import type { StoreParts } from './store-parts.ts'

/** What a blob belongs to. */
export interface BlobOwner {
  /** Of the blob: new, and used for nothing else. */
  uid: Uid
  bucketId: BucketId
  key: string
  /** 0 for a whole object. */
  part: number
  /** Data partition of the key. */
  partition: number
  /** Of the object; it chooses the code. */
  storageClass: string
  /** What else recovery needs to rebuild the row. */
  metadata: Uint8Array
  /** The same once all bytes have passed: as long as before. */
  sealMetadata(digests: BodyDigests): Uint8Array
}

/** One whose code is chosen. */
export type CodedOwner = Omit<BlobOwner, 'storageClass'> & { code: ErasureCode }

/** A stored body: `blob` is absent when it was empty. */
export interface StoredBody {
  blob?: Blob
  digests: BodyDigests
}

/** For the headers of its shards, which are `shardBytes` long each. */
export function describeShards(
  { owner, blobBytes, shardBytes, metadata }: DescribedShards,
  { coordinator }: Pick<StoreParts, 'coordinator'>,
): CopiesDescription {
  return {
    id: { uid: owner.uid, part: owner.part },
    code: owner.code,
    cellBytes: CELL_BYTES,
    shardBytes,
    blobBytes,
    partition: owner.partition,
    mapEpoch: coordinator.state.epoch,
    bucketId: owner.bucketId,
    key: owner.key,
    metadata,
  }
}

interface DescribedShards {
  /** In the code that the blob was placed with. */
  owner: CodedOwner
  blobBytes: number
  shardBytes: number
  metadata: Uint8Array
}

/** For its row. */
export function describeBlob(
  { owner, body, placement }: { owner: CodedOwner; body: Body; placement: Placement },
  lostSlots: readonly number[],
): Blob {
  const { code, drives } = placement
  return {
    uid: owner.uid,
    part: owner.part,
    bytes: body.bytes,
    code,
    cellBytes: CELL_BYTES,
    partition: owner.partition,
    drives: drives.map((id, slot) => (lostSlots.includes(slot) ? MISSING_SLOT : id)),
  }
}
