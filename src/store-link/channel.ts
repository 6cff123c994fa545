// One end of the link between the process that has the store and a worker: frames go out and come in.
import type { Duplex } from 'node:stream'
import { deserialize, serialize } from 'node:v8'
import { kibibytes } from '../kit/bytes.ts'
import { giveBack } from '../kit/lent-bytes.ts'
import { FrameKind, FrameSplitter, frameHead } from './frames.ts'
import type { LinkMemory } from './link-memory.ts'

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

/** The value in a frame. */
export function readValue(payload: Buffer): unknown {
  return payload.length === 0 ? undefined : deserialize(payload)
}

/** One end. */
export class Channel {
  readonly #stream: Duplex
  #isCorked = false

  /** `memory`: what the stream reads into, where it does not give what it read as data. */
  constructor(stream: Duplex, listener: ChannelListener, memory?: LinkMemory) {
    this.#stream = stream
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
    const payload = value === undefined ? NOTHING : serialize(value)
    this.#cork()
    this.#stream.write(frameHead(kind, id, payload.length))
    if (payload.length > 0) this.#stream.write(payload)
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
        this.#cork()
        this.#stream.write(frameHead(FrameKind.Bytes, id, slice.length))
        // Rejected or not: who waits hears of the end of the channel elsewhere.
        this.#stream.write(slice, () => resolve())
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
      this.#cork()
      this.#stream.write(frameHead(FrameKind.Bytes, id, slice.length))
      // The kernel takes them in their order.
      if (at < bytes.length) this.#stream.write(slice)
      else this.#stream.write(slice, (error) => !error && giveBack(bytes))
    }
  }

  /** Breaks it off. */
  close(): void {
    this.#stream.destroy()
  }

  /** What is said in one go goes out in one call of the system. */
  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#stream.cork()
    process.nextTick(() => {
      this.#isCorked = false
      this.#stream.uncork()
    })
  }
}
