// The shards of one drive: small ones in segments, large ones in files of their own, each read verified.
// What was committed is there after any crash; what was not is invisible.

import { prepareDigests } from '../digest/prepare.ts'
import { kibibytes, mebibytes } from '../kit/bytes.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { BigFiles } from './big-file.ts'
import type {
  CopiesDescription,
  DriveMoment,
  ShardDescription,
  ShardId,
  ShardOpened,
  ShardReader,
  ShardWriter,
} from './contract.ts'
import type { Drive } from './drive.ts'
import { type OpenLevel, openLevelDb } from './drive-lock.ts'
import { EitherReader } from './either-reader.ts'
import type { ShardRow } from './index/index-rows.ts'
import { ShardLedger } from './index/shard-ledger.ts'
import { Appender, type NewRecord } from './segment/appender.ts'
import { CellReads } from './segment/cell-reads.ts'
import { scanLiveRecords } from './segment/live-records.ts'
import { RecordBuffer } from './segment/record-buffer.ts'
import { cellLength, cellOffset, layoutShard, recordSecret } from './segment/record-format.ts'
import { SegmentFiles } from './segment/segment-files.ts'
import { SegmentReader } from './segment/segment-reader.ts'
import { SegmentUpkeep, type UpkeepOptions, type UpkeepRound } from './segment/segment-upkeep.ts'
import { ShardDeletions } from './shard-deletions.ts'
import { DriveRoom } from './space/drive-room.ts'
import type { FileSystemRoom, RoomPromise } from './space/file-system-room.ts'
import type { SpaceUse } from './space/levels.ts'
import { WriteMoments } from './write-moments.ts'

/** Everything that the store of one drive can be told. */
export interface ShardStoreOptions extends Partial<UpkeepOptions> {
  /** Larger shards get a file of their own. */
  segmentShardBytes?: number
  /** A segment is not longer; by default 64 MiB, less on a small file system. */
  segmentBytes?: number
  /** Memory for shards on their way into a segment; past it, all but small ones get a file of their own. */
  bufferBytes?: number
}

/** What shards are kept with; `openLevel` is openLevelDb() when left out. */
export interface ShardStoreParts {
  world: World
  log: Log
  openLevel?: OpenLevel
  /** The file system of the drive, when others share it; it then hears of what the drive refuses. */
  fileSystem?: FileSystemRoom
}

const SEGMENT_SHARD_BYTES = mebibytes(1)
const BUFFER_BYTES = mebibytes(32)
const LISTED_AT_ONCE = 512
// Copies of small objects: too many and too small for files of their own. Who writes them bounds how many come (write-blob.ts).
const ALWAYS_BUFFERED_BYTES = kibibytes(128)

interface Opened {
  drive: Drive
  world: World
  log: Log
  ledger: ShardLedger
  files: SegmentFiles
  cells: CellReads
  big: BigFiles
  appender: Appender
  upkeep: SegmentUpkeep
  room: DriveRoom
  secret: bigint
}

/** The shard store of one drive. */
export class ShardStore {
  readonly #options: Required<Pick<ShardStoreOptions, 'segmentShardBytes' | 'bufferBytes'>>
  readonly #parts: Opened
  readonly #deletions = new ShardDeletions()
  readonly #moments: WriteMoments
  #bufferedBytes = 0
  #closed = false

