// Bytes of a connection that nobody takes yet: part of a head, a request behind another, the start of a body. What came of a body
// together with its head is wanted as soon as that is read: it is copied once, into memory that is lent.
import type { LentSlot } from '../../kit/lent-bytes.ts'
import { LENT_BYTES_LEAST, lentMemory, type Origin, PASSING } from './socket-bytes.ts'

const NONE = Buffer.alloc(0)
const BYTES_LEAST = 1024

/** Bytes in order: added at the end, taken from the beginning. */
export class HeldBytes implements Origin {
  /** What is held lies from `start` up to `end`. */
  bytes: Buffer = NONE
  start = 0
  end = 0
  /** What `bytes` is, where it is lent memory, and not handed on yet. */
  #slot: LentSlot | undefined

  get length(): number {
    return this.end - this.start
  }

  /** Adds a copy. Its memory at least doubles when it grows, whatever comes in however small parts. */
  add(source: Uint8Array, from: number, to: number): void {
    const added = to - from
    if (this.end + added > this.bytes.length) this.#makeRoom(added)
    this.bytes.set(source.subarray(from, to), this.end)
    this.end += added
  }

  /** Everything before `start` was taken. Nothing is kept of what is empty. */
  takenTo(start: number): void {
    this.start = start
    if (this.start === this.end) this.clear()
  }

  /** To the end of what is held it is the memory itself, for all of that is taken then. */
  keep(bytes: Buffer, from: number, to: number): Uint8Array {
    const slot = this.#slot
    if (slot === undefined || to !== this.end || to - from < LENT_BYTES_LEAST)
      return PASSING.keep(bytes, from, to)
    this.#slot = undefined
    return slot.lend(from, to)
  }

  clear(): void {
    this.#slot?.release()
    this.#slot = undefined
    this.bytes = NONE
    this.start = 0
    this.end = 0
  }

  #makeRoom(added: number): void {
    const { length } = this
    const isRoomy = length + added <= this.bytes.length / 2
    const before = this.#slot
    const target = isRoomy ? this.bytes : this.#newRoom(length + added)
    this.bytes.copy(target, 0, this.start, this.end)
    if (target !== this.bytes) before?.release()
    this.bytes = target
    this.start = 0
    this.end = length
  }

  #newRoom(bytes: number): Buffer {
    this.#slot = undefined
    // What grows from little doubles, so that it is not copied again and again.
    if (this.length > 0 || bytes < LENT_BYTES_LEAST || bytes > lentMemory.slotBytes)
      return Buffer.allocUnsafe(Math.max(BYTES_LEAST, this.length > 0 ? 2 * bytes : bytes))
    this.#slot = lentMemory.take()
    return this.#slot.bytes as Buffer
  }
}
