// An ObjectStore of maps: what operations are tested against. Slow, simple, and never unavailable.
import { digestOf } from '../../../../src/digest/digest.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import type {
  Body,
  BodyDigests,
  Bucket,
  ByteRange,
  Checksum,
  CompleteOutcome,
  ListedPart,
  ListPage,
  ListRequest,
  ObjectStore,
  ObjectVersion,
  PartExtent,
  PutPartOutcome,
  PutRequest,
  Refused,
  ScanEntry,
  StoredObject,
  Upload,
  UploadListRequest,
  WriteConditions,
} from '../../../../src/objects/object-store.ts'

/** When everything in the store happened, unless a test says otherwise. */
export const STORE_TIME_MS = Date.UTC(2026, 10, 20, 12, 0, 0, 250)

interface Kept {
  version: ObjectVersion
  bytes: Buffer
  parts: { bytes: number; checksum?: Checksum }[]
}

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
  /** Objects by `bucket/key`. */
  readonly kept: Map<string, Kept>
  /** What completeUpload() answers instead of its own decision. */
  nextCompletion: CompleteOutcome | undefined
}

export function memoryStore(region = 'us-east-1'): MemoryStore {
  const buckets = new Map<string, Bucket>()
  const kept = new Map<string, Kept>()
  const uploads = new Map<string, KeptUpload>()
  let serial = 0

  const current = (bucket: Bucket, key: string): Kept | undefined =>
    kept.get(`${bucket.name}/${key}`)
  const upload = (key: string, id: string): KeptUpload | undefined => {
    const found = uploads.get(id)
    return found?.key === key ? found : undefined
  }
  const keep = (bucket: Bucket, key: string, entry: Kept): ObjectVersion => {
    kept.set(`${bucket.name}/${key}`, entry)
    return entry.version
  }

  const store: MemoryStore = {
    kept,
    nextCompletion: undefined,
    listBuckets: () => [...buckets.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    findBucket: (name) => buckets.get(name),
    async createBucket(name, inRegion) {
      const existing = buckets.get(name)
      if (existing) return { kind: 'exists', bucket: existing }
      const bucket: Bucket = {
        name,
        id: ++serial,
        createdMs: STORE_TIME_MS,
        region: inRegion || region,
        revision: 1,
        state: 'live',
      }
      buckets.set(name, bucket)
      return { kind: 'created', bucket }
    },
    async deleteBucket(name) {
      if (!buckets.has(name)) return { kind: 'missing' }
      if ([...kept.keys()].some((path) => path.startsWith(`${name}/`))) return { kind: 'not-empty' }
      buckets.delete(name)
      return { kind: 'deleted' }
    },

    async find(bucket, key) {
      const entry = current(bucket, key)
      return entry && storedObject(entry)
    },
    async put({ bucket, key, attributes, conditions, body }: PutRequest) {
      const { bytes, digests } = await readBody(body)
      const refused = refuse(conditions, current(bucket, key)?.version)
      if (refused) return refused
      const version: ObjectVersion = {
        ...attributes,
        versionId: `v${++serial}`,
        modifiedMs: STORE_TIME_MS,
        bytes: bytes.length,
        etag: digests.md5,
        ...(digests.checksum ? { checksum: digests.checksum } : {}),
      }
      const parts = [{ bytes: bytes.length }]
      return { kind: 'done', version: keep(bucket, key, { version, bytes, parts }) }
    },
    async delete(bucket, key, conditions) {
      const refused = refuse(conditions, current(bucket, key)?.version)
      if (refused) return refused
      return { kind: 'done', existed: kept.delete(`${bucket.name}/${key}`) }
    },
    async list(request) {
      const prefix = `${request.bucket.name}/`
      const all = [...kept.entries()].filter(([path]) => path.startsWith(prefix))
      const records = all.map(([path, { version }]) => ({
        key: path.slice(prefix.length),
        record: version,
      }))
      return page(records, request, ({ key }) => isAfter(key, request))
    },

    async createUpload(_bucket, key, attributes) {
      const uploadId = (++serial).toString(16).padStart(32, '0') as Uid
      const created: Upload = { ...attributes, uploadId, initiatedMs: STORE_TIME_MS }
      uploads.set(uploadId, { key, upload: created, parts: new Map() })
      return created
    },
    findUpload: async (_bucket, key, uploadId) => upload(key, uploadId)?.upload,
    async putPart({ key, uploadId, number, body }): Promise<PutPartOutcome> {
      const { bytes, digests } = await readBody(body)
      const found = upload(key, uploadId)
      if (!found) return { kind: 'no-upload' }
      const { md5: etag, checksum } = digests
      const part: KeptPart = { number, etag, bytes, ...(checksum ? { checksum } : {}) }
      found.parts.set(number, part)
      return { kind: 'done', part: describePart(part) }
    },
    async completeUpload({ bucket, key, uploadId, parts, conditions }): Promise<CompleteOutcome> {
      if (store.nextCompletion) return store.nextCompletion
      const found = upload(key, uploadId)
      if (!found) return { kind: 'no-upload' }
      const wrong = parts.find(({ number, etag }) => found.parts.get(number)?.etag !== etag)
      if (wrong) return { kind: 'invalid-part', number: wrong.number, etag: wrong.etag }
      const refused = refuse(conditions, current(bucket, key)?.version)
      if (refused) return refused
      uploads.delete(uploadId)
      return { kind: 'done', version: keep(bucket, key, join(found, parts)) }
    },
    abortUpload: async (_bucket, key, uploadId) =>
      upload(key, uploadId) !== undefined && uploads.delete(uploadId),
    async listParts(_bucket, key, uploadId, after, limit) {
      const parts = [...(upload(key, uploadId)?.parts.values() ?? [])]
        .filter(({ number }) => number > after)
        .sort((a, b) => a.number - b.number)
        .map(describePart)
      return { parts: parts.slice(0, limit), more: parts.length > limit }
    },
    async listUploads(request) {
      const records = [...uploads.values()].map(({ key, upload: record }) => ({ key, record }))
      return page(records, request, ({ key, record }) => isUploadAfter(key, record, request))
    },
  }
  return store
}

async function readBody(body: Body): Promise<{ bytes: Buffer; digests: BodyDigests }> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body.chunks) chunks.push(chunk)
  return { bytes: Buffer.concat(chunks), digests: body.finish() }
}

