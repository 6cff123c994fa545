// Large shards, each in a file of its own: big/ab/<uid>.<part>.<slot>. The path is the truth, no index knows them.
// Cells go into big/tmp/ as they come; a synced file gets its name by rename, and then its directory is synced.
import { shardSeed } from '../digest/cell-checksum.ts'
import { assert } from '../kit/assert.ts'
import { DriveUnavailable, isFull } from '../kit/drive-unavailable.ts'
import { removeIfThere, unlessMissing } from '../kit/files.ts'
import type { DiskFile, World } from '../kit/world.ts'
import { blockPadding, canWriteBlocks, inBlocks, refusesBlocks } from './block-file.ts'
import type { ShardDescription, ShardId, ShardReader, ShardWriter } from './contract.ts'
import type { Drive } from './drive.ts'
import { saysDirectoryIsLost } from './drive-errors.ts'
import { type HeldShard, OpenShards, type ShardFileOpened } from './open-shards.ts'
import type { CellReads, CellSource, ReadAt } from './segment/cell-reads.ts'
import {
  cellLength,
  cellOffset,
  encodeHeader,
  encodeTail,
  encodeTrailer,
  layoutShard,
  MAX_HEADER_BYTES,
  OWN_FILE,
  parseHeader,
  type RecordHeader,
  type RecordLayout,
  replaceMetadata,
  stampHeader,
  TRAILER_BYTES,
} from './segment/record-format.ts'
import { readFrame } from './segment/record-frame.ts'
import { SharedSyncs } from './shared-syncs.ts'

/** What large shards are written and read with. `secret`: recordSecret() of the cluster. */
export interface BigFileParts {
  drive: Drive
  world: Pick<World, 'disk' | 'clock'>
  cells: CellReads
  secret: bigint
}

/** What opening a large shard gave. */
export type BigOpened =
  | { kind: 'found'; reader: ShardReader; header: RecordHeader }
  | { kind: 'missing' }
  | { kind: 'corrupt'; detail: string }

/** The large shards of one drive. */
export class BigFiles {
  readonly #parts: BigFileParts
  /** Directories whose own entry is known to be durable: at most 257. */
  readonly #durable = new Set<string>()
  /** Shards that are written at the same time lie in the same directory. */
  readonly #syncs: SharedSyncs
  readonly #open: OpenShards
  #drafts = 0
  /** Whether drafts go to the disk in whole blocks. */
  #inBlocks = false

