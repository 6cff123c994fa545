// Ranges of encrypted blobs: the seals that a range touches are read, opened, and cut to it.
import { openSeals, SealBroken } from '../encryption/open-seals.ts'
import { sealedBytes, sealedRange } from '../encryption/seal-format.ts'
import { type Blob, originOf } from '../metadata/records.ts'
import { readCached } from './cached-read.ts'
import type { ByteRange, Waiter } from './object-store.ts'
import type { StoreParts } from './store-parts.ts'

/** An encrypted blob, its length before it was, and its key. */
export interface EncryptedBlob {
  blob: Blob
  plainBytes: number
  dataKey: Uint8Array
}

/** Plain bytes of `range`. Throws SealBroken before it gives a byte that is not what was written. */
export async function* readEncrypted(
  { blob, plainBytes, dataKey }: EncryptedBlob,
  range: ByteRange,
  parts: StoreParts,
  waiter: Waiter,
): AsyncGenerator<Uint8Array> {
  if (blob.bytes !== sealedBytes(plainBytes))
    throw new SealBroken(`blob ${blob.uid} is not as long as its plain bytes say`)
  const sealed = readCached(blob, sealedRange(range, plainBytes), parts, waiter)
  const sealedAs = { uid: originOf(blob), part: blob.part, plainBytes }
  yield* openSeals(sealed, dataKey, sealedAs, range)
}
