// The rows of all metadata replicas on one drive, in one LevelDB that is only a cache of the log:
// every value carries a checksum of key and value, and no write is durable before checkpoint().
// Layout: docs/formats/metadata-log.md.
import { xxh64 } from '../../digest/xxh64.ts'
import { assert } from '../../kit/assert.ts'
import { asBuffer, kibibytes } from '../../kit/bytes.ts'
import type { RowBatch } from '../../metadata/log/contract.ts'
import type { BytesLevel } from '../drive-lock.ts'
import { flushLevel } from '../flush-level.ts'
import type { MetaDrive } from '../metalog/meta-drive.ts'
import {
  GatheredChanges,
  GatheredReads,
  type LevelChange,
  type Run,
  type Stored,
} from './gathered.ts'
import {
  applyStatus,
  decodeMarker,
  decodeStatus,
  encodeMarker,
  MARKER_KEY,
  type Marker,
  partitionOfStatusKey,
  type ReplicaStatus,
  STATUS_RANGE,
  statusKey,
} from './status.ts'

/** What one read gave. Rotten: the checksum is wrong, or LevelDB could not read it. */
export type RowRead =
  | { kind: 'found'; value: Uint8Array }
  | { kind: 'missing' }
  | { kind: 'rotten'; detail: string }

/** A row as LevelDB has it: `stored` is checksum and value. */
export interface StoredRow {
  key: Uint8Array
  stored: Uint8Array
}

/** As RowRange; without an end it goes on to the last row of the partition. */
export interface OpenRange {
  from: Uint8Array
  to?: Uint8Array | undefined
}

/** An ordered walk over a snapshot of stored rows. */
export interface StoredCursor {
  /** At most `count` rows, fewer only at the end. Throws when LevelDB can not read on. */
  next(count: number): Promise<StoredRow[]>
  seek(key: Uint8Array): void
  close(): Promise<void>
}

const CHECKSUM_BYTES = 8
/** What one trip to the thread pool brings at most: the usual 16 KiB are 60 rows, of a page of a thousand. */
const READ_BYTES = kibibytes(256)
const PARTITION_BYTES = 2

/** Rows of one drive. */
export class MetaRows {
  readonly #level: BytesLevel
  readonly #drive: MetaDrive
  readonly #reads: GatheredReads
  readonly #changes: GatheredChanges

  constructor(level: BytesLevel, drive: MetaDrive) {
    this.#level = level
    this.#drive = drive
    const run: Run = (operation) => drive.run(operation)
    this.#reads = new GatheredReads(level, run)
    this.#changes = new GatheredChanges(level, run, () => drive.gather())
  }

  async get(partition: number, key: Uint8Array): Promise<RowRead> {
    const [read] = await this.getMany(partition, [key])
    return read!
  }

  /** What get() gives for each of the keys, by one call. */
  async getMany(partition: number, keys: readonly Uint8Array[]): Promise<RowRead[]> {
    const full = keys.map((key) => rowKey(partition, key))
    const stored = await this.#reads.getMany(full)
    return full.map((key, at) => readRow(key, stored[at]))
  }

