// The object store over metadata partitions and storage nodes: every operation of object-store.ts.
import { newUid, type Uid } from '../kit/uid.ts'
import type { AnswerTo, Command, MetadataPartition } from '../metadata/contract.ts'
import type { Blob, BucketRef, ObjectVersion, Part, Upload } from '../metadata/records.ts'
import { drivesOfBlob } from '../placement/place.ts'
import { Buckets } from './buckets.ts'
import { encodeAttributes } from './describe-blob.ts'
import { mergeScans } from './list-pages.ts'
import {
  type Body,
  type Bucket,
  BucketGone,
  type CompleteOutcome,
  type DeleteOutcome,
  type ListPage,
  type ListRequest,
  type ObjectStore,
  type PutOutcome,
  type PutPartOutcome,
  type PutRequest,
  type StoredObject,
  type UploadListRequest,
  type WriteConditions,
} from './object-store.ts'
import type { StoreParts } from './store-parts.ts'
import { storedObject } from './stored-object.ts'
import { discardBlob, type StoredBody, writeBlob } from './write-blob.ts'

/** How often a command is sent again because its bucket was being deleted and then was not. */
const BUCKET_RETRIES = 3

/** What the store adds to every command. */
interface Envelope {
  commandId: Uid
  bucket: BucketRef
  key: string
}

