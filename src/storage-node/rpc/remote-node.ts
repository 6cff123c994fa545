// The contract of a storage node, kept over the network: whoever writes and reads shards does not see where they lie.
// Whatever happens on the way is a drive that has failed, its `cause` says what; see docs/formats/node-protocol.md.
import { AssertionFailed, assert } from '../../kit/assert.ts'
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import type { World } from '../../kit/world.ts'
import type {
  DriveId,
  DriveMoment,
  ShardDescription,
  ShardId,
  ShardOpened,
  ShardReader,
  ShardWriter,
  StorageNode,
} from '../contract.ts'
import { cellLength, layoutShard, type RecordLayout } from '../segment/record-format.ts'
import { DriveRooms } from './drive-rooms.ts'
import { MessageType } from './messages.ts'
import type { AskedPeer } from './peer.ts'
import { type AskForShard, RemoteReader } from './remote-reader.ts'
import {
  type BeginRequest,
  decodeMoment,
  decodeOpened,
  encodeBegin,
  encodeDeletion,
  encodeDrive,
  encodePut,
  encodeReader,
  encodeShard,
  type ReaderRequest,
} from './shard-messages.ts'
import { ShardStream, type StreamWaits } from './shard-stream.ts'
import { NodeUnreachable } from './trouble.ts'

/** How long a stream waits for the other node (StreamWaits), and which shards are no streams. */
export interface RemoteNodeOptions extends Partial<StreamWaits> {
  /** Shards up to here are sent in one message, with others; larger ones are streams. */
  messageShardBytes?: number
}

const WAITS: StreamWaits = { stepMs: 30_000, stallMs: 10_000, silenceMs: 120_000 }
const MESSAGE_SHARD_BYTES = 128 * 1024

/** Shards on the drives of another node. */
export class RemoteNode implements StorageNode {
  readonly #peer: AskedPeer
  readonly #world: Pick<World, 'clock'>
  readonly #waits: StreamWaits
  readonly #messageShardBytes: number
  readonly #rooms: DriveRooms
  #readers = 0

  constructor(peer: AskedPeer, world: Pick<World, 'clock'>, options: RemoteNodeOptions = {}) {
    this.#peer = peer
    this.#world = world
    this.#waits = { ...WAITS, ...options }
    this.#messageShardBytes = options.messageShardBytes ?? MESSAGE_SHARD_BYTES
    this.#rooms = new DriveRooms(world)
  }

  async beginShard(
    driveId: DriveId,
    description: ShardDescription,
    use: 'data' | 'move' = 'data',
  ): Promise<ShardWriter> {
    const layout = layoutShard(description)
    const request = { driveId, description, use }
    const steps =
      description.shardBytes <= this.#messageShardBytes
        ? await this.#beginMessage(request)
        : await this.#beginStream(request)
    return new RemoteWriter(layout, steps)
  }

  hasRoom(driveId: DriveId, shardBytes: number, use: 'data' | 'move'): boolean {
    return this.#rooms.seemsToFit(driveId, shardBytes, use)
  }

  async openShard(driveId: DriveId, id: ShardId): Promise<ShardOpened> {
    const request = this.#nextReader(driveId, id)
    const ask = this.#askFor(driveId)
    const body = encodeReader(request)
    const answer = await ask(MessageType.OpenShard, body)
    const opened = await onDrive(driveId, async () => decodeOpened(answer))
    if (opened.kind !== 'found') return opened
    const reader = new RemoteReader(request, ask, { isSingle: false })
    return { kind: 'found', reader }
  }