  /** Walks over the rows as they are at the time of the call. */
  cursor(partition: number, range: OpenRange): StoredCursor {
    const iterator = this.#level.iterator({
      gte: rowKey(partition, range.from),
      lt: range.to === undefined ? afterPartition(partition) : rowKey(partition, range.to),
      highWaterMarkBytes: READ_BYTES,
    } as object)
    return {
      next: async (count) => {
        const rows: StoredRow[] = []
        while (rows.length < count) {
          const more = await this.#drive.run(() => iterator.nextv(count - rows.length))
          if (more.length === 0) break
          for (const [key, stored] of more)
            rows.push({ key: key.subarray(PARTITION_BYTES), stored })
        }
        return rows
      },
      seek: (key) => iterator.seek(rowKey(partition, key)),
      close: () => iterator.close(),
    }
  }

  /** Applies batches in order, together with how far they lead. `sealed`: what sealRows() gives for them. */
  async apply(
    partition: number,
    status: ReplicaStatus,
    batches: readonly RowBatch[],
    sealed: readonly LevelChange[] = sealRows(partition, batches),
  ): Promise<void> {
    await this.#changes.apply([...sealed, applyStatus(partition, status, sealRow)])
  }

  /** Takes over rows of another replica as they are stored there: the checksums are the same. */
  async copyIn(partition: number, rows: readonly StoredRow[]): Promise<void> {
    await this.#changes.apply(
      rows.map(({ key, stored }) => ({ type: 'put', key: rowKey(partition, key), value: stored })),
    )
  }

  /** Forgets a partition: first that it was there, then its rows. */
  async clear(partition: number): Promise<void> {
    await this.#changes.apply([{ type: 'del', key: statusKey(partition) }])
    await this.#drive.run(() =>
      this.#level.clear({
        gte: rowKey(partition, new Uint8Array()),
        lt: afterPartition(partition),
      }),
    )
  }

  /** How far the rows of every partition claim to be; rotten claims are left out. */
  async statuses(): Promise<Map<number, ReplicaStatus>> {
    const found = new Map<number, ReplicaStatus>()
    const entries = await this.#drive.run(() => this.#level.iterator(STATUS_RANGE).all())
    for (const [key, stored] of entries) {
      const value = openRow(key, stored)
      if (value !== undefined) found.set(partitionOfStatusKey(key), decodeStatus(value))
    }
    return found
  }

  /** The last marker; undefined when there is none or it is rotten. */
  async marker(): Promise<Marker | undefined> {
    const stored = await this.#reads.get(MARKER_KEY)
    if (stored === undefined || stored instanceof Error) return undefined
    const value = openRow(MARKER_KEY, stored)
    return value && decodeMarker(value)
  }

  /**
   * Makes everything applied up to now durable, then the marker that says so.
   * A sync write would not do: it does not cover earlier writes across a rotation of LevelDB's own log. A compaction,
   * even of a range that holds nothing, first writes everything in memory into a synced table.
   */
  async checkpoint(marker: Marker): Promise<void> {
    await this.flush()
    const value = sealRow(MARKER_KEY, encodeMarker(marker))
    await this.#drive.run(() =>
      this.#level.batch([{ type: 'put', key: MARKER_KEY, value }], { sync: true } as object),
    )
  }

  /** Makes everything applied up to now durable. */
  async flush(): Promise<void> {
    await this.#drive.run(() => flushLevel(this.#level))
  }

  async close(): Promise<void> {
    await this.#level.close()
  }
}

/** Batches of a partition as rows of LevelDB: the same ones for every replica. */
export function sealRows(partition: number, batches: readonly RowBatch[]): LevelChange[] {
  const changes: LevelChange[] = []
  const lastKey = batches.at(-1)?.at(-1)?.key
  for (const [at, batch] of batches.entries()) {
    for (const { key, value } of batch) {
      // Each batch ends with the clock of its partition: only the last of them is ever read.
      const isOverwritten = key === lastKey && at < batches.length - 1
      if (isOverwritten) continue
      const full = rowKey(partition, key)
      changes.push(
        value === undefined
          ? { type: 'del', key: full }
          : { type: 'put', key: full, value: sealRow(full, value) },
      )
    }
  }
  return changes
}

function readRow(full: Uint8Array, stored: Stored): RowRead {
  if (stored === undefined) return { kind: 'missing' }
  if (stored instanceof Error) return { kind: 'rotten', detail: stored.message }
  const value = openRow(full, stored)
  return value ? { kind: 'found', value } : { kind: 'rotten', detail: 'its checksum is wrong' }
}

/** The value in a stored row, or undefined when it is rotten. */
export function openStoredRow(partition: number, row: StoredRow): Uint8Array | undefined {
  return openRow(rowKey(partition, row.key), row.stored)
}

function openRow(full: Uint8Array, stored: Uint8Array): Uint8Array | undefined {
  if (stored.length < CHECKSUM_BYTES) return undefined
  const value = stored.subarray(CHECKSUM_BYTES)
  return asBuffer(stored).readBigUInt64LE(0) === checksum(full, value) ? value : undefined
}

function sealRow(full: Uint8Array, value: Uint8Array): Uint8Array {
  const stored = Buffer.allocUnsafe(CHECKSUM_BYTES + value.length)
  stored.writeBigUInt64LE(checksum(full, value), 0)
  stored.set(value, CHECKSUM_BYTES)
  return stored
}

/** Over key and value: a value under a wrong key is as wrong as a wrong value. */
function checksum(full: Uint8Array, value: Uint8Array): bigint {
  return xxh64(value, xxh64(full))
}

function rowKey(partition: number, key: Uint8Array): Uint8Array {
  assert(partition < 0xff00, 'partitions above 0xff00 are rows of the drive itself')
  const full = Buffer.allocUnsafe(PARTITION_BYTES + key.length)
  full.writeUInt16BE(partition, 0)
  full.set(key, PARTITION_BYTES)
  return full
}

function afterPartition(partition: number): Uint8Array {
  return rowKey(partition + 1, new Uint8Array())
}
