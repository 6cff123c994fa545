// The object store over metadata partitions and storage nodes: every operation of object-store.ts.
import { newUid, type Uid } from '../kit/uid.ts'
import type {
  ListedVersion,
  NewAnnotation,
  ReachablePartition,
  UploadCensus,
  VersionEdit,
} from '../metadata/contract.ts'
import {
  type AnyVersion,
  isDeleteMarker,
  type ListedObject,
  type ObjectVersion,
  type Part,
  type Upload,
} from '../metadata/records.ts'
import type { WaitingTime } from '../metadata/waiting-time.ts'
import { annotate, copyAnnotations } from './annotations.ts'
import { appendObject } from './append.ts'
import { Buckets, refOf, type SettingsChange } from './buckets.ts'
import { newSealing, openSealing, type Sealing } from './data-keys.ts'
import { deleteMany } from './delete-many.ts'
import { listObjects, listUploads, listVersions } from './listings.ts'
import { MetadataClient } from './metadata-client.ts'
import {
  type AnnotateOutcome,
  type AnnotateRequest,
  type AppendOutcome,
  type AppendRequest,
  type Bucket,
  BucketGone,
  type BucketSettings,
  type ChangeBucketOutcome,
  type CompleteOutcome,
  type DeleteOptions,
  type DeleteOutcome,
  type DeletionOutcome,
  type EditOutcome,
  type EncryptionRequest,
  type FindOutcome,
  type KeyDeletion,
  type ListPage,
  type ListRequest,
  type ObjectStore,
  type PutOutcome,
  type PutPartOutcome,
  type PutRequest,
  type Rename,
  type RenameRecall,
  type RequestWaits,
  type StoredObject,
  type UploadListRequest,
  type VersionListRequest,
} from './object-store.ts'
import { RecentRenames } from './recent-renames.ts'
import { timeOfRequest } from './request-time.ts'
import { commitStored, discardStored, type StoredFacts, storeBody } from './store-body.ts'
import type { StoreParts } from './store-parts.ts'
import { storedObject } from './stored-object.ts'
import { KeptCensus } from './upload-census.ts'

/** What the store is for all requests. */
interface Shared {
  buckets: Buckets
  census: KeptCensus
  renames: RecentRenames
}

/** The object store of one process. */
export class Objects implements ObjectStore {
  readonly #parts: StoreParts
  readonly #buckets: Buckets
  readonly #metadata: MetadataClient
  readonly #census: KeptCensus
  readonly #renames: RecentRenames
  /** Of the one request that this store is for. */
  readonly #time: WaitingTime | undefined

  constructor(parts: StoreParts, shared?: Shared, time?: WaitingTime) {
    const { clock } = parts.world
    this.#parts = parts
    this.#buckets = shared?.buckets ?? new Buckets(parts)
    this.#metadata = new MetadataClient(parts, this.#buckets, time)
    this.#census = shared?.census ?? new KeptCensus({ clock, count: () => this.#countUploads() })
    this.#renames = shared?.renames ?? new RecentRenames(clock)
    this.#time = time
  }

