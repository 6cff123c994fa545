// What a worker reads its link into: the same few buffers again and again. A buffer of its own for every read would be
// memory that the garbage collector is told of, and for a gigabyte of objects that costs more than to read it.
import { asBuffer, kibibytes } from '../kit/bytes.ts'
import { giveBack, LentMemory, type LentSlot } from '../kit/lent-bytes.ts'
import type { Lender } from './frames.ts'

/** More than the kernel keeps for a Unix socket: what there is comes by one read. */
const SLOT_BYTES = kibibytes(256)
const SPARE_MAX = 16

type Reader = (bytes: Buffer, lender: Lender) => void

/** Memory for one link: `onread` of its socket. */
export class LinkMemory {
  readonly #memory = new LentMemory({ slotBytes: SLOT_BYTES, maxSpare: SPARE_MAX })
  #slot: LentSlot | undefined
  #reader: Reader = () => {}

  /** Whose the bytes are. Must be called before the first of them come. */
  readBy(reader: Reader): void {
    this.#reader = reader
  }

  /** Where the next read goes. */
  readonly buffer = (): Uint8Array => {
    this.#slot = this.#memory.take()
    return this.#slot.bytes
  }

  /** So many bytes were read. */
  readonly callback = (bytes: number): boolean => {
    const slot = this.#slot!
    // It is lent to nobody else before all that lies in it was given out.
    const ours = slot.lend(0, 0)
    this.#reader(asBuffer(slot.bytes.subarray(0, bytes)), slot)
    giveBack(ours)
    return true
  }
}
