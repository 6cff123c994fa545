// Reads the cells of a shard of another node. The shard stays open there between two cells, as long as it likes to.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import { giveBack } from '../../kit/lent-bytes.ts'
import type { CellRead, ShardDescribed, ShardReader } from '../contract.ts'
import { MessageType } from './messages.ts'
import {
  decodeCellRead,
  decodeDescribed,
  decodeLentCell,
  encodeCell,
  encodeReader,
  type ReaderRequest,
} from './shard-messages.ts'

/** Asks a request that changes nothing. Throws DriveUnavailable. */
export type AskForShard = (type: number, body: Uint8Array) => Promise<Uint8Array>

/** A reader of another node. */
export class RemoteReader implements ShardReader {
  readonly #request: ReaderRequest
  readonly #ask: AskForShard
  readonly #isSingle: boolean
  /** Something was asked that the other node may keep open for us. */
  #isHeld: boolean

  /** `isSingle`: it has one cell, and the other node has not opened it. Otherwise it has. */
  constructor(request: ReaderRequest, ask: AskForShard, { isSingle }: { isSingle: boolean }) {
    this.#request = request
    this.#ask = ask
    this.#isSingle = isSingle
    this.#isHeld = !isSingle
  }

  async describe(): Promise<ShardDescribed> {
    this.#isHeld = true
    const answer = await this.#ask(MessageType.DescribeShard, encodeReader(this.#request))
    return this.#decode(() => decodeDescribed(answer))
  }

  async readCell(index: number, target: Uint8Array): Promise<CellRead> {
    const answer = await this.#askCell(index)
    const read = this.#decode(() => decodeCellRead(answer, target))
    giveBack(answer)
    return read
  }

  /** In the memory in which they came. */
  async readRun(first: number, count: number): Promise<readonly Uint8Array[] | undefined> {
    const reads = Array.from({ length: count }, (_, at) => this.#readLent(first + at))
    const outcomes = await Promise.allSettled(reads)
    const cells = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' && outcome.value ? [outcome.value] : [],
    )
    if (cells.length === count) return cells
    cells.forEach(giveBack)
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    return undefined
  }

  /** Nobody waits for it: what the other node does not hear of, it closes by itself. */
  close(): undefined {
    if (!this.#isHeld) return undefined
    this.#isHeld = false
    this.#ask(MessageType.CloseShard, encodeReader(this.#request)).catch(() => undefined)
    return undefined
  }

  async #readLent(index: number): Promise<Uint8Array | undefined> {
    const answer = await this.#askCell(index)
    return this.#decode(() => decodeLentCell(answer))
  }

  #askCell(index: number): Promise<Uint8Array> {
    const body = encodeCell({ ...this.#request, index })
    if (this.#isSingle && !this.#isHeld) return this.#ask(MessageType.ReadSingle, body)
    this.#isHeld = true
    return this.#ask(MessageType.ReadCell, body)
  }

  #decode<T>(decode: () => T): T {
    try {
      return decode()
    } catch (cause) {
      throw new DriveUnavailable(this.#request.driveId, 'failed', { cause })
    }
  }
}
