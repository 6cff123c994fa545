// Reads the cells of a shard of another node. The shard stays open there between two cells, as long as it likes to.
import { DriveUnavailable } from '../../kit/drive-unavailable.ts'
import { giveBack } from '../../kit/lent-bytes.ts'
import type { CellRead, ShardDescribed, ShardReader } from '../contract.ts'
import { MessageType } from './messages.ts'
import {
  decodeCellRead,
  decodeDescribed,
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
  #isClosed = false

  constructor(request: ReaderRequest, ask: AskForShard) {
    this.#request = request
    this.#ask = ask
  }

  async describe(): Promise<ShardDescribed> {
    const answer = await this.#ask(MessageType.DescribeShard, encodeReader(this.#request))
    return this.#decode(() => decodeDescribed(answer))
  }

  async readCell(index: number, target: Uint8Array): Promise<CellRead> {
    const answer = await this.#ask(MessageType.ReadCell, encodeCell({ ...this.#request, index }))
    const read = this.#decode(() => decodeCellRead(answer, target))
    giveBack(answer)
    return read
  }

  /** Nobody waits for it: what the other node does not hear of, it closes by itself. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ask(MessageType.CloseShard, encodeReader(this.#request)).catch(() => undefined)
  }

  #decode<T>(decode: () => T): T {
    try {
      return decode()
    } catch (cause) {
      throw new DriveUnavailable(this.#request.driveId, 'failed', { cause })
    }
  }
}
