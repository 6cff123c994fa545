// An ObjectStore of maps: what operations are tested against. Slow, simple, and never unavailable.
import { digestOf } from '../../../../src/digest/digest.ts'
import { assert } from '../../../../src/kit/assert.ts'
import { oneChunk } from '../../../../src/kit/bytes.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import type {
  Body,
  BodyDigests,
  Bucket,
  ByteRange,
  Checksum,
  CompleteOutcome,
  FindOutcome,
  ListedPart,
  ObjectAttributes,
  ObjectStore,
  PartExtent,
  PutPartOutcome,
  PutRequest,
  Retention,
  StoredObject,
  Upload,
} from '../../../../src/objects/object-store.ts'
import { RecentRenames } from '../../../../src/objects/recent-renames.ts'
import { isAfter, isUploadAfter, isVersionAfter, page } from './memory-listing.ts'
import {
  isKept,
  type Kept,
  MemoryVersions,
  type NewKept,
  STORE_TIME_MS,
} from './memory-versions.ts'

export { STORE_TIME_MS } from './memory-versions.ts'

interface KeptPart {
  number: number
  etag: string
  bytes: Buffer
  checksum?: Checksum
}

interface KeptUpload {
  key: string
  upload: Upload
  parts: Map<number, KeptPart>
}

/** The store, and a look behind its interface. */
export interface MemoryStore extends ObjectStore {
  /** Current objects by `bucket/key`. */
  readonly kept: Map<string, Kept>
  /** What completeUpload() answers instead of its own decision. */
  nextCompletion: CompleteOutcome | undefined
  /** Of the last completeUpload(). */
  completedWith: Retention | undefined
}

