// Streams of chunks of which several are there at once: to wait for each of them by itself costs more than to pass it on.

/** An iterator of chunks that says what it has. */
export interface ChunksAtHand {
  /** What next() would give if that is there already; undefined where next() has to be asked. Never empty. Not while a next() is under way. */
  nextAtHand(): Uint8Array | undefined
}

/** What is there already of `chunks`, whatever kind of iterator it is. */
export function nextAtHand(chunks: AsyncIterator<Uint8Array>): Uint8Array | undefined {
  return (chunks as Partial<ChunksAtHand>).nextAtHand?.()
}
