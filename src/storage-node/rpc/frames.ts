// Frames: the bodies of requests and answers between nodes, tagged one by one. Layout: docs/formats/node-protocol.md.
// Nothing of a frame is given to anybody before its tag was found right; none can be left out, repeated or moved.
import { FRAME_TAG_BYTES, FrameSeal, isSameCode } from '../../digest/message-auth.ts'
import { assert } from '../../kit/assert.ts'
import { asBuffer, kibibytes } from '../../kit/bytes.ts'
import { CELL_BYTES } from '../../kit/erasure-code.ts'
import { LentMemory, lendPart } from '../../kit/lent-bytes.ts'
import { BrokenFrames } from './trouble.ts'

/** Kinds of frames. Numbers are never reused. */
export const FrameKind = {
  /** The last one of its direction: what ends without it was cut off. */
  End: 0,
  /** One small request of a batch. */
  Message: 1,
  /** What became of one small request. */
  Answer: 2,
  /** Begins a stream: what it is about. */
  Begin: 3,
  /** The other end took up the stream. */
  Begun: 4,
  /** A cell of a shard, or names of shards. */
  Data: 5,
  /** The shard is complete and to be made durable. */
  Commit: 6,
  /** What was asked is done. */
  Done: 7,
  /** It is not, and why. */
  Failed: 8,
  /** Of the messages of an exchange only the first so many were taken up. */
  NoMore: 9,
} as const

/** A frame that was tagged by who has the key. */
export interface Frame {
  kind: number
  /** May be lent. */
  payload: Buffer
}

/** A frame whose memory counts until done() is called. */
export interface HeldFrame extends Frame {
  done(): void
}

const HEADER_BYTES = 8

/** What a frame has beside its payload. */
export const FRAME_OVERHEAD_BYTES = HEADER_BYTES + FRAME_TAG_BYTES

// Of a cell, and of what is about as long: memory for each by itself keeps the garbage collector busier than all else.
const slots = new LentMemory({ slotBytes: CELL_BYTES + kibibytes(1), maxSpare: 128 })
// What is much shorter would hold a slot for as long as anybody has it.
const LENT_BYTES_LEAST = kibibytes(64)

/** Memory for a frame, lent where it is long. */
function memoryFor(frameBytes: number): Buffer {
  if (!isLent(frameBytes)) return Buffer.allocUnsafe(frameBytes)
  return asBuffer(slots.take().lend(0, frameBytes))
}

function isLent(frameBytes: number): boolean {
  return frameBytes >= LENT_BYTES_LEAST && frameBytes <= slots.slotBytes
}

/** Makes the frames of one direction of one exchange, in order. */
export class FrameWriter {
  readonly #seal: FrameSeal

  constructor(key: Uint8Array) {
    this.#seal = new FrameSeal(key)
  }

  /** The next frame, with all of `payload` one after the other, in memory of its own: theirs may be reused at once. */
  frame(kind: number, ...payload: readonly Uint8Array[]): Buffer {
    return this.#fill(Buffer.allocUnsafe(frameBytesOf(payload)), kind, payload)
  }

  /** As frame(), for who gives it back when it was sent: it may be lent. */
  lentFrame(kind: number, ...payload: readonly Uint8Array[]): Buffer {
    return this.#fill(memoryFor(frameBytesOf(payload)), kind, payload)
  }

  #fill(frame: Buffer, kind: number, payload: readonly Uint8Array[]): Buffer {
    frame.writeUInt32LE(frame.length - FRAME_OVERHEAD_BYTES, 0)
    frame.writeUInt32LE(kind, 4)
    let at = HEADER_BYTES
    for (const part of payload) {
      frame.set(part, at)
      at += part.length
    }
    const tagged = frame.subarray(0, at)
    frame.set(this.#seal.nextTag(tagged), tagged.length)
    return frame
  }
}

function frameBytesOf(payload: readonly Uint8Array[]): number {
  return payload.reduce((sum, part) => sum + part.length, FRAME_OVERHEAD_BYTES)
}

/** Bounds the memory in which frames are collected, for all exchanges together. */
export interface FrameRoom {
  /** Resolves once there is room for a payload of so many bytes, with how to give it back; aborting the signal leaves the queue. */
  acquire(payloadBytes: number, signal?: AbortSignal): Promise<() => void>
  /** As acquire(), where there is room now and nobody waits for it: nothing is waited for. */
  tryAcquire?(payloadBytes: number): (() => void) | undefined
  /** Somebody waits for it. */
  readonly isShort?: boolean
}

/** For who has asked for what comes, and has bounded that. */
const ROOM_FOR_ALL: FrameRoom = { acquire: async () => () => {} }

/** Reads the frames of one direction of one exchange. Throws BrokenFrames at the first that is not right. */
export class FrameReader {
  readonly #seal: FrameSeal
  readonly #payloadBytesMax: number
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** A long frame as it comes. */
  #coming: { bytes: Buffer; filled: number } | undefined
  #receivedBytes = 0
  #isAwaiting = false

