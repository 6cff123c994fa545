// Chunks that pass on in portions of shared memory, so that a thread digests them while they are stored.
import { copyToShared, kibibytes } from '../../kit/bytes.ts'
import { giveBack, LentMemory, type LentSlot } from '../../kit/lent-bytes.ts'
import type { DigestStream } from './digest-threads.ts'

/** Long enough that two messages for each cost little, and short enough to be still in the cache of the processor. */
const PORTION_BYTES = kibibytes(256)

/** For all bodies together. */
const portions = new LentMemory({
  ...{ slotBytes: PORTION_BYTES, maxSpare: 96 },
  // Threads read it.
  allocate: () => Buffer.from(new SharedArrayBuffer(PORTION_BYTES)),
})

/** Passes all chunks on, lent, and their digests to `onEnd`. Throws DigestThreadLost; the stream is over in any case. */
export async function* passByThread(
  chunks: AsyncIterable<Uint8Array>,
  stream: DigestStream,
  onEnd: (digests: readonly Uint8Array[]) => void,
): AsyncGenerator<Uint8Array> {
  let slot: LentSlot | undefined
  let filled = 0
  const send = (full: LentSlot): Uint8Array => {
    // One is for the thread, one for whoever stores it.
    const portion = full.lend(0, filled)
    stream.write(full.lend(0, filled))
    slot = undefined
    filled = 0
    return portion
  }
  try {
    for await (const chunk of chunks) {
      for (let from = 0; from < chunk.length; ) {
        if (slot === undefined) {
          await stream.room()
          slot = portions.take()
        }
        const part = chunk.subarray(from, from + PORTION_BYTES - filled)
        copyToShared(part, slot.bytes, filled)
        filled += part.length
        from += part.length
        if (filled === PORTION_BYTES) yield send(slot)
      }
      giveBack(chunk)
    }
    if (slot !== undefined) yield send(slot)
    onEnd(await stream.finish())
  } finally {
    slot?.release()
    stream.drop()
  }
}