export function memoryStore(region = 'us-east-1'): MemoryStore {
  const buckets = new Map<string, Bucket>()
  const versions = new MemoryVersions()
  const uploads = new Map<string, KeptUpload>()
  const renames = new RecentRenames({ now: () => STORE_TIME_MS })
  let serial = 0

  const upload = (key: string, id: string): KeptUpload | undefined => {
    const found = uploads.get(id)
    return found?.key === key ? found : undefined
  }

  const store: MemoryStore = {
    get kept() {
      return versions.current()
    },
    nextCompletion: undefined,
    completedWith: undefined,
    listBuckets: () => [...buckets.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    findBucket: (name) => buckets.get(name),
    lookUpBucket: async (name) => buckets.get(name),
    lookUpBuckets: async () => store.listBuckets(),
    async createBucket(name, inRegion, settings) {
      const existing = buckets.get(name)
      if (existing) return { kind: 'exists', bucket: existing }
      const bucket: Bucket = {
        name,
        id: ++serial,
        createdMs: STORE_TIME_MS,
        region: inRegion || region,
        revision: 1,
        state: 'live',
        ...(settings ? { settings } : {}),
      }
      buckets.set(name, bucket)
      return { kind: 'created', bucket }
    },
    async changeBucket(bucket, change) {
      const now = buckets.get(bucket.name)?.settings
      if (change.objectLock && (change.versioning ?? now?.versioning) !== 'enabled')
        return { kind: 'conflict', why: 'lock-needs-versions' }
      if (now?.objectLock && 'versioning' in change && change.versioning !== 'enabled')
        return { kind: 'conflict', why: 'locked-keeps-versions' }
      const merged = Object.entries({ ...now, ...change }).filter(
        ([, value]) => value !== undefined,
      )
      const changed = { ...bucket, settings: Object.fromEntries(merged) }
      buckets.set(bucket.name, changed)
      return { kind: 'changed', bucket: changed }
    },
    async deleteBucket(name) {
      if (!buckets.has(name)) return { kind: 'missing' }
      const paths = [...versions.lists.keys()]
      if (paths.some((path) => path.startsWith(`${name}/`))) return { kind: 'not-empty' }
      buckets.delete(name)
      return { kind: 'deleted' }
    },

    async find(bucket, key, versionId): Promise<FindOutcome> {
      const entry = versions.find(bucket, key, versionId)
      if (!entry) return { kind: 'missing' }
      if (!isKept(entry)) return { kind: 'delete-marker', marker: entry.version }
      return { kind: 'found', object: storedObject(entry) }
    },
    async put({ bucket, key, attributes, conditions, body }: PutRequest) {
      const { bytes, digests } = await readBody(body)
      return versions.put(bucket, key, conditions, wholeObject(attributes, bytes, digests))
    },
    async append({ bucket, key, offset, attributes, conditions, body }) {
      const { bytes, digests } = await readBody(body)
      const found = versions.find(bucket, key)
      const before = isKept(found) ? found.bytes : Buffer.alloc(0)
      if (before.length !== offset) return { kind: 'wrong-offset', bytes: before.length }
      const grown = wholeObject(attributes, Buffer.concat([before, bytes]), digests)
      return versions.put(bucket, key, conditions, grown)
    },
    delete: async (bucket, key, options) => versions.delete(bucket, key, options),
    deleteMany: async (bucket, keys, options) =>
      keys.map(({ key, ...asked }) => {
        const outcome = versions.delete(bucket, key, { ...asked, ...options })
        assert(outcome.kind !== 'bucket-gone', 'a bucket is not deleted meanwhile')
        return outcome
      }),
    edit: async (bucket, key, versionId, edit) => versions.edit(bucket, key, versionId, edit),
    async list(request) {
      const prefix = `${request.bucket.name}/`
      const all = [...versions.current()].filter(([path]) => path.startsWith(prefix))
      const records = all.map(([path, { version }]) => ({
        key: path.slice(prefix.length),
        record: version,
      }))
      return page(records, request, ({ key }) => isAfter(key, request))
    },
    async listVersions(request) {
      const { bucket, after, afterVersionId: marker } = request
      const found = marker === '' ? undefined : versions.find(bucket, after, marker)
      const afterVersionId = marker === 'null' ? (found?.version.versionId ?? '0') : marker
      const from = { ...request, afterVersionId }
      return page(versions.listed(bucket), from, (entry) => isVersionAfter(entry, from))
    },

    async createUpload(_bucket, key, attributes) {
      const uploadId = (++serial).toString(16).padStart(32, '0') as Uid
      const created: Upload = { ...attributes, uploadId, initiatedMs: STORE_TIME_MS }
      uploads.set(uploadId, { key, upload: created, parts: new Map() })
      return created
    },
    findUpload: async (_bucket, key, uploadId) => upload(key, uploadId)?.upload,
    async putPart({ key, upload: { uploadId }, number, body }): Promise<PutPartOutcome> {
      const { bytes, digests } = await readBody(body)
      const found = upload(key, uploadId)
      if (!found) return { kind: 'no-upload' }
      const { md5: etag, checksum } = digests
      const part: KeptPart = { number, etag, bytes, ...(checksum ? { checksum } : {}) }
      found.parts.set(number, part)
      return { kind: 'done', part: describePart(part) }
    },
    async completeUpload(request): Promise<CompleteOutcome> {
      const { bucket, key, uploadId, parts, conditions } = request
      store.completedWith = request.defaultRetention
      if (store.nextCompletion) return store.nextCompletion
      const found = upload(key, uploadId)
      if (!found) return { kind: 'no-upload' }
      const wrong = parts.find(({ number, etag }) => found.parts.get(number)?.etag !== etag)
      if (wrong) return { kind: 'invalid-part', number: wrong.number, etag: wrong.etag }
      const outcome = versions.put(bucket, key, conditions, join(found, parts))
      if (outcome.kind === 'done') uploads.delete(uploadId)
      return outcome
    },
    async abortUpload(_bucket, key, uploadId, ifInitiated) {
      const found = upload(key, uploadId)
      if (!found) return { kind: 'no-upload' }
      const initiated = Math.floor(found.upload.initiatedMs / 1000)
      if (ifInitiated !== undefined && ifInitiated !== initiated)
        return { kind: 'condition-failed', condition: 'x-amz-if-match-initiated-time' }
      uploads.delete(uploadId)
      return { kind: 'done' }
    },
    async listParts(_bucket, key, uploadId, after, limit) {
      const parts = [...(upload(key, uploadId)?.parts.values() ?? [])]
        .filter(({ number }) => number > after)
        .sort((a, b) => a.number - b.number)
        .map(describePart)
      return { parts: parts.slice(0, limit), more: parts.length > limit }
    },
    async listUploads(request) {
      const records = [...uploads.values()].map(({ key, upload: record }) => ({ key, record }))
      return page(records, request, (entry) => isUploadAfter(entry, request))
    },
    async annotate() {
      return { kind: 'no-version' }
    },
    async deleteAnnotation() {
      return { kind: 'no-version' }
    },
    recallRename: async (token, rename) => renames.recall(token, rename),
    noteRename: async (token, rename) => renames.note(token, rename),
    async countUploads() {
      const count = uploads.size
      return { count, parts: 0, bytes: 0, oldestMs: count === 0 ? undefined : STORE_TIME_MS }
    },
  }
  return store
}

async function readBody(body: Body): Promise<{ bytes: Buffer; digests: BodyDigests }> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body.chunks) chunks.push(chunk)
  return { bytes: Buffer.concat(chunks), digests: body.finish() }
}