  constructor(parts: BigFileParts) {
    this.#parts = parts
    this.#syncs = new SharedSyncs((path) => parts.drive.syncDirectory(path))
    this.#open = new OpenShards({
      clock: parts.world.clock,
      open: (name) => this.#openFile(parseName(name)),
      isNamed: (file) => parts.drive.run(async () => (await file.stat()).links > 0),
    })
  }

  /** Removes what writers left behind that never committed. */
  async prepare(): Promise<void> {
    const { drive, world } = this.#parts
    await this.#makeDirectory('tmp')
    for (const name of await drive.run(() => world.disk.list(`${this.#root}/tmp`))) {
      await drive.run(() => world.disk.remove(`${this.#root}/tmp/${name}`))
    }
    this.#inBlocks = await this.#canWriteBlocks()
  }

  async #canWriteBlocks(): Promise<boolean> {
    const { drive, world } = this.#parts
    const path = `${this.#root}/tmp/blocks`
    try {
      return await drive.run(() => canWriteBlocks(world.disk, path))
    } catch (error) {
      if (isFull(error)) return false // Nobody knows then.
      throw error
    } finally {
      if (drive.failure === undefined) await drive.run(() => removeIfThere(world, path))
    }
  }

  /** Begins a shard in a file of its own. */
  async begin(description: ShardDescription): Promise<ShardWriter> {
    const { drive, world, secret } = this.#parts
    this.#drafts += 1
    const draft = `${this.#root}/tmp/${this.#drafts}`
    const made = await this.#orFail(drive.run(() => this.#newFile(draft)))
    const refused = (): void => {
      this.#inBlocks = false
    }
    const parts = { ...{ drive, world, draft, secret, refused }, ...made }
    return new BigWriter(description, parts, () => this.#publish(draft, description.id))
  }

  async #newFile(draft: string): Promise<{ file: DiskFile; inBlocks: boolean }> {
    const { world } = this.#parts
    if (this.#inBlocks) {
      try {
        return { file: inBlocks(await world.disk.openDirect!(draft)), inBlocks: true }
      } catch (error) {
        if (!refusesBlocks(error)) throw error
        this.#inBlocks = false
        await removeIfThere(world, draft) // Linux refuses it when it is made.
      }
    }
    return { file: await world.disk.open(draft, 'create'), inBlocks: false }
  }

  /** Opens a shard for reading. */
  async open(id: ShardId): Promise<BigOpened> {
    const held = await this.#open.hold(nameOf(id))
    if (held.kind !== 'found') return held
    return { kind: 'found', header: held.header, reader: this.#readerOf(id, held) }
  }

  /** As open(), of a shard that is open and was looked at a moment ago. */
  openAtHand(id: ShardId): ShardReader | undefined {
    const held = this.#open.holdAtHand(nameOf(id))
    return held === undefined ? undefined : this.#readerOf(id, held)
  }

  #readerOf(id: ShardId, held: HeldShard): ShardReader {
    const { drive, cells, secret } = this.#parts
    const { file } = held
    const read: ReadAt = (target, position) => drive.attempt(() => file.read([target], position))
    return bigReader(held, { id, cells, read, secret })
  }

  /** Removes a shard; false when there was none. */
  async remove(id: ShardId): Promise<boolean> {
    const { drive, world } = this.#parts
    try {
      return await drive.run(() => removeIfThere(world, this.#pathOf(id)))
    } finally {
      this.#open.forget(nameOf(id))
    }
  }

  /** Lets all files go. */
  async close(): Promise<void> {
    await this.#open.close()
  }

  /** The headers of all large shards, in no order. Damaged ones are left out. */
  async *scan(): AsyncGenerator<ShardDescription> {
    for await (const ids of this.list()) {
      for (const id of ids) {
        const opened = await this.open(id)
        if (opened.kind !== 'found') continue
        await opened.reader.close()
        yield opened.header.description
      }
    }
  }

  /** The names of all large shards, a directory at a time. */
  async *list(): AsyncGenerator<readonly ShardId[]> {
    for (const directory of await this.#list('', /^[0-9a-f]{2}$/)) {
      const names = await this.#list(directory, /^[0-9a-f]{32}\.\d+\.\d+$/)
      if (names.length > 0) yield names.map(parseName)
    }
  }

  get #root(): string {
    return `${this.#parts.drive.path}/big`
  }

  #pathOf(id: ShardId): string {
    return `${this.#root}/${directoryOf(id)}/${nameOf(id)}`
  }

  async #list(under: string, pattern: RegExp): Promise<string[]> {
    const { drive, world } = this.#parts
    const names = await drive.run(() => world.disk.list(`${this.#root}/${under}`))
    return names.filter((name) => pattern.test(name)).sort()
  }

  /** Gives a synced draft its name, durably. */
  async #publish(draft: string, id: ShardId): Promise<void> {
    const { drive, world } = this.#parts
    const directory = directoryOf(id)
    await this.#makeDirectory(directory)
    await this.#orFail(drive.run(() => world.disk.rename(draft, this.#pathOf(id))))
    this.#open.forget(nameOf(id))
    await this.#syncs.sync(`${this.#root}/${directory}`)
  }

  /** Makes a directory if need be, and its entry durable even if another shard made it and is not done yet. */
  async #makeDirectory(name: string): Promise<void> {
    const { drive, world } = this.#parts
    if (this.#durable.has(name)) return
    const path = `${this.#root}/${name}`
    try {
      await this.#orFail(drive.run(() => world.disk.makeDirectory(path)))
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error
    }
    await this.#syncs.sync(this.#root)
    this.#durable.add(name)
  }

  /** A directory of ours that is gone has taken shards with it, and one that takes no files gets none: the drive has failed. */
  async #orFail<T>(operation: Promise<T>): Promise<T> {
    try {
      return await operation
    } catch (error) {
      if (!saysDirectoryIsLost(error)) throw error
      this.#parts.drive.fail(error)
      throw new DriveUnavailable(this.#parts.drive.id, 'failed', { cause: error })
    }
  }

  async #openFile(id: ShardId): Promise<ShardFileOpened> {
    const { drive, world } = this.#parts
    const file = await drive.run(() => unlessMissing(world.disk.open(this.#pathOf(id), 'read')))
    if (file === undefined) return { kind: 'missing' }
    const header = await this.#readHeader(file, id).catch(async (error) => {
      await file.close()
      throw error
    })
    if (header !== undefined) return { kind: 'found', file, header }
    await file.close()
    return { kind: 'corrupt', detail: 'the header is damaged or can not be read' }
  }

  async #readHeader(file: DiskFile, id: ShardId): Promise<RecordHeader | undefined> {
    const { drive, secret } = this.#parts
    let bytes = Buffer.allocUnsafe(4096)
    for (;;) {
      const target = bytes
      const count = await drive.attempt(() => file.read([target], 0))
      if (count === 'medium-error') return undefined
      const parsed = parseHeader(target.subarray(0, count), secret, OWN_FILE)
      if (parsed.kind === 'header') return isOf(id, parsed.header) ? parsed.header : undefined
      if (parsed.kind === 'none' || count < target.length) return undefined
      assert(
        parsed.bytes <= MAX_HEADER_BYTES && parsed.bytes > bytes.length,
        'a header has a limit',
      )
      bytes = Buffer.allocUnsafe(parsed.bytes)
    }
  }
}

interface BigWriterParts {
  drive: Drive
  world: Pick<World, 'disk'>
  file: DiskFile
  draft: string
  secret: bigint
  inBlocks: boolean
  /** The file system takes no such writes after all: this shard fails, and the next ones go without. */
  refused(): void
}

