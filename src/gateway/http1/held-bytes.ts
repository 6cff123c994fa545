// Bytes of a connection that nobody takes yet: part of a head, a request behind another, the start of a body.

const NONE = Buffer.alloc(0)
const BYTES_LEAST = 1024

/** Bytes in order: added at the end, taken from the beginning. */
export class HeldBytes {
  /** What is held lies from `start` up to `end`. */
  bytes: Buffer = NONE
  start = 0
  end = 0

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

  clear(): void {
    this.bytes = NONE
    this.start = 0
    this.end = 0
  }

  #makeRoom(added: number): void {
    const { length } = this
    const isRoomy = length + added <= this.bytes.length / 2
    const target = isRoomy
      ? this.bytes
      : Buffer.allocUnsafeSlow(Math.max(BYTES_LEAST, 2 * (length + added)))
    this.bytes.copy(target, 0, this.start, this.end)
    this.bytes = target
    this.start = 0
    this.end = length
  }
}
