// One end of the link between the process that has the store and a worker: frames go out and come in.
import type { Duplex } from 'node:stream'
import { kibibytes } from '../kit/bytes.ts'
import { giveBack } from '../kit/lent-bytes.ts'
import type { Clock } from '../kit/world.ts'
import { FrameKind, FrameSplitter, frameHead } from './frames.ts'
import type { LinkMemory } from './link-memory.ts'
import { Outbox } from './outbox.ts'
import { readValue, writeValue } from './values.ts'

/** Hears what comes. */
export interface ChannelListener {
  onFrame(kind: number, id: number, payload: Buffer): void
  onBytes(id: number, bytes: Uint8Array): void
  /** Nothing comes any more, and nothing that is sent arrives. */
  onEnd(): void
}

// Small enough that a large body does not keep small calls waiting.
const SLICE_BYTES = kibibytes(256)

const NOTHING = Buffer.alloc(0)
/** Of the length of a value before bytes. */
const LENGTH_BYTES = 4

/** The value and the bytes in a frame of sendWithBytes(). */
export function readValueAndBytes(payload: Buffer): { value: unknown; bytes: Buffer } {
  const begin = LENGTH_BYTES + payload.readUInt32LE(0)
  return { value: readValue(payload.subarray(LENGTH_BYTES, begin)), bytes: payload.subarray(begin) }
}

/** One end. */
export class Channel {
  readonly #stream: Duplex
  readonly #outbox: Outbox

  /** `memory`: what the stream reads into, where it does not give what it read as data. */
  constructor(
    stream: Duplex,
    listener: ChannelListener,
    { clock, memory }: { clock: Clock; memory?: LinkMemory },
  ) {
    this.#stream = stream
    this.#outbox = new Outbox(stream, clock)
    const splitter = new FrameSplitter(listener)
    if (memory === undefined) stream.on('data', (bytes: Buffer) => splitter.take(bytes))
    else memory.readBy((bytes, lender) => splitter.take(bytes, lender))
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      listener.onEnd()
    }
    stream.once('close', end)
    // What follows is close.
    stream.on('error', () => {})
    // At once: who answers by what the other end said may do so no more.
    stream.on('end', () => {
      end()
      stream.destroy()
    })
  }

  /** Sends a frame with a value. */
  send(kind: number, id: number, value?: unknown): void {
    const payload = value === undefined ? NOTHING : writeValue(value)
    this.#outbox.push(frameHead(kind, id, payload.length))
    if (payload.length > 0) this.#outbox.push(payload)
  }

  /** Sends a frame with a value and bytes that nobody changes any more; they are given back. */
  sendWithBytes(kind: number, id: number, value: unknown, bytes: Uint8Array): void {
    const payload = writeValue(value)
    this.#outbox.push(frameHead(kind, id, LENGTH_BYTES + payload.length + bytes.length))
    this.#outbox.push(lengthOf(payload))
    this.#outbox.push(payload)
    this.#pushLast(bytes)
  }

  /** Sends a frame of bytes that nobody changes any more; they are given back. */
  sendWhole(kind: number, id: number, bytes: Uint8Array): void {
    this.#outbox.push(frameHead(kind, id, bytes.length))
    this.#pushLast(bytes)
  }

  /** Sends bytes, slice by slice, as many at once as `mayPass` says; resolves when they are on their way and may be used again. */
  async sendBytes(
    id: number,
    bytes: Uint8Array,
    mayPass: (bytes: number) => Promise<number> | number,
  ): Promise<void> {
    let at = 0
    while (at < bytes.length) {
      const passing = await mayPass(Math.min(SLICE_BYTES, bytes.length - at))
      const slice = bytes.subarray(at, at + passing)
      at += passing
      await new Promise<void>((resolve) => {
        this.#outbox.push(frameHead(FrameKind.Bytes, id, slice.length))
        // Rejected or not: who waits hears of the end of the channel elsewhere.
        this.#outbox.push(slice, () => resolve())
      })
    }
  }

  /**
   * Likewise bytes that nobody changes any more. Resolves as soon as all of them may pass: what waits for the kernel is bounded by
   * that. They are given back when the kernel has them.
   */
  async passBytes(
    id: number,
    bytes: Uint8Array,
    mayPass: (bytes: number) => Promise<number> | number,
  ): Promise<void> {
    let at = 0
    while (at < bytes.length) {
      const taken = mayPass(Math.min(SLICE_BYTES, bytes.length - at))
      const passing = typeof taken === 'number' ? taken : await taken
      const slice = passing === bytes.length ? bytes : bytes.subarray(at, at + passing)
      at += passing
      this.#outbox.push(frameHead(FrameKind.Bytes, id, slice.length))
      // The kernel takes them in their order.
      if (at < bytes.length) this.#outbox.push(slice)
      else this.#outbox.push(slice, (error) => !error && giveBack(bytes))
    }
  }

  #pushLast(bytes: Uint8Array): void {
    this.#outbox.push(bytes, (error) => !error && giveBack(bytes))
  }

  /** Breaks it off. */
  close(): void {
    this.#stream.destroy()
  }
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  const length = Buffer.allocUnsafe(LENGTH_BYTES)
  length.writeUInt32LE(bytes.length, 0)
  return length
}