  private constructor(options: ShardStoreOptions, parts: Opened) {
    this.#options = {
      segmentShardBytes: options.segmentShardBytes ?? SEGMENT_SHARD_BYTES,
      bufferBytes: options.bufferBytes ?? BUFFER_BYTES,
    }
    this.#parts = parts
    this.#moments = new WriteMoments(parts.world)
  }

  /** Opens the store of a drive and recovers what a crash left. */
  static async open(
    drive: Drive,
    parts: ShardStoreParts,
    options: ShardStoreOptions = {},
  ): Promise<ShardStore> {
    await prepareDigests()
    const { world, log } = parts
    const secret = recordSecret(drive.marker.clusterId)
    const files = new SegmentFiles(drive, world)
    const cells = new CellReads()
    const big = new BigFiles({ drive, world, cells, secret })
    await big.prepare()
    const openLevel = parts.openLevel ?? openLevelDb
    const room = await DriveRoom.open(drive, world, parts.fileSystem)
    const ledger = await ShardLedger.open({ drive, world, log, files, openLevel, room, secret })
    const segmentBytes = options.segmentBytes ?? room.segmentBytes
    const upkeep = new SegmentUpkeep(options, { drive, world, log, ledger, files, room, secret })
    const appender = new Appender(
      { firstSegment: ledger.nextSegment, segmentBytes, secret },
      { drive, files, events: upkeep.events },
    )
    upkeep.attach(appender)
    const opened = { drive, world, log, ledger, files, cells, big, appender, upkeep, room, secret }
    return new ShardStore(options, opened)
  }

  /** Begins a shard, with its room promised. Throws DriveUnavailable when the drive has none for it. */
  async beginShard(
    description: ShardDescription,
    use: 'data' | 'move' = 'data',
  ): Promise<ShardWriter> {
    this.#throwIfStopped()
    const { room, big } = this.#parts
    const { recordBytes } = layoutShard(description)
    const promise = await room.promise(recordBytes, use)
    const noting = (writer: ShardWriter): ShardWriter =>
      use === 'move' ? this.#noting(writer, description.id) : writer
    try {
      if (!this.#isBuffered(description.shardBytes)) {
        const writer = this.#forgettingRow(await big.begin(description), description.id)
        return noting(spending(writer, promise, recordBytes))
      }
      const record = new RecordBuffer(description)
      this.#bufferedBytes += record.bytes.length
      return noting(this.#bufferedWriter(record, promise))
    } catch (error) {
      promise.release()
      throw error
    }
  }

  /** Makes a whole shard durable: as one that is begun, written and committed, `record` is what is appended then. */
  async putCopy(description: CopiesDescription, record: NewRecord): Promise<void> {
    this.#throwIfStopped()
    const { shardBytes } = record.layout
    if (!this.#isBuffered(shardBytes)) return await this.#putBySteps(description, record)
    const bytes = record.layout.recordBytes
    const { room, appender } = this.#parts
    const promise = room.promiseNow(bytes, 'data') ?? (await room.promise(bytes, 'data'))
    this.#bufferedBytes += bytes
    try {
      const deletion = this.#deletions.ended(record.id)
      if (deletion !== undefined) await deletion
      this.#throwIfStopped()
      await appender.append(record)
      promise.spend(bytes)
    } finally {
      this.#bufferedBytes -= bytes
      promise.release()
    }
  }

  async #putBySteps(
    description: CopiesDescription,
    { id, layout, parts }: NewRecord,
  ): Promise<void> {
    const writer = await this.beginShard({ ...description, id })
    try {
      const at = cellOffset(layout, 0)
      await writer.write(Buffer.concat(parts).subarray(at, at + cellLength(layout, 0)))
      await writer.commit()
    } catch (error) {
      await writer.abort().catch(() => undefined) // The first error is the one that explains it.
      throw error
    }
  }

  /** Whether the drive seems to have room for a shard of so many bytes. */
  hasRoom(shardBytes: number, use: SpaceUse): boolean {
    return this.#parts.room.seemsToFit(shardBytes, use)
  }

  /** Opens a shard for reading. */
  async openShard(id: ShardId): Promise<ShardOpened> {
    this.#throwIfStopped()
    const { ledger, big, drive } = this.#parts
    const row = await ledger.lookup(id)
    if (row !== undefined) return { kind: 'found', reader: this.#readerOf(id, row) }
    const opened = await big.open(id)
    // Nothing is found in a directory that is gone: make sure that it is there before saying "missing".
    if (opened.kind === 'missing') await drive.checkPresence()
    return opened.kind === 'found' ? { kind: 'found', reader: opened.reader } : opened
  }

  /** As openShard(), where nothing is to be read for it; undefined when something is. */
  openAtHand(id: ShardId): ShardReader | undefined {
    if (!this.isOpen) return undefined
    const known = this.#parts.ledger.findKnown(id)
    if (known === undefined) return undefined
    return known.row === undefined ? this.#parts.big.openAtHand(id) : this.#readerOf(id, known.row)
  }

  #readerOf(id: ShardId, row: ShardRow): ShardReader {
    const { ledger, files, cells, secret } = this.#parts
    const { accounts } = ledger
    const lookup = (wanted: ShardId): Promise<ShardRow | undefined> => ledger.lookup(wanted)
    const record = new SegmentReader(id, row, { files, cells, accounts, secret, lookup })
    return new EitherReader(record, () => this.#openFile(id))
  }

  /** Forgets a shard; a missing one is no error. */
  async deleteShard(id: ShardId): Promise<void> {
    this.#throwIfStopped()
    const { ledger, big } = this.#parts
    await this.#deletions.run(id, async () => {
      await ledger.remove(id)
      await big.remove(id)
    })
  }

  /** A moment behind everything that was written here. */
  moment(): DriveMoment {
    this.#throwIfStopped()
    return this.#moments.now()
  }

  /** As deleteShard(), unless the shard may have been made again or kept since: then false. */
  async deleteUntouched(id: ShardId, since: DriveMoment): Promise<boolean> {
    if (!this.#moments.isUntouched(id, since)) return false
    // Nothing is between: whoever commits it from now on waits until it is deleted.
    await this.deleteShard(id)
    return true
  }

  /** No order that was decided before deletes the shard any more; resolves when none is under way. */
  async keepShard(id: ShardId): Promise<void> {
    this.#throwIfStopped()
    this.#moments.note(id)
    await this.#deletions.ended(id)
  }

  /** What all shards of the drive say of themselves, for scrubbing and for rebuilding. Damaged headers are left out. */
  async *scan(): AsyncGenerator<ShardDescription> {
    const { ledger, files, secret, big } = this.#parts
    yield* scanLiveRecords({ ledger, files, secret })
    yield* big.scan()
  }

  /**
   * The names of all shards of the drive, some at a time: it may be left standing for as long as one likes. What is
   * written or deleted meanwhile may be among them or not.
   */
  async *list(): AsyncGenerator<readonly ShardId[]> {
    const { ledger, big } = this.#parts
    let after: ShardId | undefined
    do {
      this.#throwIfStopped()
      const ids = await ledger.idsAfter(after, LISTED_AT_ONCE)
      if (ids.length > 0) yield ids
      after = ids.length === LISTED_AT_ONCE ? ids.at(-1) : undefined
    } while (after !== undefined)
    yield* big.list()
  }

  /** One round of upkeep: seals, gives back the space of dead records, removes files that nobody reads. */
  async compactOnce(): Promise<UpkeepRound> {
    this.#throwIfStopped()
    return await this.#parts.upkeep.round()
  }

  /** Reads the files of the index and mends it when one is damaged. Shards are a scrub's to read. */
  async scrubIndex(pace: () => Promise<void>): Promise<{ files: number; damaged: number }> {
    this.#throwIfStopped()
    return await this.#parts.ledger.scrub(pace)
  }

  /** False once it is closed or its drive failed. */
  get isOpen(): boolean {
    return !this.#closed && this.#parts.drive.failure === undefined
  }

  /** Waits for what is being written, and closes; with `patience` for as long as a drive hangs. */
  async close(options: { patience?: boolean } = {}): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const { appender, upkeep, ledger, files, big } = this.#parts
    // All of it, whatever happens to one of them: LevelDB would go on writing to a directory that comes back.
    const closing = new ClosingStack()
    closing.defer(() => files.close())
    closing.defer(() => big.close())
    closing.defer(() => ledger.close(options))
    closing.defer(() => upkeep.close())
    closing.defer(() => appender.close())
    await closing.close()
  }

  async #openFile(id: ShardId): Promise<ShardReader | undefined> {
    const opened = await this.#parts.big.open(id)
    return opened.kind === 'found' ? opened.reader : undefined
  }

  #isBuffered(shardBytes: number): boolean {
    const { segmentShardBytes, bufferBytes } = this.#options
    if (shardBytes > segmentShardBytes) return false
    return shardBytes <= ALWAYS_BUFFERED_BYTES || this.#bufferedBytes + shardBytes <= bufferBytes
  }

  #bufferedWriter(record: RecordBuffer, promise: RoomPromise): ShardWriter {
    let open = true
    const letGo = (): void => {
      if (open) this.#bufferedBytes -= record.bytes.length
      open = false
      promise.release()
    }
    return {
      write: async (cell) => {
        this.#throwIfStopped()
        record.add(cell)
      },
      commit: async (metadata) => {
        this.#throwIfStopped()
        record.seal(metadata)
        const { id, layout, bytes } = record
        try {
          await this.#deletions.ended(id)
          await this.#parts.appender.append({ id, layout, parts: [bytes] })
          promise.spend(bytes.length)
        } finally {
          letGo()
        }
      },
      abort: async () => letGo(),
    }
  }

  /** A shard that was written again as a file of its own: the row of the older one must not hide it. */
  #forgettingRow(writer: ShardWriter, id: ShardId): ShardWriter {
    return {
      write: (cell) => writer.write(cell),
      ...withRuns(writer),
      abort: () => writer.abort(),
      commit: async (metadata) => {
        await this.#deletions.ended(id)
        await writer.commit(metadata)
        const { ledger } = this.#parts
        // Synced: after a crash the row must not come back and hide the shard that was made to replace it.
        if ((await ledger.lookup(id)) !== undefined) await ledger.remove(id, { sync: true })
      },
    }
  }

  /** A shard that is made again: what was decided of the one before does not hold for it. */
  #noting(writer: ShardWriter, id: ShardId): ShardWriter {
    return {
      write: (cell) => writer.write(cell),
      ...withRuns(writer),
      abort: () => writer.abort(),
      commit: async (metadata) => {
        // Before it waits for deletions under way: those that come later are refused.
        this.#moments.note(id)
        await writer.commit(metadata)
      },
    }
  }

  #throwIfStopped(): void {
    const { drive } = this.#parts
    if (this.isOpen) return
    throw new DriveUnavailable(drive.id, 'failed', { cause: drive.failure ?? 'closed' })
  }
}

/** A writer whose bytes go to the drive as they come, and out of what it was promised. */
function spending(writer: ShardWriter, promise: RoomPromise, recordBytes: number): ShardWriter {
  let written = 0
  const spend = (cells: readonly Uint8Array[]): void => {
    const bytes = cells.reduce((sum, cell) => sum + cell.length, 0)
    written += bytes
    promise.spend(bytes)
  }
  return {
    write: async (cell) => {
      await writer.write(cell)
      spend([cell])
    },
    ...withRuns(writer, spend),
    commit: async (metadata) => {
      await writer.commit(metadata)
      promise.spend(recordBytes - written)
      promise.release()
    },
    abort: async () => {
      await writer.abort().finally(() => promise.release())
    },
  }
}

/** writeRun() where the writer has it; `after` hears of what was written. */
function withRuns(
  writer: ShardWriter,
  after: (cells: readonly Uint8Array[]) => void = () => {},
): Pick<ShardWriter, 'writeRun'> {
  if (writer.writeRun === undefined) return {}
  return {
    writeRun: async (cells) => {
      await writer.writeRun!(cells)
      after(cells)
    },
  }
}
