// Seals → plain bytes of a range. A flipped bit, a wrong key, a seal that is missing or of another blob: an error.
import { createDecipheriv, type DecipherGCM } from 'node:crypto'
import { giveBack } from '../kit/lent-bytes.ts'
import {
  blobKey,
  boundOf,
  nonceOf,
  SEAL_CIPHER,
  SEAL_PLAIN_BYTES,
  SEAL_TAG_BYTES,
  SealCursor,
  type SealedBlob,
  type SealedRange,
} from './seal-format.ts'

/** The bytes are not what was encrypted with this key: changed, cut off, or of another blob. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken'
  readonly code = 'SEAL_BROKEN'
}

/**
 * Opens the seals that `chunks` brings (the bytes of sealedRange) and gives the plain bytes of the range. Nothing is
 * given out before the seal that it lies in was found to be unbroken. Throws SealBroken.
 */
export async function* openSeals(
  chunks: AsyncIterable<Uint8Array>,
  dataKey: Uint8Array,
  blob: SealedBlob,
  range: SealedRange,
): AsyncGenerator<Uint8Array> {
  const key = blobKey(dataKey, blob)
  const firstSeal = Math.floor(range.first / SEAL_PLAIN_BYTES)
  const cursor = new SealCursor(blob.plainBytes, firstSeal)
  let opening: Opening | undefined
  for await (const chunk of chunks) {
    let rest = chunk
    while (rest.length > 0) {
      opening ??= new Opening(key, cursor)
      rest = rest.subarray(opening.take(rest))
      if (!opening.isFull) continue
      yield* cut(opening.finish(), cursor.start, range)
      cursor.advance(cursor.left)
      opening = undefined
    }
    giveBack(chunk)
  }
  if (opening || cursor.start <= range.last) throw new SealBroken('sealed bytes are missing')
}

/** One seal while its bytes come in. */
class Opening {
  readonly #decipher: DecipherGCM
  readonly #plain: Buffer[] = []
  readonly #tag = Buffer.alloc(SEAL_TAG_BYTES)
  #plainLeft: number
  #tagLeft = SEAL_TAG_BYTES

  constructor(key: Uint8Array, cursor: SealCursor) {
    if (cursor.left === 0) throw new SealBroken('there are more sealed bytes than there should be')
    this.#decipher = createDecipheriv(SEAL_CIPHER, key, nonceOf(cursor.index), {
      authTagLength: SEAL_TAG_BYTES,
    })
    this.#decipher.setAAD(boundOf(cursor))
    this.#plainLeft = cursor.left
  }

  get isFull(): boolean {
    return this.#tagLeft === 0
  }

  /** Takes what belongs to this seal from the beginning of `bytes`; returns how much that was. */
  take(bytes: Uint8Array): number {
    const sealed = bytes.subarray(0, this.#plainLeft)
    if (sealed.length > 0) this.#plain.push(this.#decipher.update(sealed))
    this.#plainLeft -= sealed.length
    if (this.#plainLeft > 0) return sealed.length
    const tag = bytes.subarray(sealed.length, sealed.length + this.#tagLeft)
    this.#tag.set(tag, SEAL_TAG_BYTES - this.#tagLeft)
    this.#tagLeft -= tag.length
    return sealed.length + tag.length
  }

  /** The plain bytes, now that they are known to be right. */
  finish(): Buffer[] {
    try {
      this.#decipher.setAuthTag(this.#tag)
      this.#decipher.final()
    } catch (cause) {
      throw new SealBroken('encrypted bytes are not what was written with this key', { cause })
    }
    return this.#plain
  }
}

/** What of `plain`, which begins at `start`, lies in the range. */
function* cut(plain: Buffer[], start: number, { first, last }: SealedRange): Generator<Uint8Array> {
  let at = start
  for (const bytes of plain) {
    const from = Math.max(0, first - at)
    const to = Math.min(bytes.length, last + 1 - at)
    if (from < to) yield bytes.subarray(from, to)
    at += bytes.length
  }
}
