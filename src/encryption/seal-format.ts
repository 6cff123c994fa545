// How encrypted bytes lie in a blob: seals of up to 64 KiB, each encrypted and authenticated by itself, so that a range
// costs only the seals that it touches. Layout and reasons: docs/formats/encryption.md.
import { assert } from '../kit/assert.ts'
import { type Uid, uidBytes } from '../kit/uid.ts'
import { deriveKey } from './key-wrap.ts'

/** Plain bytes of every seal but the last. */
export const SEAL_PLAIN_BYTES = 64 * 1024

/** What a seal adds to them. */
export const SEAL_TAG_BYTES = 16

/** How every seal is encrypted. */
export const SEAL_CIPHER = 'aes-256-gcm'

/** Whose bytes are sealed. A uid is never used twice, so no key ever seals two things. */
export interface SealedBlob {
  uid: Uid
  part: number
  /** Length before sealing. */
  plainBytes: number
}

/** First and last byte, both inclusive. */
export interface SealedRange {
  first: number
  last: number
}

/** How long `plainBytes` are once they are sealed. */
export function sealedBytes(plainBytes: number): number {
  return plainBytes + Math.ceil(plainBytes / SEAL_PLAIN_BYTES) * SEAL_TAG_BYTES
}

/** The sealed bytes that have to be read for a range of plain ones: whole seals. */
export function sealedRange({ first, last }: SealedRange, plainBytes: number): SealedRange {
  assert(first >= 0 && first <= last && last < plainBytes, 'the range lies in the blob')
  const end = (Math.floor(last / SEAL_PLAIN_BYTES) + 1) * (SEAL_PLAIN_BYTES + SEAL_TAG_BYTES)
  return {
    first: Math.floor(first / SEAL_PLAIN_BYTES) * (SEAL_PLAIN_BYTES + SEAL_TAG_BYTES),
    last: Math.min(end, sealedBytes(plainBytes)) - 1,
  }
}

/** Where in the blob a stream of seals stands. */
export class SealCursor {
  index: number
  /** Plain bytes that the seal at hand still lacks; 0 after the last. */
  left: number
  readonly #plainBytes: number

  constructor(plainBytes: number, index: number) {
    this.#plainBytes = plainBytes
    this.index = index
    this.left = this.#wanted()
  }

  /** Where the seal at hand begins among the plain bytes. */
  get start(): number {
    return this.index * SEAL_PLAIN_BYTES
  }

  get isLast(): boolean {
    return this.start + SEAL_PLAIN_BYTES >= this.#plainBytes
  }

  /** True when this ended the seal at hand: the next one is. */
  advance(bytes: number): boolean {
    this.left -= bytes
    if (this.left > 0) return false
    this.index += 1
    this.left = this.#wanted()
    return true
  }

  #wanted(): number {
    return Math.max(0, Math.min(SEAL_PLAIN_BYTES, this.#plainBytes - this.start))
  }
}

/** Every blob has a key of its own, so that the counter may be the nonce. */
export function blobKey(dataKey: Uint8Array, { uid, part }: SealedBlob): Uint8Array {
  return deriveKey(dataKey, uidBytes(uid), `kintsugi blob 1 part ${part}`)
}

/** The number of the seal, in 12 bytes. */
export function nonceOf(index: number): Uint8Array {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(index, 8)
  return nonce
}

/** The last seal says that it is: a blob can not be cut off at the end of a seal. */
export function boundOf({ index, isLast }: SealCursor): Uint8Array {
  const bound = Buffer.alloc(5)
  bound.writeUInt32BE(index, 0)
  bound[4] = isLast ? 1 : 0
  return bound
}
