// The object store over metadata partitions and storage nodes: every operation of object-store.ts.
import { newUid, type Uid } from '../kit/uid.ts'
import type {
  AnswerTo,
  Command,
  ListedVersion,
  MetadataPartition,
  ScanPage,
  UploadCensus,
  VersionEdit,
} from '../metadata/contract.ts'
import {
  type Blob,
  type BucketRef,
  isDeleteMarker,
  type ObjectVersion,
  type Part,
  type Upload,
} from '../metadata/records.ts'
import { drivesOfBlob } from '../placement/place.ts'
import { appendedBody, appendedChecksum, appendedEtag } from './append.ts'
import { Buckets, refOf, type SettingsChange } from './buckets.ts'
import { encodeAttributes } from './describe-blob.ts'
import { mergeScans, type ScanFrom } from './list-pages.ts'
import {
  type AppendOutcome,
  type AppendRequest,
  type Body,
  type Bucket,
  BucketGone,
  type BucketSettings,
  type ChangeBucketOutcome,
  type CompleteOutcome,
  type DeleteOptions,
  type DeleteOutcome,
  type EditOutcome,
  type FindOutcome,
  type ListPage,
  type ListRequest,
  type ObjectStore,
  type PutOutcome,
  type PutPartOutcome,
  type PutRequest,
  type StoredObject,
  type UploadListRequest,
  type VersionListRequest,
} from './object-store.ts'
import type { StoreParts } from './store-parts.ts'
import { storedObject } from './stored-object.ts'
import { discardBlob, type StoredBody, writeBlob } from './write-blob.ts'

/** How often a command is sent again because its bucket was being deleted and then was not. */
const BUCKET_RETRIES = 3