  forRequest(request: RequestWaits): Objects {
    // Nobody has to be found who answers.
    if (this.#metadata.partitions[0]?.within === undefined) return this
    const time = timeOfRequest(request, this.#parts.world.clock)
    const shared = { buckets: this.#buckets, census: this.#census, renames: this.#renames }
    return new Objects(this.#parts, shared, time)
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

  lookUpBucket(name: string): Promise<Bucket | undefined> {
    return this.#buckets.lookUp(name)
  }

  lookUpBuckets(): Promise<Bucket[]> {
    return this.#buckets.lookUpAll()
  }

  createBucket(
    name: string,
    region: string,
    settings?: BucketSettings,
  ): ReturnType<ObjectStore['createBucket']> {
    return this.#buckets.create(name, region, settings)
  }

  changeBucket(bucket: Bucket, change: SettingsChange): Promise<ChangeBucketOutcome> {
    return this.#buckets.change(bucket, change, this.#time)
  }

  deleteBucket(name: string): ReturnType<ObjectStore['deleteBucket']> {
    return this.#buckets.delete(name, this.#time)
  }

  async find(bucket: Bucket, key: string, versionId?: string): Promise<FindOutcome> {
    const { metadata } = this.#metadata.route(bucket, key)
    const found = await this.#metadata.ask(metadata, bucket, (partition, ref) =>
      partition.getObject(ref, key, versionId),
    )
    if (!found) return { kind: 'missing' }
    if (isDeleteMarker(found)) return { kind: 'delete-marker', marker: found }
    return { kind: 'found', object: this.#open(bucket, key, found, metadata) }
  }

  findAtHand(bucket: Bucket, key: string): StoredObject | undefined {
    const { metadata } = this.#metadata.route(bucket, key)
    const version = metadata.getAtHand?.(refOf(bucket), key)
    return version && this.#open(bucket, key, version, metadata)
  }

  /** An object that find() gave, by what was known of it then: for who keeps that where this store is not. */
  reopen(bucket: Bucket, key: string, version: ObjectVersion): StoredObject {
    return this.#open(bucket, key, version, this.#metadata.route(bucket, key).metadata)
  }

  #open(
    bucket: Bucket,
    key: string,
    version: ObjectVersion,
    metadata: ReachablePartition,
  ): StoredObject {
    const lookAgain = (versionId: string): Promise<AnyVersion | undefined> =>
      this.#metadata.ask(metadata, bucket, (partition, ref) =>
        partition.getObject(ref, key, versionId),
      )
    return storedObject(version, { metadata, lookAgain }, this.#parts)
  }

  async put(request: PutRequest): Promise<PutOutcome> {
    const { bucket, key, attributes, conditions, body } = request
    const sealing =
      request.encryption && (await newSealing(request.encryption, bucket, this.#parts))
    const encryption = sealing?.encryption
    const { storageClass } = attributes
    const versioned = bucket.settings?.versioning === 'enabled'
    const role = { kind: 'object' as const, versioned }
    const owner = { bucket, key, part: 0, storageClass, attributes, sealing, role }
    const stored = await storeBody(owner, body, this.#parts, request)
    const annotations = request.annotationsOf
      ? await this.#copyAnnotations(request, sealing, stored)
      : []
    const version = Object.assign({}, attributes, stored, encryption && { encryption })
    return await commitStored([stored, ...annotations], this.#parts, () =>
      this.#metadata.commit(bucket, key, (envelope) => ({
        kind: 'put-object',
        ...envelope,
        version,
        conditions,
        annotations,
      })),
    )
  }

  async #copyAnnotations(
    { bucket, key, attributes, annotationsOf, signal }: PutRequest,
    sealing: Sealing | undefined,
    stored: StoredFacts,
  ): Promise<NewAnnotation[]> {
    if (!annotationsOf?.version.annotationsId) return []
    const of = stored.blob?.uid
    const target = {
      ...{ bucket, key, storageClass: attributes.storageClass, sealing },
      ...(of ? { of } : {}),
    }
    try {
      return await copyAnnotations(annotationsOf, target, this.#parts, signal)
    } catch (error) {
      await discardStored(stored, this.#parts)
      throw error
    }
  }

  append(request: AppendRequest): Promise<AppendOutcome> {
    return appendObject(request, { objects: this, metadata: this.#metadata, parts: this.#parts })
  }

  delete(bucket: Bucket, key: string, options: DeleteOptions): Promise<DeleteOutcome> {
    return this.#metadata.commit(bucket, key, (envelope) => ({
      kind: 'delete-object',
      ...envelope,
      ...options,
    }))
  }

  deleteMany(
    bucket: Bucket,
    keys: readonly KeyDeletion[],
    options: { bypass?: true },
    signal: AbortSignal,
  ): Promise<DeletionOutcome[]> {
    return deleteMany(this.#metadata, bucket, { keys, options }, signal)
  }

  edit(
    bucket: Bucket,
    key: string,
    versionId: string | undefined,
    edit: VersionEdit,
  ): Promise<EditOutcome> {
    return this.#metadata.commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'edit-version',
      ...(versionId === undefined ? {} : { versionId }),
      edit,
    }))
  }

  annotate(request: AnnotateRequest): Promise<AnnotateOutcome> {
    return annotate(request, this.#metadata, this.#parts)
  }

  deleteAnnotation(
    bucket: Bucket,
    key: string,
    options: Parameters<ObjectStore['deleteAnnotation']>[2],
  ): Promise<EditOutcome> {
    return this.#metadata.commit(bucket, key, (envelope) => ({
      ...envelope,
      ...options,
      kind: 'delete-annotation',
    }))
  }

