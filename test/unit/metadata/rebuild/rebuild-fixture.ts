// What tests of the rebuild share: a partition whose blobs leave labels, as shards do, and what is made of them.
import type { Uid } from '../../../../src/kit/uid.ts'
import { encodeLabel, type LabelRole, sealLabel } from '../../../../src/metadata/label.ts'
import { rebuildRows } from '../../../../src/metadata/rebuild/rebuild-rows.ts'
import {
  type FoundBlob,
  nameOf,
  type RebuildReport,
  type Remains,
} from '../../../../src/metadata/rebuild/remains.ts'
import {
  type Blob,
  type Encryption,
  isDeleteMarker,
  MISSING_SLOT,
  type ObjectAttributes,
} from '../../../../src/metadata/records.ts'
import { decodeGarbageRow } from '../../../../src/metadata/rows/garbage-row.ts'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import { MemoryLog } from '../memory-log.ts'
import { bucket, everything, type Fixture, listed, MIB, openFixture } from '../partition-fixture.ts'

/** A row as a log has it. */
export interface TestRow {
  key: Uint8Array
  value: Uint8Array
}

/** When a dump was taken, and its rows. */
export interface TestDump {
  takenMs: number
  rows: TestRow[]
}

const ATTRIBUTES: ObjectAttributes = {
  headers: { contentType: 'text/plain' },
  userMetadata: {},
  storageClass: 'STANDARD',
}
/** An ETag of its own for every blob. */
export function etagOf(uid: Uid): string {
  return uid.slice(-20).padStart(32, 'e')
}

/** Writes as a store does: bytes first, then rows. */
export class Writer {
  readonly fixture: Fixture
  /** All blobs of which shards are left. */
  readonly blobs = new Map<string, FoundBlob>()

  constructor(fixture: Fixture) {
    this.fixture = fixture
  }

  static async open(): Promise<Writer> {
    return new Writer(await openFixture({ garbage: { graceMs: 0, bytesPerSecond: 1e12 } }))
  }

  /** Time goes by between any two writes. */
  tick(ms = 1): void {
    this.fixture.clock.ms += ms
  }

  /** Bytes on drives; `sealed` false: the write broke off before they were whole. */
  leave(
    key: string,
    {
      blob,
      role,
      sealed = true,
      encryption,
      attributes = ATTRIBUTES,
      plainBytes = blob.bytes,
    }: {
      blob: Blob
      role: LabelRole
      sealed?: boolean
      encryption?: Encryption
      attributes?: ObjectAttributes
      plainBytes?: number
    },
  ): void {
    const begun = encodeLabel({ role, attributes, ...(encryption ? { encryption } : {}) })
    const label = sealed ? sealLabel(begun, { etag: etagOf(blob.uid) }) : begun
    this.blobs.set(nameOf(blob), { bucketId: bucket.id, key, blob, plainBytes, label })
  }

  /** An object with bytes, its uid. */
  async put(key: string, more: { encryption?: Encryption } = {}): Promise<Uid> {
    const { store } = this.fixture
    this.tick()
    const made = store.version('', 1000)
    const blob = made.blob!
    const versioned = store.bucket.versioning === 'enabled'
    this.leave(key, { blob, role: { kind: 'object', versioned }, ...more })
    this.tick()
    await store.put(key, '', { version: { ...made, etag: etagOf(blob.uid), ...more } })
    return blob.uid
  }

  async putPart(key: string, uploadId: Uid, number: number) {
    const { store } = this.fixture
    this.tick()
    const part = store.part(number, 5 * MIB)
    const blob = part.blob!
    this.leave(key, { blob, role: { kind: 'part', uploadId }, attributes: UPLOADED })
    const made = { ...part, etag: etagOf(blob.uid) }
    await store.putPart(key, uploadId, made)
    return made
  }

  /** An upload with parts of these numbers. */
  async upload(key: string, numbers: readonly number[]) {
    this.tick()
    const uploadId = await this.fixture.store.create(key)
    const parts = []
    for (const number of numbers) parts.push(await this.putPart(key, uploadId, number))
    return { uploadId, parts }
  }

  async multipart(key: string, numbers: readonly number[]): Promise<Uid> {
    const { uploadId, parts } = await this.upload(key, numbers)
    this.tick()
    await this.fixture.store.complete(key, uploadId, parts.map(listed))
    return uploadId
  }

  /** All rows as they are now. */
  async dump(): Promise<TestDump> {
    this.tick()
    const rows = await this.rows()
    const takenMs = this.fixture.clock.ms
    this.tick()
    return { takenMs, rows }
  }

  async rows(): Promise<TestRow[]> {
    const cursor = this.fixture.log.rows.scan({ from: Buffer.of(0), to: Buffer.of(0xff) })
    const rows = await cursor.next(100_000)
    await cursor.close()
    return rows.map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) }))
  }

  /** The shards of everything that became garbage are deleted. */
  async collect(): Promise<void> {
    for (const { key, value } of await this.rows())
      if (key[0] === KeyKind.Garbage) this.blobs.delete(nameOf(decodeGarbageRow(value, 0).blob))
  }

  /** Only so many shards of a blob are left. */
  keepShards(uid: Uid, count: number): void {
    for (const [name, found] of this.blobs) {
      if (found.blob.uid !== uid) continue
      const drives = found.blob.drives.map((drive, slot) => (slot < count ? drive : MISSING_SLOT))
      this.blobs.set(name, { ...found, blob: { ...found.blob, drives } })
    }
  }

  /** What recover makes of `dump` and of the shards that are left. */
  rebuild(dump?: TestDump, more: Pick<Remains, 'hasWriters' | 'absent'> = {}): Promise<Rebuilt> {
    const { clock, store } = this.fixture
    return rebuild({
      ...(dump ? { dump } : {}),
      blobs: [...this.blobs.values()],
      buckets: new Map([[bucket.id, { versioned: store.bucket.versioning === 'enabled' }]]),
      nowMs: clock.ms + 1000,
      ...more,
    })
  }
}

/** Attributes of uploads of the fixture. */
const UPLOADED: ObjectAttributes = {
  headers: {},
  userMetadata: { colour: 'blue' },
  storageClass: 'STANDARD',
}

/** What came out, opened again. */
export interface Rebuilt {
  rows: TestRow[]
  report: RebuildReport
  fixture: Fixture
}

/** Makes rows and opens a partition over them. */
export async function rebuild(remains: Parameters<typeof rebuildRows>[0]): Promise<Rebuilt> {
  const { rows, report } = await rebuildRows(remains)
  const log = new MemoryLog()
  await log.append(rows)
  return { rows, report, fixture: await openFixture({}, log) }
}

/** What a listing of versions says of one. */
export interface Listed {
  key: string
  /** Its blob, or its upload; absent: it has no bytes. */
  blob?: Uid
  marker?: true
}

/** All versions of the bucket, newest first of each key. */
export async function versionsOf({ partition }: Pick<Fixture, 'partition'>): Promise<Listed[]> {
  const scan = { ...everything, bucket: KEEPING, limit: 100_000, afterVersionId: '' }
  const page = await partition.scanVersions(scan)
  if (page === 'bucket-gone') throw new Error('the bucket is gone')
  return page.entries.flatMap((entry): Listed[] => {
    if (entry.kind !== 'entry') return []
    const { key, record } = entry
    const { version } = record
    if (isDeleteMarker(version)) return [{ key, marker: true }]
    const blob = version.blob?.uid ?? version.manifest?.uid
    return [{ key, ...(blob ? { blob } : {}) }]
  })
}

const KEEPING = { ...bucket, versioning: 'enabled' as const }
