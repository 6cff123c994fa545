// The CRC32 of exactly the bytes of a range, for clients that ask for checksums: they verify it without knowing that
// AWS sends none. It stands in the head, so the bytes are read before the head goes out, and held until they are sent.
import { newDigest } from '../../../digest/digest.ts'
import { asBuffer, mebibytes } from '../../../kit/bytes.ts'
import type { Checksum } from '../../../objects/object-store.ts'
import { processBound } from '../../process-bounds.ts'

/** Twice the ranges of boto3, the AWS CLI and the CRT client. Longer ones go out without a checksum. */
const CHECKED_BYTES_MAX = mebibytes(16)

// Nobody waits for it: when it is used up, ranges go out without.
const budget = processBound({ permits: mebibytes(64), permitsMin: CHECKED_BYTES_MAX })

/** Bytes that were read, and their checksum. They must be read to their end or given up by return(). */
export interface CheckedBytes {
  checksum: Checksum
  chunks: AsyncIterable<Uint8Array>
}

/** Reads `chunks`, which are `bytes` long; undefined when they are too many now, and nothing was read. */
export async function checkBytes(
  chunks: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<CheckedBytes | undefined> {
  if (bytes > CHECKED_BYTES_MAX || bytes > budget.free) return undefined
  await budget.acquire(bytes)
  try {
    const digest = newDigest('CRC32')
    const held: Uint8Array[] = []
    for await (const chunk of chunks) {
      digest.update(chunk)
      held.push(chunk)
    }
    const value = asBuffer(digest.digest()).toString('base64')
    const checksum = { algorithm: 'CRC32', type: 'FULL_OBJECT', value } as const
    return { checksum, chunks: new HeldChunks(held, bytes) }
  } catch (error) {
    budget.release(bytes)
    throw error
  }
}

/** Chunks that are let go of when the next one is asked for, and all when they are given up, begun or not. */
class HeldChunks implements AsyncIterableIterator<Uint8Array> {
  readonly #chunks: Uint8Array[]
  /** Of the budget. */
  #bytes: number
  #sent = 0

  constructor(chunks: Uint8Array[], bytes: number) {
    this.#chunks = chunks
    this.#bytes = bytes
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.#chunks.shift()
    if (value === undefined) return await this.return()
    this.#release(this.#sent)
    this.#sent = value.length
    return { done: false, value }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#chunks.length = 0
    this.#release(this.#bytes)
    return { done: true, value: undefined }
  }

  #release(bytes: number): void {
    this.#bytes -= bytes
    budget.release(bytes)
  }
}
