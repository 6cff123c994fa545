// What a storage node does for others: their requests become calls of its StorageNode, and its answers bytes.
import { kibibytes } from '../../kit/bytes.ts'
import { CELL_BYTES } from '../../kit/erasure-code.ts'
import { giveBack, LentMemory } from '../../kit/lent-bytes.ts'
import type { Log } from '../../kit/log.ts'
import { type Periodic, repeat } from '../../kit/periodic.ts'
import { Semaphore } from '../../kit/semaphore.ts'
import type { Clock } from '../../kit/world.ts'
import type {
  CellRead,
  ShardDescription,
  ShardOpened,
  ShardReader,
  ShardWriter,
  StorageNode,
} from '../contract.ts'
import { FieldReader } from './fields.ts'
import { FrameKind } from './frames.ts'
import { MessageType } from './messages.ts'
import {
  type MessageHandler,
  type NodeService,
  type RequestContext,
  type StreamContext,
  WRITE_SHARD_PATH,
} from './node-service.ts'
import { OpenReaders } from './open-readers.ts'
import {
  type BeginRequest,
  type CellRequest,
  decodeBegin,
  decodeCell,
  decodeDeletion,
  decodeDrive,
  decodePut,
  decodeReader,
  decodeShard,
  encodeCellRead,
  encodeDescribed,
  encodeMoment,
  encodeOpened,
  type ReaderRequest,
} from './shard-messages.ts'
import { BadMessage } from './trouble.ts'

// A drive has 8 operations under way at once; this many of its cells are a sixteenth of the room for answers.
const READS_OF_DRIVE = 64
const READERS_MAX = 512
// A reader that is in use asks for its next cell before that: what is left belongs to one that is gone.
const READER_IDLE_MS = 60_000
const NOTHING = new Uint8Array(0)

// Plain memory: a drive that fails leaves many to the garbage collector, and each memory of WebAssembly has 10 GiB of addresses.
const cells = new LentMemory({ slotBytes: CELL_BYTES, maxSpare: 32 })

/** Serves the shards of a node. */
export class ShardService implements NodeService {
  readonly messages: ReadonlyMap<number, MessageHandler>
  readonly streams = new Map([[WRITE_SHARD_PATH, (context: StreamContext) => this.#write(context)]])
  readonly #node: StorageNode
  readonly #clock: Clock
  readonly #readers = new OpenReaders(READERS_MAX)
  /** Reads of cells under way, by drive. */
  readonly #reads = new Map<number, Semaphore>()
  readonly #closingIdle: Periodic

  constructor(node: StorageNode, { clock, log }: { clock: Clock; log: Log }) {
    this.#node = node
    this.#clock = clock
    this.messages = new Map<number, MessageHandler>([
      [MessageType.ProbeRoom, (body) => this.#probe(body)],
      [MessageType.PutShard, (body, context) => this.#put(body, context)],
      [MessageType.DeleteShard, (body) => this.#delete(body)],
      [MessageType.OpenShard, (body, context) => this.#open(body, context)],
      [MessageType.ReadCell, (body, context) => this.#read(body, context)],
      [MessageType.DescribeShard, (body, context) => this.#describe(body, context)],
      [MessageType.CloseShard, (body, context) => this.#close(body, context)],
      [MessageType.MomentOnDrive, (body) => this.#moment(body)],
      [MessageType.DeleteUntouched, (body) => this.#deleteUntouched(body)],
      [MessageType.KeepShard, (body) => this.#keep(body)],
      [MessageType.ReadSingle, (body, context) => this.#readSingle(body, context)],
    ])
    this.#closingIdle = repeat(
      'readers of other nodes',
      READER_IDLE_MS,
      () => this.#readers.closeIdle(clock.monotonicMs() - READER_IDLE_MS),
      { clock, log },
    )
  }

  /** Lets go of what others were reading. The server is closed before. */
  async close(): Promise<void> {
    await this.#closingIdle.stop()
    await this.#readers.closeIdle(Number.POSITIVE_INFINITY)
  }

  /** Begins the shard and gives it up: what beginShard() throws is the answer. */
  async #probe(body: Uint8Array): Promise<Uint8Array> {
    const { driveId, description, use } = decodeBegin(body)
    const writer = await this.#node.beginShard(driveId, description, use)
    await writer.abort()
    return NOTHING
  }

  async #put(body: Uint8Array, context: RequestContext): Promise<Uint8Array> {
    const { driveId, description, use, bytes } = decodePut(body)
    const writer = await this.#node.beginShard(driveId, description, use)
    await orAbort(writer, async () => {
      for (let at = 0; at < bytes.length; at += description.cellBytes) {
        await writer.write(bytes.subarray(at, at + description.cellBytes))
      }
      context.checkDeadline()
      await writer.commit()
    })
    giveBack(body)
    return NOTHING
  }

  async #delete(body: Uint8Array): Promise<Uint8Array> {
    const { driveId, id } = decodeShard(body)
    await this.#node.deleteShard(driveId, id)
    return NOTHING
  }

  async #moment(body: Uint8Array): Promise<Uint8Array> {
    return encodeMoment(await this.#node.momentOn(decodeDrive(body)))
  }

  async #deleteUntouched(body: Uint8Array): Promise<Uint8Array> {
    const { driveId, id, since } = decodeDeletion(body)
    return Uint8Array.of(Number(await this.#node.deleteUntouched(driveId, id, since)))
  }

  async #keep(body: Uint8Array): Promise<Uint8Array> {
    const { driveId, id } = decodeShard(body)
    await this.#node.keepShard(driveId, id)
    return NOTHING
  }

  async #open(body: Uint8Array, context: RequestContext): Promise<Uint8Array> {
    const request = decodeReader(body)
    const opened = await this.#reading(request, context, async () => ({ kind: 'found' as const }))
    return encodeOpened(opened)
  }

  async #read(body: Uint8Array, context: RequestContext): Promise<readonly Uint8Array[]> {
    const request = decodeCell(body)
    return await this.#readInto(request, context, (target) =>
      this.#reading(request, context, (reader) => reader.readCell(request.index, target)),
    )
  }

  async #readSingle(body: Uint8Array, context: RequestContext): Promise<readonly Uint8Array[]> {
    const request = decodeCell(body)
    const { driveId, id, index } = request
    return await this.#readInto(request, context, async (target) => {
      const atHand = this.#node.openAtHand?.(driveId, id)
      const opened: ShardOpened =
        atHand === undefined
          ? await this.#node.openShard(driveId, id)
          : { kind: 'found', reader: atHand }
      if (opened.kind !== 'found') return opened
      try {
        return await opened.reader.readCell(index, target)
      } finally {
        await opened.reader.close()
      }
    })
  }

  /** Reads a cell into memory that is lent. */
  async #readInto(
    { driveId }: CellRequest,
    context: RequestContext,
    read: (target: Uint8Array) => Promise<CellRead>,
  ): Promise<readonly Uint8Array[]> {
    const leave = await this.#enterDrive(driveId, context)
    try {
      await context.holdAnswer(CELL_BYTES)
      context.checkDeadline()
      // Where reading fails it is left alone: something may be writing to it still.
      const target = cells.take().lend(0, CELL_BYTES)
      return encodeCellRead(await read(target), target)
    } finally {
      leave()
    }
  }

  /** A drive that hangs shall not take the room for the answers of all others. */
  async #enterDrive(driveId: number, { signal }: RequestContext): Promise<() => void> {
    const places = this.#reads.get(driveId) ?? new Semaphore(READS_OF_DRIVE)
    this.#reads.set(driveId, places)
    await places.acquire(1, signal)
    return () => {
      places.release()
      if (places.free === READS_OF_DRIVE) this.#reads.delete(driveId)
    }
  }

  async #describe(body: Uint8Array, context: RequestContext): Promise<Uint8Array> {
    const request = decodeReader(body)
    await context.holdAnswer(kibibytes(64))
    return encodeDescribed(await this.#reading(request, context, (reader) => reader.describe()))
  }

  async #close(body: Uint8Array, context: RequestContext): Promise<Uint8Array> {
    await this.#readers.close(nameReader(decodeReader(body), context))
    return NOTHING
  }

  #reading<Result>(
    request: ReaderRequest,
    context: RequestContext,
    work: (reader: ShardReader) => Promise<Result>,
  ): Promise<Result | { kind: 'missing' } | { kind: 'corrupt'; detail: string }> {
    const { driveId, id } = request
    const nowMs = this.#clock.monotonicMs()
    const open = () => this.#node.openShard(driveId, id)
    return this.#readers.use(nameReader(request, context), nowMs, open, work)
  }

