// Memory that is lent. Whoever is done with bytes gives them back, and the next read goes into the same memory: to allocate
// hundreds of KiB for each costs more than the read, in pages to be cleared and in work of the garbage collector.
// Who does not know that bytes are lent may keep them for as long as he likes: they are not lent again then.
import { assert } from './assert.ts'
import { freeMemory } from './free-memory.ts'

/** What is lent and not given back. A view that nobody holds any more leaves no trace. */
const loans = new WeakMap<Uint8Array, LentSlot>()

/** Slots of one size. */
export interface LentMemoryOptions {
  slotBytes: number
  /** So many wait to be lent again; more are left to the garbage collector. */
  maxSpare: number
  /** Memory of a new slot, where any will not do. */
  allocate?: () => Uint8Array
}

/** Gives out slots, those first that were given back last: they are still in the cache of the processor. */
export class LentMemory {
  readonly slotBytes: number
  readonly #maxSpare: number
  readonly #allocate: () => Uint8Array
  readonly #spare: LentSlot[] = []

  constructor({ slotBytes, maxSpare, allocate }: LentMemoryOptions) {
    this.slotBytes = slotBytes
    this.#maxSpare = maxSpare
    this.#allocate = allocate ?? (() => Buffer.allocUnsafeSlow(slotBytes))
  }

  /** A slot that is nobody else's, filled with what was there before. */
  take(): LentSlot {
    const backTo = (slot: LentSlot): void => {
      if (this.#spare.length < this.#maxSpare) this.#spare.push(slot)
    }
    return this.#spare.pop() ?? new LentSlot(this.#allocate(), backTo)
  }
}

/** Memory of one owner, who lends views of it. When all of them were given back it is lent to others. */
export class LentSlot {
  readonly bytes: Uint8Array
  readonly #backTo: (slot: LentSlot) => void
  #lent = 0

  constructor(bytes: Uint8Array, backTo: (slot: LentSlot) => void) {
    this.bytes = bytes
    this.#backTo = backTo
  }

  /** A view from byte `from` up to `to`, to be read by whoever has it. All are lent before the first is handed out. */
  lend(from: number, to: number): Uint8Array {
    const view = this.bytes.subarray(from, to)
    loans.set(view, this)
    this.#lent += 1
    return view
  }

  /** Views of it that somebody made are lent as well. */
  lendMore(views: readonly Uint8Array[]): void {
    for (const view of views) loans.set(view, this)
    this.#lent += views.length
  }

  /** The owner is done with it and lent nothing. */
  release(): void {
    assert(this.#lent === 0, 'nobody has a view of a slot that is released')
    this.#backTo(this)
  }

  /** One view less: for giveBack(). */
  takeBack(): void {
    this.#lent -= 1
    if (this.#lent === 0) this.#backTo(this)
  }
}

/** Bytes that are a buffer of their own, lent by who has them: their memory is freed when they are given back. */
export function lendOwn(bytes: Uint8Array): Uint8Array {
  if (bytes.length < OWN_BYTES_LEAST || bytes.length < bytes.buffer.byteLength) return bytes
  return new LentSlot(bytes, freeOwn).lend(0, bytes.length)
}

/** What is smaller costs less where the garbage collector finds it. */
const OWN_BYTES_LEAST = 16 * 1024

const freeOwn = ({ bytes }: LentSlot): void => freeMemory(bytes)

/** A loan becomes one of its parts, which are not given out yet. Each of them is given back. */
export function lendParts(bytes: Uint8Array, parts: readonly Uint8Array[]): void {
  const slot = loans.get(bytes)
  if (slot === undefined) return
  loans.delete(bytes)
  slot.lendMore(parts)
  slot.takeBack()
}

/** A part of bytes that may be lent, in their place: it is what is given back. */
export function lendPart(bytes: Uint8Array, from: number, to: number): Uint8Array {
  if (from === 0 && to === bytes.length) return bytes
  const part = bytes.subarray(from, to)
  const slot = loans.get(bytes)
  if (slot === undefined) return part
  loans.delete(bytes)
  loans.set(part, slot)
  return part
}

/**
 * All of the chunks one behind the other: `bytes` of them, or fewer where fewer came; rejects where more come. One chunk that is
 * all of it stays what it is, and lent if it was.
 */
export async function collect(
  chunks: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<Uint8Array> {
  let whole: Uint8Array = NOTHING
  let count = 0
  for await (const chunk of chunks) {
    const end = count + chunk.length
    if (count === 0 && chunk.length === bytes) whole = chunk
    else {
      if (count === 0) whole = Buffer.allocUnsafeSlow(bytes)
      whole.set(chunk, count)
      giveBack(chunk) // It may have no length any more.
    }
    count = end
  }
  return count === bytes ? whole : whole.subarray(0, count)
}

const NOTHING = new Uint8Array()

/** Nobody looks at these bytes any more. Without effect for bytes that are not lent, or were given back. */
export function giveBack(bytes: Uint8Array): void {
  const slot = loans.get(bytes)
  if (slot === undefined) return
  loans.delete(bytes)
  slot.takeBack()
}