  /** A shard of one cell: the other node opens it with what is read. Of longer ones it is known first whether they are there. */
  openAtHand(driveId: DriveId, id: ShardId, cellCount?: number): ShardReader | undefined {
    if (cellCount !== 1) return undefined
    const request = this.#nextReader(driveId, id)
    return new RemoteReader(request, this.#askFor(driveId), { isSingle: true })
  }

  async deleteShard(driveId: DriveId, id: ShardId): Promise<void> {
    const body = encodeShard({ driveId, id })
    await onDrive(driveId, () => this.#ask(`write ${driveId}`, MessageType.DeleteShard, body))
  }

  async momentOn(driveId: DriveId): Promise<DriveMoment> {
    const body = encodeDrive(driveId)
    return await onDrive(driveId, async () =>
      decodeMoment(await this.#askAgain(`write ${driveId}`, MessageType.MomentOnDrive, body)),
    )
  }

  async deleteUntouched(driveId: DriveId, id: ShardId, since: DriveMoment): Promise<boolean> {
    const body = encodeDeletion({ driveId, id, since })
    const lane = `write ${driveId}`
    return await onDrive(
      driveId,
      async () => (await this.#ask(lane, MessageType.DeleteUntouched, body))[0] === 1,
    )
  }

  async keepShard(driveId: DriveId, id: ShardId): Promise<void> {
    const body = encodeShard({ driveId, id })
    await onDrive(driveId, () => this.#ask(`write ${driveId}`, MessageType.KeepShard, body))
  }

  /**
   * A small shard: first a look whether it could be begun, unless that is plain from what came before; then all of it at once. Nothing of it
   * is kept there between.
   */
  async #beginMessage(request: BeginRequest): Promise<WriteSteps> {
    const { driveId, description } = request
    const lane = `write ${driveId}`
    if (!this.#rooms.surelyFits(driveId, description.shardBytes, request.use)) {
      const body = encodeBegin(request)
      await this.#noting(request, () => this.#ask(lane, MessageType.ProbeRoom, body))
    }
    const bytes = Buffer.allocUnsafe(description.shardBytes)
    let length = 0
    return {
      write: async (cell) => {
        bytes.set(cell, length)
        length += cell.length
      },
      commit: async (metadata) => {
        const described = Object.assign({}, description, metadata && { metadata })
        const body = encodePut(Object.assign({}, request, { description: described, bytes }))
        await this.#noting(request, () => this.#ask(lane, MessageType.PutShard, body))
        this.#rooms.noteTaken(driveId, description.shardBytes, request.use)
      },
      abort: () => {},
    }
  }

  #nextReader(driveId: DriveId, id: ShardId): ReaderRequest {
    this.#readers += 1
    return { driveId, id, reader: this.#readers }
  }

  #askFor(driveId: DriveId): AskForShard {
    return (type, body) => onDrive(driveId, () => this.#askAgain(`read ${driveId}`, type, body))
  }

  async #beginStream(request: BeginRequest): Promise<WriteSteps> {
    const { driveId } = request
    const parts = { waits: this.#waits, world: this.#world }
    const stream = await this.#noting(request, () =>
      ShardStream.open(this.#peer, encodeBegin(request), parts),
    )
    return {
      write: (cell) => onDrive(driveId, () => stream.write(cell)),
      commit: (metadata = new Uint8Array(0)) => onDrive(driveId, () => stream.commit(metadata)),
      abort: () => stream.abort(),
    }
  }

  /** Remembers drives that say that they are full, for hasRoom(), and those that may be in trouble. */
  async #noting<T>(
    { driveId, description, use }: BeginRequest,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await onDrive(driveId, work)
    } catch (error) {
      this.#rooms.doubt(driveId)
      if (error instanceof DriveUnavailable && error.trouble === 'full') {
        this.#rooms.noteFull(driveId, description.shardBytes, use)
      }
      throw error
    }
  }

  #ask(lane: string, type: number, body: Uint8Array): Promise<Uint8Array> {
    const deadlineMs = this.#peer.nowMs + this.#waits.stepMs
    return this.#peer.ask(lane, { type, body, deadlineMs })
  }

  /** For requests that change nothing: a connection that broke is no reason to give up, once. */
  async #askAgain(lane: string, type: number, body: Uint8Array): Promise<Uint8Array> {
    const deadlineMs = this.#peer.nowMs + this.#waits.stepMs
    const ask = (): Promise<Uint8Array> => this.#peer.ask(lane, { type, body, deadlineMs })
    try {
      return await ask()
    } catch (error) {
      const isWorthIt = error instanceof NodeUnreachable && error.outcome === 'unknown'
      if (!isWorthIt || this.#peer.nowMs >= deadlineMs) throw error
      return await ask()
    }
  }
}

interface WriteSteps {
  write(cell: Uint8Array): Promise<void>
  commit(metadata: Uint8Array | undefined): Promise<void>
  abort(): void
}

/** Holds callers to the contract of writers, as the stores of this process do. */
class RemoteWriter implements ShardWriter {
  readonly #layout: RecordLayout
  readonly #steps: WriteSteps
  #cells = 0
  #state: 'open' | 'closed' | 'committed' = 'open'

  constructor(layout: RecordLayout, steps: WriteSteps) {
    this.#layout = layout
    this.#steps = steps
  }

  async write(cell: Uint8Array): Promise<void> {
    assert(this.#state === 'open', 'nothing is written after commit or abort')
    const wanted = cellLength(this.#layout, this.#cells)
    assert(cell.length === wanted, 'a cell is as long as its shard says')
    this.#cells += 1
    await this.#steps.write(cell)
  }

  async commit(metadata?: Uint8Array): Promise<void> {
    assert(this.#state === 'open', 'a shard is committed once')
    assert(this.#cells === this.#layout.cellCount, 'a shard that is committed has all its cells')
    await this.#steps.commit(metadata)
    this.#state = 'committed'
  }

  async abort(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    this.#steps.abort()
  }
}

/** What the contract knows of trouble: a drive that can not be used, for the reason that is its cause. */
async function onDrive<T>(driveId: DriveId, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DriveUnavailable || error instanceof AssertionFailed) throw error
    throw new DriveUnavailable(driveId, 'failed', { cause: error })
  }
}