  /** A shard that comes cell by cell: Begin, Data …, Commit. What ends before its Commit is thrown away. */
  async #write(context: StreamContext): Promise<void> {
    const { driveId, description, use } = await readBeginning(context)
    const writer = await this.#node.beginShard(driveId, description, use)
    await orAbort(writer, async () => {
      await context.answer(FrameKind.Begun)
      const metadata = await writeCells(writer, description, context)
      context.checkDeadline()
      await writer.commit(metadata)
    })
    await context.answer(FrameKind.Done)
  }
}

async function readBeginning({ frames }: StreamContext): Promise<BeginRequest> {
  const first = await frames.next()
  if (first.done) throw new BadMessage('nothing is begun')
  try {
    if (first.value.kind !== FrameKind.Begin) throw new BadMessage('nothing is begun')
    return decodeBegin(first.value.payload)
  } finally {
    first.value.done()
  }
}

/** Writes all cells that come. Returns once the end has come behind the commit: with other metadata, if it brought some. */
async function writeCells(
  writer: ShardWriter,
  description: ShardDescription,
  context: StreamContext,
): Promise<Uint8Array | undefined> {
  const { cellBytes, shardBytes } = description
  let leftBytes = shardBytes
  let commit: Uint8Array | undefined
  for await (const frame of context.frames) {
    try {
      const fields = new FieldReader(frame.payload)
      context.extendDeadline(fields.u64())
      const bytes = fields.rest()
      if (commit !== undefined) throw new BadMessage('something follows the commit')
      if (frame.kind === FrameKind.Commit && leftBytes === 0) commit = Uint8Array.from(bytes)
      else if (frame.kind === FrameKind.Data && bytes.length === Math.min(cellBytes, leftBytes)) {
        await writer.write(bytes)
        leftBytes -= bytes.length
        giveBack(frame.payload)
      } else throw new BadMessage('this is neither the next cell nor the commit')
    } finally {
      // What failed counts no longer than what was written: all exchanges of the node share that room.
      frame.done()
    }
  }
  if (commit === undefined) throw new BadMessage('the commit did not come')
  if (commit.length === 0) return undefined
  if (commit.length !== description.metadata.length) throw new BadMessage('metadata has grown')
  return commit
}

async function orAbort(writer: ShardWriter, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    await writer.abort().catch(() => undefined) // The first error is the one that explains it.
    throw error
  }
}

/** Readers are the asker's own: whatever numbers it chooses, it meets nobody else's. */
function nameReader({ driveId, id, reader }: ReaderRequest, { from }: RequestContext): string {
  return `${from} ${reader} ${driveId} ${id.uid}.${id.part}.${id.slot}`
}
