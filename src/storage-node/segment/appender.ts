// Appends records to the open segment of a drive. One writer per drive; whatever queued up during one sync
// goes out with the next one (group commit), so a sync is shared by all who wait.
import { assert } from '../../kit/assert.ts'
import { mebibytes } from '../../kit/bytes.ts'
import { DriveUnavailable, isFull } from '../../kit/drive-unavailable.ts'
import type { DiskFile } from '../../kit/world.ts'
import type { ShardId } from '../contract.ts'
import type { Drive } from '../drive.ts'
import { saysDirectoryIsLost } from '../drive-errors.ts'
import { type RecordLayout, type RecordPlace, stampHeader } from './record-format.ts'
import type { SegmentFiles } from './segment-files.ts'

/** A record to append. */
export interface NewRecord {
  id: ShardId
  layout: RecordLayout
  /** All of it but the stamp of its header, which lies in the first one as a whole. Read until append() has ended. */
  parts: readonly Uint8Array[]
  /** For a copy made by compaction: where the original lies. It counts only if that is still the live one. */
  copyOf?: RecordPlace
}

/** A record that is durable at its place. */
export interface AppendedRecord extends NewRecord {
  place: RecordPlace
}

/** What the appender tells its owner. */
export interface AppenderEvents {
  /** Records became durable: enter them into the index. Called for one group after the other. */
  onDurable(records: AppendedRecord[]): Promise<void>
  /** A segment was begun, with its name durable. */
  onBegun(segment: number): void
  /** Nothing more will be appended to a segment, `bytes` long. Its last group is in the index. */
  onEnded(segment: number, bytes: number): void
}

/** `firstSegment`: the number of the next one to begin. `secret`: recordSecret() of the cluster. */
export interface AppenderOptions {
  firstSegment: number
  segmentBytes: number
  secret: bigint
}

interface Waiting {
  record: NewRecord
  resolve: () => void
  reject: (error: unknown) => void
}

interface OpenSegment {
  number: number
  file: DiskFile
  bytes: number
  records: number
}

// One group: enough to fill a sync, little enough that the first in it does not wait long.
const GROUP_BYTES = mebibytes(4)
const GROUP_RECORDS = 256
const MAX_QUEUED = 10_000
const WRITE_ATTEMPTS = 2

/** Bounds the rows that are written again when a segment is sealed. */
const SEGMENT_RECORDS = 16_384