function refuse(
  { ifMatch, ifNoneMatch }: WriteConditions,
  version: ObjectVersion | undefined,
): Refused | undefined {
  const matches = (etags: string[]) => etags.includes('*') || etags.includes(version?.etag ?? '-')
  if (ifMatch && !version) return { kind: 'missing' }
  if (ifMatch && !matches(ifMatch)) return { kind: 'condition-failed', condition: 'If-Match' }
  if (ifNoneMatch && version && matches(ifNoneMatch))
    return { kind: 'condition-failed', condition: 'If-None-Match' }
  return undefined
}

function storedObject({ version, bytes, parts }: Kept): StoredObject {
  return {
    version,
    async findPart(number): Promise<PartExtent | undefined> {
      const part = parts[number - 1]
      if (!part) return undefined
      const firstByte = parts.slice(0, number - 1).reduce((sum, before) => sum + before.bytes, 0)
      return { number, partCount: parts.length, firstByte, ...part }
    },
    async *read({ first, last }: ByteRange) {
      for (let at = first; at <= last; at += 1000)
        yield bytes.subarray(at, Math.min(at + 1000, last + 1))
    },
  }
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

function join({ upload, parts }: KeptUpload, listed: ListedPart[]): Kept {
  const chosen = listed.map(({ number }) => parts.get(number)!)
  const md5s = Buffer.concat(chosen.map(({ etag }) => Buffer.from(etag, 'hex')))
  const { uploadId, headers, userMetadata, storageClass, checksumAlgorithm, checksumType } = upload
  const bytes = Buffer.concat(chosen.map((part) => part.bytes))
  const version: ObjectVersion = {
    headers,
    userMetadata,
    storageClass,
    versionId: 'v',
    modifiedMs: STORE_TIME_MS,
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

function compareNames(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

function isAfter(key: string, { after, delimiter }: ListRequest): boolean {
  const insideSkipped = delimiter !== '' && after.endsWith(delimiter) && key.startsWith(after)
  return compareNames(key, after) > 0 && !insideSkipped
}

function isUploadAfter(key: string, upload: Upload, request: UploadListRequest): boolean {
  if (key === request.after && request.afterUploadId !== '')
    return upload.uploadId > request.afterUploadId
  return isAfter(key, request)
}

function page<Record>(
  records: { key: string; record: Record }[],
  { prefix, delimiter, limit }: ListRequest,
  isWanted: (entry: { key: string; record: Record }) => boolean,
): ListPage<Record> {
  const entries: ScanEntry<Record>[] = []
  const wanted = records.filter((entry) => entry.key.startsWith(prefix) && isWanted(entry))
  const seen = new Set<string>()
  for (const { key, record } of wanted.sort((a, b) => compareNames(a.key, b.key))) {
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const rolled = cut < 0 ? undefined : key.slice(0, cut + delimiter.length)
    if (rolled === undefined) entries.push({ kind: 'entry', key, record })
    else if (!seen.has(rolled)) entries.push({ kind: 'prefix', prefix: rolled })
    if (rolled !== undefined) seen.add(rolled)
  }
  const shown = entries.slice(0, limit)
  const last = shown.at(-1)
  const lastName = last?.kind === 'entry' ? last.key : last?.prefix
  return { entries: shown, last: entries.length > limit ? lastName : undefined }
}