/** As many parts as a multipart upload can have. */
const PARTS_MAX = 10_000

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

  createBucket(
    name: string,
    region: string,
    settings?: BucketSettings,
  ): ReturnType<ObjectStore['createBucket']> {
    return this.#buckets.create(name, region, settings)
  }

  changeBucket(bucket: Bucket, change: SettingsChange): Promise<ChangeBucketOutcome> {
    return this.#buckets.change(bucket, change)
  }

  deleteBucket(name: string): ReturnType<ObjectStore['deleteBucket']> {
    return this.#buckets.delete(name)
  }

  async find(bucket: Bucket, key: string, versionId?: string): Promise<FindOutcome> {
    const { metadata } = this.#parts.router.route(bucket.id, key)
    const found = await this.#retryGone(bucket, (ref) => metadata.getObject(ref, key, versionId))
    if (!found) return { kind: 'missing' }
    if (isDeleteMarker(found)) return { kind: 'delete-marker', marker: found }
    return { kind: 'found', object: storedObject(found, metadata, this.#parts) }
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

  /** Where versions are kept the object is written anew; else it grows by a part, however long it is. */
  async append(request: AppendRequest): Promise<AppendOutcome> {
    const { bucket, key, offset } = request
    const found = await this.find(bucket, key)
    const bytes = found.kind === 'found' ? found.object.version.bytes : 0
    if (bytes !== offset) return { kind: 'wrong-offset', bytes }
    if (found.kind !== 'found') {
      return changedIfLost(await this.put({ ...request, conditions: onlyNew(request.conditions) }))
    }
    if (bucket.settings?.versioning) return await this.#appendCopy(request, found.object)
    return await this.#appendPart(request, found.object.version)
  }

  delete(bucket: Bucket, key: string, options: DeleteOptions): Promise<DeleteOutcome> {
    return this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      ...options,
      kind: 'delete-object',
    }))
  }

  edit(
    bucket: Bucket,
    key: string,
    versionId: string | undefined,
    edit: VersionEdit,
  ): Promise<EditOutcome> {
    return this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'edit-version',
      ...(versionId === undefined ? {} : { versionId }),
      edit,
    }))
  }

  list(request: ListRequest): Promise<ListPage<ObjectVersion>> {
    return this.#merge(
      request,
      '',
      () => '',
      (partition, { afterId: _, ...scan }) => partition.scanObjects(scan),
    )
  }

  listVersions(request: VersionListRequest): Promise<ListPage<ListedVersion>> {
    return this.#merge(
      request,
      request.afterVersionId,
      ({ version }) => version.versionId,
      (partition, { afterId, ...scan }) =>
        partition.scanVersions({ ...scan, afterVersionId: afterId }),
    )
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
    const { bucket, key, upload, number, body, signal } = request
    const { uploadId } = upload
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

  abortUpload(
    bucket: Bucket,
    key: string,
    uploadId: Uid,
    ifInitiated?: number,
  ): ReturnType<ObjectStore['abortUpload']> {
    return this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'abort-upload',
      uploadId,
      ...(ifInitiated === undefined ? {} : { ifInitiated }),
    }))
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
    return this.#merge(
      request,
      request.afterUploadId,
      ({ uploadId }) => uploadId,
      (partition, { afterId, ...scan }) =>
        partition.scanUploads({ ...scan, afterUploadId: afterId }),
    )
  }

  async countUploads(): Promise<UploadCensus> {
    const { partitions } = this.#parts.router
    const counts = await Promise.all(partitions.map((partition) => partition.countUploads()))
    const oldest = counts.flatMap(({ oldestMs }) => oldestMs ?? [])
    return {
      count: counts.reduce((sum, { count }) => sum + count, 0),
      oldestMs: oldest.length === 0 ? undefined : Math.min(...oldest),
    }
  }

  async #appendCopy(request: AppendRequest, object: StoredObject): Promise<AppendOutcome> {
    const { version } = object
    const { headers, userMetadata, storageClass, tags } = version
    const attributes = { headers, userMetadata, storageClass, ...(tags ? { tags } : {}) }
    const { retention, legalHold } = request.attributes
    const outcome = await this.put({
      ...request,
      attributes: {
        ...attributes,
        ...(retention ? { retention } : {}),
        ...(legalHold ? { legalHold } : {}),
      },
      conditions: { ...request.conditions, ifCurrent: version.versionId },
      body: appendedBody(object, request),
    })
    return outcome
  }

  async #appendPart(request: AppendRequest, version: ObjectVersion): Promise<AppendOutcome> {
    const { bucket, key, conditions, body, signal } = request
    const partCount = version.manifest?.partCount ?? (version.bytes === 0 ? 0 : 1)
    if (partCount >= PARTS_MAX) return { kind: 'too-many-parts' }
    const { partition } = this.#parts.router.route(bucket.id, key)
    const owner = {
      bucketId: bucket.id,
      key,
      part: partCount + 1,
      partition,
      metadata: new Uint8Array(0),
    }
    const stored = await writeBlob(owner, body, this.#parts, signal)
    const part = describeStored(body, stored)
    const manifestUid = newUid(this.#parts.world)
    const answer = await this.#commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'append-object',
      versionId: version.versionId,
      part,
      manifestUid,
      etag: appendedEtag(version, part, partCount + 1),
      checksum: appendedChecksum(version, part),
      conditions,
    }))
    if (answer.kind !== 'done') await this.#discard(stored.blob)
    return answer
  }

  /** One ordered page out of the pages of all partitions. */
  #merge<Record>(
    request: ListRequest,
    afterId: string,
    idOf: (record: Record) => string,
    scan: (
      partition: MetadataPartition,
      from: ScanFrom & { bucket: BucketRef; prefix: string; delimiter: string },
    ) => Promise<ScanPage<Record> | 'bucket-gone'>,
  ): Promise<ListPage<Record>> {
    const { bucket, prefix, delimiter, limit } = request
    const scans = this.#parts.router.partitions.map(
      (partition) => (from: ScanFrom) =>
        this.#retryGone(bucket, (ref) =>
          scan(partition, { bucket: ref, prefix, delimiter, ...from }),
        ),
    )
    return mergeScans(scans, { ...startOf(request), afterId }, limit, idOf)
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

/** An object that was not there must still not be there. */
function onlyNew(conditions: AppendRequest['conditions']): AppendRequest['conditions'] {
  return { ...conditions, ifNoneMatch: ['*'] }
}

function changedIfLost(outcome: PutOutcome): AppendOutcome {
  const lost = outcome.kind === 'condition-failed' && outcome.condition === 'If-None-Match'
  return lost ? { kind: 'changed' } : outcome
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