/** The one writer of a drive's segments. */
export class Appender {
  readonly #drive: Drive
  readonly #files: SegmentFiles
  readonly #events: AppenderEvents
  readonly #options: AppenderOptions
  readonly #queue: Waiting[] = []
  #nextSegment: number
  #open: OpenSegment | undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(
    options: AppenderOptions,
    parts: { drive: Drive; files: SegmentFiles; events: AppenderEvents },
  ) {
    this.#options = options
    this.#drive = parts.drive
    this.#files = parts.files
    this.#events = parts.events
    this.#nextSegment = options.firstSegment
  }

  /** Resolves when the record is durable and in the index. */
  append(record: NewRecord): Promise<void> {
    assert(bytesOf(record) === record.layout.recordBytes, 'a record is as long as its layout')
    if (this.#closed || this.#queue.length >= MAX_QUEUED) {
      const cause = this.#closed ? 'closed' : 'too many shards wait for the disk'
      return Promise.reject(new DriveUnavailable(this.#drive.id, 'failed', { cause }))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ record, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Ends the open segment unless something is on its way into it: it gets no more, and its space can come back. */
  endIdle(): void {
    if (this.#running === undefined) this.#endSegment()
  }

  /** Appends what is queued and ends the open segment. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    this.#endSegment()
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#drive.gather()
      const group = this.#takeGroup()
      try {
        await this.#appendGroup(group.map((waiting) => waiting.record))
        for (const waiting of group) waiting.resolve()
      } catch (error) {
        for (const waiting of group) waiting.reject(error)
      }
    }
    this.#running = undefined
  }

  #takeGroup(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { record } of this.#queue) {
      bytes += record.layout.recordBytes
      if (count > 0 && (bytes > this.#groupBytes() || count === GROUP_RECORDS)) break
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  #groupBytes(): number {
    return Math.min(GROUP_BYTES, this.#options.segmentBytes / 4)
  }

  async #appendGroup(records: NewRecord[]): Promise<void> {
    const total = records.reduce((sum, { layout }) => sum + layout.recordBytes, 0)
    for (let attempt = 1; ; attempt += 1) {
      const segment = await this.#segmentFor(total, records.length)
      const appended = placeRecords(records, segment, this.#options.secret)
      // Where the medium can not be written to, a new segment lies elsewhere.
      if ((await this.#writeGroup(segment, appended)) === 'medium-error') {
        if (attempt === WRITE_ATTEMPTS) this.#failDrive()
        continue
      }
      segment.bytes += total
      segment.records += records.length
      await this.#events.onDurable(appended)
      return
    }
  }

  #failDrive(): never {
    const cause = new Error('it could not be written to, nor elsewhere')
    this.#drive.fail(cause)
    throw new DriveUnavailable(this.#drive.id, 'failed', { cause })
  }

  /** After a failed write the bytes beyond the last good group are cut off: they are ours and nobody was told of them. */
  async #writeGroup(
    segment: OpenSegment,
    records: AppendedRecord[],
  ): Promise<'written' | 'medium-error'> {
    const { file, bytes } = segment
    const buffers: Uint8Array[] = []
    for (const { parts } of records) buffers.push(...parts)
    try {
      if (file.isThrough) {
        await this.#drive.writeThrough(file, buffers, bytes, this.#files.pathOf(segment.number))
        return 'written'
      }
      if ((await this.#drive.attempt(() => file.write(buffers, bytes))) === 'medium-error') {
        this.#endSegment()
        return 'medium-error'
      }
      // A sync that fails fails the drive: what it lost is not written by another one.
      await this.#drive.syncFile(file, this.#files.pathOf(segment.number))
      return 'written'
    } catch (error) {
      // Where the sync may be what failed, what lies in the file is not known: nothing is written behind it.
      if (isFull(error)) await this.#cutBack(segment)
      if (!isFull(error) || file.isThrough) this.#endSegment()
      throw error
    }
  }

  async #cutBack(segment: OpenSegment): Promise<void> {
    try {
      await this.#drive.run(() => segment.file.truncate(segment.bytes))
    } catch {
      this.#endSegment() // The reason is on its way to the caller already; recovery skips the torn bytes.
    }
  }

  async #segmentFor(bytes: number, records: number): Promise<OpenSegment> {
    const open = this.#open
    if (open !== undefined) {
      const fits = open.bytes + bytes <= this.#options.segmentBytes || open.bytes === 0
      if (fits && open.records + records <= SEGMENT_RECORDS) return open
      this.#endSegment()
    }
    const number = this.#nextSegment
    this.#nextSegment += 1
    this.#open = { number, file: await this.#create(number), bytes: 0, records: 0 }
    this.#events.onBegun(number)
    return this.#open
  }

  async #create(number: number): Promise<DiskFile> {
    try {
      return await this.#files.create(number)
    } catch (error) {
      if (!saysDirectoryIsLost(error)) throw error
      // Shards that we answer for are gone with their directory, or it takes no more of them.
      this.#drive.fail(error)
      throw new DriveUnavailable(this.#drive.id, 'failed', { cause: error })
    }
  }

  #endSegment(): void {
    const segment = this.#open
    if (segment === undefined) return
    this.#open = undefined
    this.#files.release(segment.number)
    this.#events.onEnded(segment.number, segment.bytes)
  }
}

function bytesOf({ parts }: NewRecord): number {
  let bytes = 0
  for (const part of parts) bytes += part.length
  return bytes
}

function placeRecords(
  records: NewRecord[],
  segment: OpenSegment,
  secret: bigint,
): AppendedRecord[] {
  let offset = segment.bytes
  return records.map((record) => {
    const place = { segment: segment.number, offset }
    stampHeader(record.parts[0]!, { secret, place, groupOffset: segment.bytes })
    offset += record.layout.recordBytes
    return { place, ...record }
  })
}