  list(request: ListRequest): Promise<ListPage<ListedObject>> {
    return listObjects(this.#metadata, request)
  }

  listVersions(request: VersionListRequest): Promise<ListPage<ListedVersion>> {
    return listVersions(this.#metadata, request)
  }

  async createUpload(
    bucket: Bucket,
    key: string,
    upload: Omit<Upload, 'uploadId' | 'initiatedMs' | 'encryption'>,
    encryption?: EncryptionRequest,
  ): Promise<Upload> {
    const uploadId = newUid(this.#parts.world)
    const sealing = encryption && (await newSealing(encryption, bucket, this.#parts))
    const sealed = sealing ? { encryption: sealing.encryption } : {}
    const answer = await this.#metadata.commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'create-upload',
      upload: { ...upload, ...sealed, uploadId },
    }))
    if (answer.kind !== 'done') throw new BucketGone(`an upload can not begin: ${answer.kind}`)
    return answer.upload
  }

  findUpload(bucket: Bucket, key: string, uploadId: Uid): Promise<Upload | undefined> {
    const { metadata } = this.#metadata.route(bucket, key)
    return this.#metadata.inTime(metadata).getUpload(refOf(bucket), key, uploadId)
  }

  async putPart(request: Parameters<ObjectStore['putPart']>[0]): Promise<PutPartOutcome> {
    const { bucket, key, upload, number, customerKey, body } = request
    const { encryption, storageClass } = upload
    const sealing = encryption && (await openSealing(encryption, customerKey, this.#parts))
    const { uploadId, checksumAlgorithm, checksumType } = upload
    const owner = {
      bucket,
      key,
      part: number,
      storageClass,
      attributes: upload,
      sealing,
      role: {
        kind: 'part' as const,
        uploadId,
        ...(checksumAlgorithm ? { checksumAlgorithm } : {}),
        ...(checksumType ? { checksumType } : {}),
      },
    }
    const stored = await storeBody(owner, body, this.#parts, request)
    return await commitStored([stored], this.#parts, () =>
      this.#metadata.commit(bucket, key, (envelope) => ({
        kind: 'put-part',
        ...envelope,
        uploadId: upload.uploadId,
        part: { number, ...stored },
      })),
    )
  }

  completeUpload(request: Parameters<ObjectStore['completeUpload']>[0]): Promise<CompleteOutcome> {
    const { bucket, ...command } = request
    return this.#metadata.commit(bucket, command.key, (envelope) => ({
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
    return this.#metadata.commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'abort-upload',
      uploadId,
      ...(ifInitiated === undefined ? {} : { ifInitiated }),
    }))
  }

  /** Aborts an upload that neither began nor got a part since `idleSinceMs`; false when there is none. */
  async abortIdleUpload(
    bucket: Bucket,
    key: string,
    uploadId: Uid,
    idleSinceMs: number,
  ): Promise<boolean> {
    const answer = await this.#metadata.commit(bucket, key, (envelope) => ({
      ...envelope,
      ...{ kind: 'abort-upload', uploadId, idleSinceMs },
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
    const { metadata } = this.#metadata.route(bucket, key)
    return this.#metadata.inTime(metadata).listParts(uploadId, after, limit)
  }

  listUploads(request: UploadListRequest): Promise<ListPage<Upload>> {
    return listUploads(this.#metadata, request)
  }

  async recallRename(token: string, rename: Rename): Promise<RenameRecall> {
    return this.#renames.recall(token, rename)
  }

  async noteRename(token: string, rename: Rename): Promise<void> {
    this.#renames.note(token, rename)
  }

  countUploads(): Promise<UploadCensus> {
    return this.#census.take()
  }

  async #countUploads(): Promise<UploadCensus> {
    const { partitions } = this.#metadata
    const counts = await Promise.all(partitions.map((partition) => partition.countUploads()))
    const oldest = counts.flatMap(({ oldestMs }) => oldestMs ?? [])
    return {
      count: counts.reduce((sum, { count }) => sum + count, 0),
      parts: counts.reduce((sum, { parts }) => sum + parts, 0),
      bytes: counts.reduce((sum, { bytes }) => sum + bytes, 0),
      oldestMs: oldest.length === 0 ? undefined : Math.min(...oldest),
    }
  }
}