  constructor(key: Uint8Array, payloadBytesMax: number) {
    this.#seal = new FrameSeal(key)
    this.#payloadBytesMax = payloadBytesMax
  }

  /** Adds bytes as they came: they must not change any more. */
  push(bytes: Uint8Array): void {
    this.#receivedBytes += bytes.length
    this.#isAwaiting = false
    const more = this.#fillComing(asBuffer(bytes))
    if (more.length === 0) return
    this.#waiting.push(more)
    this.#waitingBytes += more.length
  }

  /** The payload of the frame that is coming, in bytes; undefined while that is not known. */
  get comingBytes(): number | undefined {
    if (this.#coming !== undefined) return this.#coming.bytes.length - FRAME_OVERHEAD_BYTES
    if (this.#waitingBytes < HEADER_BYTES) return undefined
    const bytes = this.#peek(HEADER_BYTES).readUInt32LE(0)
    if (bytes > this.#payloadBytesMax) throw new BrokenFrames('a frame is too long')
    return bytes
  }

  /** The next frame, if all of it is there. */
  next(): Frame | undefined {
    const payloadBytes = this.comingBytes
    if (payloadBytes === undefined) return undefined
    const bytes = this.#whole(payloadBytes + FRAME_OVERHEAD_BYTES)
    this.#isAwaiting = bytes === undefined
    if (bytes === undefined) return undefined
    const tagged = bytes.subarray(0, HEADER_BYTES + payloadBytes)
    if (!isSameCode(this.#seal.nextTag(tagged), bytes.subarray(tagged.length))) {
      throw new BrokenFrames('a frame was changed')
    }
    const kind = tagged.readUInt32LE(4)
    return { kind, payload: asBuffer(lendPart(bytes, HEADER_BYTES, tagged.length)) }
  }

  /** Whether bytes are left that are no whole frame. */
  get isBetweenFrames(): boolean {
    return this.#waitingBytes === 0 && this.#coming === undefined
  }

  /** Who reads waits for the rest of a frame of which the length is known. */
  get isAwaiting(): boolean {
    return this.#isAwaiting
  }

  /** All that came so far. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** All bytes of the next frame, once they are there. */
  #whole(total: number): Buffer | undefined {
    if (this.#coming === undefined) {
      if (this.#waitingBytes >= total) return this.#take(total)
      if (!isLent(total)) return undefined
      this.#coming = { bytes: memoryFor(total), filled: 0 }
      // None is left over: there are too few.
      for (const bytes of this.#waiting.splice(0)) this.#fillComing(bytes)
      this.#waitingBytes = 0
    }
    const { bytes, filled } = this.#coming
    if (filled < total) return undefined
    this.#coming = undefined
    return bytes
  }

  /** What of `more` belongs to the frame that is coming goes there; gives the rest. */
  #fillComing(more: Buffer): Buffer {
    if (this.#coming === undefined) return more
    const { bytes, filled } = this.#coming
    const count = more.copy(bytes, filled)
    this.#coming.filled += count
    return more.subarray(count)
  }

  #peek(count: number): Buffer {
    const first = this.#waiting[0]!
    if (first.length < count) this.#waiting = [Buffer.concat(this.#waiting)]
    return this.#waiting[0]!
  }

  #take(count: number): Buffer {
    assert(count <= this.#waitingBytes, 'no more is taken than there is')
    this.#waitingBytes -= count
    const first = this.#waiting[0]!
    if (first.length >= count) {
      this.#waiting[0] = first.subarray(count)
      if (first.length === count) this.#waiting.shift()
      return first.subarray(0, count)
    }
    const all = Buffer.concat(this.#waiting)
    this.#waiting = all.length === count ? [] : [all.subarray(count)]
    return all.subarray(0, count)
  }
}

/**
 * The frames in a body, up to and without the End. Throws BrokenFrames when that does not come, or is not the last. No more
 * is read while there is no room; who waits for that leaves with `signal`.
 */
export async function* readFrames(
  body: AsyncIterable<Uint8Array>,
  reader: FrameReader,
  room: FrameRoom = ROOM_FOR_ALL,
  signal?: AbortSignal,
): AsyncGenerator<HeldFrame> {
  let release: (() => void) | undefined
  let isEnded = false
  try {
    for await (const bytes of body) {
      reader.push(bytes)
      while (!isEnded && reader.comingBytes !== undefined) {
        release ??=
          room.tryAcquire?.(reader.comingBytes) ?? (await room.acquire(reader.comingBytes, signal))
        const frame = reader.next()
        if (frame === undefined) break
        const done = release
        release = undefined
        isEnded = frame.kind === FrameKind.End
        if (isEnded) done()
        else yield { done, ...frame }
      }
      if (isEnded && !reader.isBetweenFrames) throw new BrokenFrames('something follows the end')
    }
  } finally {
    release?.()
  }
  if (!isEnded) throw new BrokenFrames('the end did not come')
}