function wholeObject(
  attributes: ObjectAttributes,
  bytes: Buffer,
  { md5, checksum }: BodyDigests,
): NewKept {
  const version = {
    ...attributes,
    bytes: bytes.length,
    etag: md5,
    ...(checksum ? { checksum } : {}),
  }
  return { version, bytes, parts: [{ bytes: bytes.length }] }
}

function storedObject({ version, bytes, parts }: Kept): StoredObject {
  const object: StoredObject = {
    version,
    async findPart(number): Promise<PartExtent | undefined> {
      const part = parts[number - 1]
      if (!part) return undefined
      const firstByte = parts.slice(0, number - 1).reduce((sum, before) => sum + before.bytes, 0)
      return { number, partCount: parts.length, firstByte, ...part }
    },
    describeAgain: () => {
      const { headers, userMetadata, storageClass, tags } = version
      const attributes = { headers, userMetadata, storageClass, ...(tags ? { tags } : {}) }
      return { attributes, annotationsOf: object }
    },
    isUnchanged: async () => true,
    listAnnotations: async () => ({ annotations: [], more: false }),
    findAnnotation: async () => undefined,
    readAnnotation: () => oneChunk(new Uint8Array()),
    async listParts(after, limit) {
      if (!version.manifest) return { parts: [], more: false }
      const all = parts.map((part, index) => ({
        ...part,
        number: index + 1,
        etag: version.etag,
        modifiedMs: version.modifiedMs,
      }))
      const wanted = all.filter(({ number }) => number > after)
      return { parts: wanted.slice(0, limit), more: wanted.length > limit }
    },
    async *read({ first, last }: ByteRange) {
      for (let at = first; at <= last; at += 1000)
        yield bytes.subarray(at, Math.min(at + 1000, last + 1))
    },
  }
  return object
}

function describePart({ number, etag, bytes, checksum }: KeptPart) {
  return {
    number,
    etag,
    bytes: bytes.length,
    modifiedMs: STORE_TIME_MS,
    ...(checksum ? { checksum } : {}),
  }
}

function join({ upload, parts }: KeptUpload, listed: ListedPart[]): NewKept {
  const chosen = listed.map(({ number }) => parts.get(number)!)
  const md5s = Buffer.concat(chosen.map(({ etag }) => Buffer.from(etag, 'hex')))
  const { uploadId, initiatedMs: _, checksumAlgorithm, checksumType, ...attributes } = upload
  const bytes = Buffer.concat(chosen.map((part) => part.bytes))
  const version = {
    ...attributes,
    bytes: bytes.length,
    etag: `${Buffer.from(digestOf('MD5', md5s)).toString('hex')}-${chosen.length}`,
    manifest: { uid: uploadId, partCount: chosen.length },
    ...(checksumAlgorithm && checksumType
      ? { checksum: { algorithm: checksumAlgorithm, type: checksumType, value: 'of-the-whole' } }
      : {}),
  }
  const sizes = chosen.map((part) => ({
    bytes: part.bytes.length,
    ...(part.checksum ? { checksum: part.checksum } : {}),
  }))
  return { version, bytes, parts: sizes }
}
