// Frames between the process that has the store and its workers: length, kind, number of the call, payload.
// Both ends are the same program on the same machine, so nothing here is a format of its own.
import { assert } from '../kit/assert.ts'
import { asBuffer, kibibytes, mebibytes } from '../kit/bytes.ts'

/** What a frame is. Bytes come as they arrive; all others are whole, and hold a value but where bytes are named. */
export const FrameKind = {
  /** Worker: a Call. */
  Call: 1,
  /** Store: what the call gave. */
  Done: 2,
  /** Store: a ToldError. */
  Failed: 3,
  /** Worker: nobody waits for the call any more. */
  Abort: 4,
  /** Of a body, or of an object that is read. */
  Bytes: 5,
  /** Worker: the body is over, with its digests. */
  BodyEnd: 6,
  /** Worker: the body is not what the client claimed, or breaks off. */
  BodyBroken: 7,
  /** So many bytes more may be sent. */
  More: 8,
  /** Store: all buckets, as they are now. */
  Buckets: 9,
  /** Worker: it knows them. */
  BucketsHeard: 10,
  /** Store: a Welcome, the answer to Hello. */
  Welcome: 11,
  /** Worker, first of all: from now on it takes what comes. */
  Hello: 12,
  /** Store: names of objects of which the worker is to keep nothing. */
  Forget: 13,
  /** Worker: it keeps nothing of those that it was told first. */
  Forgotten: 14,
  /** Worker: a Call, and all of its body, of which it has the digests. */
  CallWithBody: 15,
  /** Store: the call gave these bytes. */
  DoneBytes: 16,
  /** Store: what the call gave, and bytes that belong to it. */
  DoneWithBytes: 17,
} as const

/** Bytes before the payload. */
const HEAD_BYTES = 9

// A page of a listing takes a megabyte or two.
const PAYLOAD_BYTES_MAX = mebibytes(256)

/** The beginning of a frame. */
export function frameHead(kind: number, id: number, payloadBytes: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head.writeUInt32LE(payloadBytes, 0)
  head.writeUInt8(kind, 4)
  head.writeUInt32LE(id, 5)
  return head
}

/** Hears what a FrameSplitter finds. */
export interface FrameListener {
  onFrame(kind: number, id: number, payload: Buffer): void
  /** A part of a frame of bytes, as it arrived. */
  onBytes(id: number, bytes: Uint8Array): void
}

/** Where the bytes of a chunk lie when they are not its receiver's to keep. */
export interface Lender {
  lend(from: number, to: number): Uint8Array
}

/** Shorter runs of bytes are copied: a view of them would keep all of the memory that was read into. */
const LENT_BYTES_MIN = kibibytes(32)

/** Finds the frames in what a socket gives. */
export class FrameSplitter {
  readonly #listener: FrameListener
  /** Of the chunk that is taken; undefined when that may be kept. */
  #lender: Lender | undefined
  #held: Buffer[] = []
  #heldBytes = 0
  #neededBytes = HEAD_BYTES
  /** Of the frame of bytes that is under way. */
  #bytesId = 0
  #bytesLeft = 0

  constructor(listener: FrameListener) {
    this.#listener = listener
  }

  /** The next bytes: they may be kept and are not changed, unless there is a lender. */
  take(chunk: Buffer, lender?: Lender): void {
    this.#lender = lender
    let rest = chunk
    if (this.#heldBytes > 0) {
      this.#hold(chunk)
      if (this.#heldBytes < this.#neededBytes) return
      rest = Buffer.concat(this.#held)
      this.#held = []
      this.#heldBytes = 0
      this.#lender = undefined
    }
    let at = 0
    while (at < rest.length) {
      const next = this.#bytesLeft > 0 ? this.#passBytes(rest, at) : this.#passFrame(rest, at)
      if (next === at) break
      at = next
    }
    if (at < rest.length) this.#hold(at === 0 ? rest : rest.subarray(at))
  }

  #hold(bytes: Buffer): void {
    this.#held.push(this.#lender === undefined ? bytes : Buffer.from(bytes))
    this.#heldBytes += bytes.length
  }

  #passBytes(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#bytesLeft)
    this.#bytesLeft -= end - at
    this.#listener.onBytes(this.#bytesId, this.#cut(chunk, at, end))
    return end
  }

  /** Where the next one begins; `at` when this one is not here yet. */
  #passFrame(chunk: Buffer, at: number): number {
    if (chunk.length - at < HEAD_BYTES) {
      this.#neededBytes = HEAD_BYTES
      return at
    }
    const payloadBytes = chunk.readUInt32LE(at)
    const kind = chunk.readUInt8(at + 4)
    const id = chunk.readUInt32LE(at + 5)
    assert(payloadBytes <= PAYLOAD_BYTES_MAX, 'a frame has a limit')
    const begin = at + HEAD_BYTES
    if (kind === FrameKind.Bytes) {
      this.#bytesId = id
      this.#bytesLeft = payloadBytes
      return begin
    }
    if (chunk.length - begin < payloadBytes) {
      this.#neededBytes = HEAD_BYTES + payloadBytes
      return at
    }
    const end = begin + payloadBytes
    const isBytes = kind === FrameKind.DoneBytes
    this.#listener.onFrame(
      kind,
      id,
      isBytes ? asBuffer(this.#cut(chunk, begin, end)) : this.#own(chunk.subarray(begin, end)),
    )
    return end
  }

  /** What is read of it may hold views of it. */
  #own(payload: Buffer): Buffer {
    return this.#lender === undefined ? payload : Buffer.from(payload)
  }

  #cut(chunk: Buffer, from: number, to: number): Uint8Array {
    if (this.#lender === undefined) return chunk.subarray(from, to)
    if (to - from < LENT_BYTES_MIN) return Buffer.from(chunk.subarray(from, to))
    return this.#lender.lend(from, to)
  }
}
