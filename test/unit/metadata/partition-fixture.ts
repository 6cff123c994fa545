// What tests of partitions share: a clock that stands still, uids in order, and short ways to make commands.
import type { Uid } from '../../../src/kit/uid.ts'
import type {
  KeyDeletion,
  ListedPart,
  MetadataPartition,
  NewVersion,
  VersionEdit,
  WriteConditions,
} from '../../../src/metadata/contract.ts'
import { openPartition, type PartitionOptions } from '../../../src/metadata/partition.ts'
import type {
  Blob,
  BucketRef,
  Checksum,
  Part,
  Retention,
  Upload,
  Versioning,
} from '../../../src/metadata/records.ts'
import { MemoryLog } from './memory-log.ts'

export const START_MS = 1_763_000_000_000
export const MIB = 1024 * 1024
export const bucket: BucketRef = { id: 7, revision: 1, versioning: 'unversioned' }

let uidCount = 0

/** A uid that was never given, of the time `timeMs`. */
export function uidAt(timeMs: number): Uid {
  uidCount += 1
  return (timeMs.toString(16).padStart(12, '0') + uidCount.toString(16).padStart(20, '0')) as Uid
}

/** A clock that a test moves. */
export class TestClock {
  ms = START_MS
  now(): number {
    return this.ms
  }
}

export interface Fixture {
  partition: MetadataPartition
  log: MemoryLog
  clock: TestClock
  /** Commands on the bucket `bucket`. */
  store: Store
}

/** What a command that must not come rejects with: another process is told no more than that it failed. */
export const WRONG = { name: /^(AssertionFailed|MetadataUnavailable)$/ }

let reach = (partition: MetadataPartition): MetadataPartition => partition

/** From now on tests ask partitions by what `wanted` makes of them. */
export function reachPartitions(wanted: typeof reach): void {
  reach = wanted
}

/** A partition over a new log in memory, or over `log`. */
export async function openFixture(
  options: Partial<PartitionOptions> = {},
  log = new MemoryLog(),
  clock = new TestClock(),
): Promise<Fixture> {
  const garbage = { graceMs: 1000, bytesPerSecond: MIB }
  const partition = reach(await openPartition({ id: 0, garbage, ...options }, { log, clock }))
  return { partition, log, clock, store: new Store(partition, clock) }
}

/** Drives of a blob of which the test says nothing. */
export const HOME = [1, 2, 3, 4, 5, 6]

/** Makes and commits commands. */
export class Store {
  readonly #partition: MetadataPartition
  readonly #clock: TestClock
  /** What commands know of the bucket. */
  bucket: BucketRef = bucket

  constructor(partition: MetadataPartition, clock: TestClock) {
    this.#partition = partition
    this.#clock = clock
  }