/** The object store of one process. */
export class Objects implements ObjectStore {
  readonly #parts: StoreParts
  readonly #buckets: Buckets

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.#buckets = new Buckets(parts)
  }

  /** Ends what a crash left half done. */
  async start(): Promise<void> {
    await this.#buckets.finishDeletions()
  }

  listBuckets(): Bucket[] {
    return this.#buckets.list()
  }

  findBucket(name: string): Bucket | undefined {
    return this.#buckets.find(name)
  }

  createBucket(name: string, region: string): ReturnType<ObjectStore['createBucket']> {
    return this.#buckets.create(name, region)
  }

  deleteBucket(name: string): ReturnType<ObjectStore['deleteBucket']> {
    return this.#buckets.delete(name)
  }

  async find(bucket: Bucket, key: string): Promise<StoredObject | undefined> {
    const { metadata } = this.#parts.router.route(bucket.id, key)
    const version = await this.#retryGone(bucket, (ref) => metadata.getObject(ref, key))
    return version && storedObject(version, metadata, this.#parts)
  }

  async put(request: PutRequest): Promise<PutOutcome> {
    const { bucket, key, attributes, conditions, body, signal } = request
    const { partition } = this.#parts.router.route(bucket.id, key)
    const owner = {
      bucketId: bucket.id,
      key,
      part: 0,
      partition,
      metadata: encodeAttributes(attributes),
    }
    const stored = await writeBlob(owner, body, this.#parts, signal)
    const version = { ...attributes, ...describeStored(body, stored) }
    const answer = await this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'put-object',
      version,
      conditions,
    }))
    if (answer.kind !== 'done') await this.#discard(stored.blob)
    return answer
  }

  delete(bucket: Bucket, key: string, conditions: WriteConditions): Promise<DeleteOutcome> {
    return this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'delete-object',
      conditions,
    }))
  }

  list(request: ListRequest): Promise<ListPage<ObjectVersion>> {
    const { bucket, prefix, delimiter } = request
    const scans = this.#parts.router.partitions.map(
      (partition) =>
        ({ after, afterPrefix, limit }: { after: string; afterPrefix: boolean; limit: number }) =>
          this.#retryGone(bucket, (ref) =>
            partition.scanObjects({ bucket: ref, prefix, delimiter, after, afterPrefix, limit }),
          ),
    )
    return mergeScans(scans, { ...startOf(request), afterUploadId: '' }, request.limit, () => '')
  }

  async createUpload(
    bucket: Bucket,
    key: string,
    upload: Omit<Upload, 'uploadId' | 'initiatedMs'>,
  ): Promise<Upload> {
    const uploadId = newUid(this.#parts.world)
    const answer = await this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'create-upload',
      upload: { ...upload, uploadId },
    }))
    if (answer.kind !== 'done') throw new BucketGone(`an upload can not begin: ${answer.kind}`)
    return answer.upload
  }

  findUpload(bucket: Bucket, key: string, uploadId: Uid): Promise<Upload | undefined> {
    return this.#metadata(bucket, key).getUpload(refOf(bucket), key, uploadId)
  }

  async putPart(request: Parameters<ObjectStore['putPart']>[0]): Promise<PutPartOutcome> {
    const { bucket, key, uploadId, number, body, signal } = request
    const { partition } = this.#parts.router.route(bucket.id, key)
    const owner = { bucketId: bucket.id, key, part: number, partition, metadata: new Uint8Array(0) }
    const stored = await writeBlob(owner, body, this.#parts, signal)
    const part = { number, ...describeStored(body, stored) }
    const answer = await this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'put-part',
      uploadId,
      part,
    }))
    if (answer.kind !== 'done') await this.#discard(stored.blob)
    return answer
  }

  completeUpload(request: Parameters<ObjectStore['completeUpload']>[0]): Promise<CompleteOutcome> {
    const { bucket, ...command } = request
    return this.#commit(bucket, command.key, (envelope) => ({
      ...command,
      ...envelope,
      kind: 'complete-upload',
    }))
  }

  async abortUpload(bucket: Bucket, key: string, uploadId: Uid): Promise<boolean> {
    const answer = await this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'abort-upload',
      uploadId,
    }))
    return answer.kind === 'done'
  }

  listParts(
    bucket: Bucket,
    key: string,
    uploadId: Uid,
    after: number,
    limit: number,
  ): Promise<{ parts: Part[]; more: boolean }> {
    return this.#metadata(bucket, key).listParts(uploadId, after, limit)
  }

  listUploads(request: UploadListRequest): Promise<ListPage<Upload>> {
    const { bucket, prefix, delimiter } = request
    const scans = this.#parts.router.partitions.map(
      (partition) =>
        (from: { after: string; afterPrefix: boolean; afterUploadId: string; limit: number }) =>
          this.#retryGone(bucket, (ref) =>
            partition.scanUploads({ bucket: ref, prefix, delimiter, ...from }),
          ),
    )
    const from = { ...startOf(request), afterUploadId: request.afterUploadId }
    return mergeScans(scans, from, request.limit, (upload) => upload.uploadId)
  }

  /** Sends a command under one id; BucketGone when its bucket is really deleted. */
  #commit<C extends Command & { key: string }>(
    bucket: Bucket,
    key: string,
    make: (envelope: Envelope) => C,
  ): Promise<AnswerTo<C>> {
    const metadata = this.#metadata(bucket, key)
    const commandId = newUid(this.#parts.world)
    return this.#retryGone(bucket, async (ref) => {
      const answer = await metadata.commit(make({ commandId, bucket: ref, key }))
      return answer.kind === 'bucket-gone' ? 'bucket-gone' : answer
    })
  }

  /** Asks again with the newest revision while the registry still has the bucket. */
  async #retryGone<Answer>(
    bucket: Bucket,
    ask: (ref: BucketRef) => Promise<Answer | 'bucket-gone'>,
  ): Promise<Answer> {
    let current: Bucket | undefined = bucket
    for (let attempt = 0; current && attempt < BUCKET_RETRIES; attempt += 1) {
      const answer = await ask(refOf(current))
      if (answer !== 'bucket-gone') return answer
      current = await this.#buckets.settled(current)
    }
    throw new BucketGone(`bucket ${bucket.name} is gone`)
  }

  async #discard(blob: Blob | undefined): Promise<void> {
    if (!blob) return
    await discardBlob(blob, drivesOfBlob(this.#parts.coordinator.state.map, blob), this.#parts)
  }

  #metadata(bucket: Bucket, key: string): MetadataPartition {
    return this.#parts.router.route(bucket.id, key).metadata
  }
}

/** What a row says of bytes that were stored, be they an object or a part. */
function describeStored(
  { bytes }: Body,
  { blob, digests }: StoredBody,
): Pick<Part, 'bytes' | 'etag' | 'checksum' | 'blob'> {
  const { md5, checksum } = digests
  return { bytes, etag: md5, ...(checksum ? { checksum } : {}), ...(blob ? { blob } : {}) }
}

function refOf({ id, revision }: Bucket): BucketRef {
  return { id, revision }
}

/** Pitfall 81: a marker inside or equal to a common prefix skips all of that prefix. */
function startOf({ prefix, delimiter, after }: ListRequest): {
  after: string
  afterPrefix: boolean
} {
  if (delimiter === '' || !after.startsWith(prefix)) return { after, afterPrefix: false }
  const end = after.indexOf(delimiter, prefix.length)
  if (end < 0) return { after, afterPrefix: false }
  return { after: after.slice(0, end + delimiter.length), afterPrefix: true }
}