class BigWriter implements ShardWriter {
  readonly #parts: BigWriterParts
  readonly #publish: () => Promise<void>
  readonly #id: ShardId
  readonly #layout: RecordLayout
  readonly #seed: bigint
  readonly #header: Uint8Array
  readonly #trailers: Buffer
  #cells = 0
  #state: 'open' | 'closed' | 'committed' = 'open'

  constructor(description: ShardDescription, parts: BigWriterParts, publish: () => Promise<void>) {
    this.#parts = parts
    this.#publish = publish
    this.#id = description.id
    this.#layout = layoutShard(description)
    this.#seed = shardSeed(description.id)
    this.#header = Buffer.alloc(this.#layout.headerBytes)
    encodeHeader(this.#header, description, this.#layout)
    this.#trailers = Buffer.alloc(this.#layout.cellCount * TRAILER_BYTES)
  }

  async write(cell: Uint8Array): Promise<void> {
    await this.writeRun([cell])
  }

  /** All of it by one write; the tail of the shard goes with its last cell. */
  async writeRun(cells: readonly Uint8Array[]): Promise<void> {
    assert(this.#state === 'open', 'nothing is written after commit or abort')
    const position = cellOffset(this.#layout, this.#cells)
    const buffers = cells.flatMap((cell) => [cell, this.#trailerOf(cell)])
    if (this.#cells === this.#layout.cellCount) {
      buffers.push(encodeTail(this.#id, this.#layout, this.#trailers))
      if (this.#parts.inBlocks) buffers.push(blockPadding(this.#layout.recordBytes))
    }
    await this.#writeAt(position, buffers)
  }

  /** The trailer of the next cell. */
  #trailerOf(cell: Uint8Array): Uint8Array {
    const index = this.#cells
    assert(cell.length === cellLength(this.#layout, index), 'a cell is as long as its shard says')
    this.#cells += 1
    const trailer = this.#trailers.subarray(index * TRAILER_BYTES, (index + 1) * TRAILER_BYTES)
    encodeTrailer(trailer, { seed: this.#seed, index, bytes: cell })
    return trailer
  }

  async commit(metadata?: Uint8Array): Promise<void> {
    const { drive, file, secret } = this.#parts
    assert(this.#state === 'open', 'a shard is committed once')
    assert(this.#cells === this.#layout.cellCount, 'a shard that is committed has all its cells')
    if (metadata) replaceMetadata(this.#header, metadata)
    stampHeader(this.#header, { secret, place: OWN_FILE, groupOffset: 0 })
    await this.#writeAt(0, [this.#header])
    await drive.syncDraft(file)
    await this.#publish()
    this.#state = 'committed'
    await file.close()
  }

  async abort(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    const { drive, world, file, draft } = this.#parts
    await file.close()
    if (drive.failure !== undefined) return
    try {
      // It may have been renamed already.
      await drive.run(() => removeIfThere(world, draft))
    } catch (error) {
      // The drive failed just now: what is left is removed at the next start.
      if (!(error instanceof DriveUnavailable)) throw error
    }
  }

  /** An error of the medium fails the drive (docs/decisions/0009): what has passed can not be written elsewhere. */
  async #writeAt(position: number, buffers: Uint8Array[]): Promise<void> {
    const { drive, file, inBlocks, refused } = this.#parts
    if (!inBlocks) return await drive.run(() => file.write(buffers, position))
    try {
      await drive.writeDirect(file, buffers, position)
    } catch (error) {
      if (refusesBlocks(error)) refused()
      throw error
    }
  }
}

function bigReader(
  held: HeldShard,
  source: { id: ShardId; cells: CellReads; read: ReadAt; secret: bigint },
): ShardReader {
  const { id, cells, read, secret } = source
  const from: CellSource = { id, layout: held.header.layout, offset: 0, read }
  let closed = false
  return {
    readCell: async (index, target) => {
      const found = await cells.read(from, index, target)
      return found === 'gone' ? { kind: 'missing' } : found
    },
    readRun: (first, count) => cells.readRun(from, first, count),
    describe: async () => {
      if (!(await held.isThere())) return { kind: 'missing' }
      const found = await readFrame(from, { secret, place: OWN_FILE })
      return found === 'gone' ? { kind: 'missing' } : found
    },
    close: () => {
      if (closed) return undefined
      closed = true
      return held.close()
    },
  }
}

// Two digits of the time in a uid, which change every 17 minutes and come again after three days: shards of the same time share the
// sync of their directory, and 256 directories fill evenly over time.
function directoryOf(id: ShardId): string {
  return id.uid.slice(5, 7)
}

function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid}.${part}.${slot}`
}

function parseName(name: string): ShardId {
  const [uid, part, slot] = name.split('.')
  return { uid: uid as ShardId['uid'], part: Number(part), slot: Number(slot) }
}

function isOf(id: ShardId, header: RecordHeader): boolean {
  return nameOf(header.description.id) === nameOf(id)
}