  uid(): Uid {
    return uidAt(this.#clock.ms)
  }

  blob(bytes: number, drives = HOME): Blob {
    return {
      uid: this.uid(),
      part: 0,
      bytes,
      code: { dataCount: 4, parityCount: 2, matrix: 1 },
      cellBytes: 131072,
      partition: 12,
      drives,
    }
  }

  version(etag: string, bytes = 1000): NewVersion {
    return {
      headers: { contentType: 'text/plain' },
      userMetadata: {},
      storageClass: 'STANDARD',
      bytes,
      etag,
      ...(bytes > 0 ? { blob: this.blob(bytes) } : {}),
    }
  }

  put(
    key: string,
    etag: string,
    more: { conditions?: WriteConditions; version?: NewVersion; commandId?: Uid } = {},
  ) {
    const { conditions = {}, version = this.version(etag), commandId = this.uid() } = more
    return this.#partition.commit({
      kind: 'put-object',
      bucket: this.bucket,
      key,
      version,
      conditions,
      commandId,
    })
  }

  /** From now on commands are decided by this. */
  setVersioning(versioning: Versioning): void {
    this.bucket = { ...this.bucket, versioning }
  }

  delete(key: string, conditions: WriteConditions = {}, commandId = this.uid()) {
    return this.#partition.commit({
      kind: 'delete-object',
      bucket: this.bucket,
      key,
      conditions,
      commandId,
    })
  }

  /** Many keys in one command; a text is the current version of that key. */
  deleteMany(
    keys: readonly (string | KeyDeletion)[],
    more: { bypass?: true; commandId?: Uid } = {},
  ) {
    const { commandId = this.uid(), bypass } = more
    return this.#partition.commit({
      kind: 'delete-objects',
      bucket: this.bucket,
      keys: keys.map((key) => (typeof key === 'string' ? { key, conditions: {} } : key)),
      commandId,
      ...(bypass ? { bypass } : {}),
    })
  }

  /** Removes one version for ever. */
  remove(
    key: string,
    versionId: string,
    more: { bypass?: true; conditions?: WriteConditions; commandId?: Uid } = {},
  ) {
    const { conditions = {}, commandId = this.uid(), bypass } = more
    return this.#partition.commit({
      kind: 'delete-object',
      bucket: this.bucket,
      key,
      versionId,
      conditions,
      commandId,
      ...(bypass ? { bypass } : {}),
    })
  }

  edit(key: string, edit: VersionEdit, more: { versionId?: string; commandId?: Uid } = {}) {
    const { versionId, commandId = this.uid() } = more
    return this.#partition.commit({
      kind: 'edit-version',
      bucket: this.bucket,
      key,
      edit,
      commandId,
      ...(versionId === undefined ? {} : { versionId }),
    })
  }

  append(
    key: string,
    versionId: string,
    bytes: number,
    more: {
      etag?: string
      checksum?: Checksum
      conditions?: WriteConditions
      blob?: Blob
      commandId?: Uid
    } = {},
  ) {
    const { etag = 'appended', checksum, conditions = {}, commandId = this.uid() } = more
    const { number: _, ...part } = this.part(1, bytes)
    return this.#partition.commit({
      kind: 'append-object',
      bucket: this.bucket,
      key,
      versionId,
      part: { ...part, ...(more.blob ? { blob: more.blob } : {}) },
      manifestUid: this.uid(),
      etag,
      checksum,
      conditions,
      commandId,
    })
  }

  get(key: string, versionId?: string) {
    return this.#partition.getObject(this.bucket, key, versionId)
  }

  /** Begins an upload and gives its id. */
  async create(key: string, more: Partial<Upload> = {}): Promise<Uid> {
    const upload = {
      uploadId: this.uid(),
      headers: {},
      userMetadata: { colour: 'blue' },
      storageClass: 'STANDARD',
      ...more,
    }
    const commandId = this.uid()
    await this.#partition.commit({
      kind: 'create-upload',
      bucket: this.bucket,
      key,
      upload,
      commandId,
    })
    return upload.uploadId
  }

  part(number: number, bytes: number, checksum?: Checksum): Omit<Part, 'modifiedMs'> {
    const etag = number.toString(16).padStart(32, 'a')
    const blob = { ...this.blob(bytes), part: number }
    return {
      number,
      bytes,
      etag,
      ...(bytes > 0 ? { blob } : {}),
      ...(checksum ? { checksum } : {}),
    }
  }

  putPart(key: string, uploadId: Uid, part: Omit<Part, 'modifiedMs'>, commandId = this.uid()) {
    return this.#partition.commit({
      kind: 'put-part',
      bucket: this.bucket,
      key,
      uploadId,
      part,
      commandId,
    })
  }

  complete(
    key: string,
    uploadId: Uid,
    parts: ListedPart[],
    more: {
      conditions?: WriteConditions
      claimed?: {
        bytes?: number
        checksum?: { algorithm: string; value: string }
        checksumType?: string
      }
      defaultRetention?: Retention
      commandId?: Uid
    } = {},
  ) {
    const { conditions = {}, claimed = {}, commandId = this.uid(), defaultRetention } = more
    return this.#partition.commit({
      kind: 'complete-upload',
      bucket: this.bucket,
      key,
      uploadId,
      parts,
      conditions,
      claimed,
      commandId,
      ...(defaultRetention ? { defaultRetention } : {}),
    })
  }

  abort(key: string, uploadId: Uid, commandId = this.uid(), ifInitiated?: number) {
    return this.#partition.commit({
      kind: 'abort-upload',
      bucket: this.bucket,
      key,
      uploadId,
      commandId,
      ...(ifInitiated === undefined ? {} : { ifInitiated }),
    })
  }

  setBucket(state: 'live' | 'frozen', revision: number, id = bucket.id) {
    const commandId = this.uid()
    return this.#partition.commit({
      kind: 'set-bucket',
      commandId,
      bucket: { ...bucket, id, revision },
      state,
    })
  }

  dropBucket(revision: number, id = bucket.id) {
    const commandId = this.uid()
    return this.#partition.commit({
      kind: 'drop-bucket',
      commandId,
      bucket: { ...bucket, id, revision },
    })
  }

  /** Keys of the whole bucket. */
  async keys(): Promise<string[]> {
    const page = await this.#partition.scanObjects({
      ...everything,
      bucket: this.bucket,
      limit: 10_000,
    })
    if (page === 'bucket-gone') throw new Error('the bucket is gone')
    return page.entries.map((entry) => (entry.kind === 'entry' ? entry.key : entry.prefix))
  }
}

/** A scan of the first 1,000 entries of the bucket. */
export const everything = {
  bucket,
  prefix: '',
  after: '',
  afterPrefix: false,
  delimiter: '',
  limit: 1000,
}

/** The part as a client lists it. */
export function listed({ number, etag }: { number: number; etag: string }): ListedPart {
  return { number, etag }
}
