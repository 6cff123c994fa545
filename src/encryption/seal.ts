// Plain bytes → seals, as a stream: what lies on drives of an encrypted blob.
import { type CipherGCM, createCipheriv } from 'node:crypto'
import { assert } from '../kit/assert.ts'
import { giveBack } from '../kit/lent-bytes.ts'
import {
  blobKey,
  boundOf,
  nonceOf,
  SEAL_CIPHER,
  SealCursor,
  type SealedBlob,
} from './seal-format.ts'

/** Seals `plainBytes` bytes as they pass. Where `chunks` ends early the seals do too: the receiver counts. */
export async function* seal(
  chunks: AsyncIterable<Uint8Array>,
  dataKey: Uint8Array,
  blob: SealedBlob,
): AsyncGenerator<Uint8Array> {
  const key = blobKey(dataKey, blob)
  const cursor = new SealCursor(blob.plainBytes, 0)
  let cipher: CipherGCM | undefined
  for await (const chunk of chunks) {
    let rest = chunk
    while (rest.length > 0 && cursor.left > 0) {
      cipher ??= startCipher(key, cursor)
      const taken = rest.subarray(0, cursor.left)
      rest = rest.subarray(taken.length)
      yield cipher.update(taken)
      if (!cursor.advance(taken.length)) continue
      cipher.final()
      yield cipher.getAuthTag()
      cipher = undefined
    }
    assert(rest.length === 0, 'a body that is longer than announced was refused before')
    giveBack(chunk)
  }
}

function startCipher(key: Uint8Array, cursor: SealCursor): CipherGCM {
  const cipher = createCipheriv(SEAL_CIPHER, key, nonceOf(cursor.index))
  cipher.setAAD(boundOf(cursor))
  return cipher
}
