// Who sent a message, and that it was not changed: keys made from a secret, HMAC-SHA256 for heads, GMAC for the bytes.
import { createCipheriv, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** Length of a key of this file. */
const AUTH_KEY_BYTES = 32

/** Length of what FrameSeal says of a frame. */
export const FRAME_TAG_BYTES = 16

const IV_BYTES = 12
const KEY_ID_BYTES = 8

/** HMAC-SHA256 of `text`. */
export function authenticate(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** A key for one purpose (HKDF-SHA256): nothing is learnt of the secret, nor of keys for other purposes. */
export function deriveKey(secret: Uint8Array, purpose: string, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, purpose, AUTH_KEY_BYTES))
}

/** Names a secret without telling anything of it: 16 hex digits. */
export function nameSecret(secret: Uint8Array): string {
  return authenticate(secret, 'name of this secret').toString('hex', 0, KEY_ID_BYTES)
}

/** Whether two codes are the same, in a time that does not depend on where they differ. */
export function isSameCode(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}

/** Two keys for the frames of one exchange: there and back. */
export function exchangeKeys(
  key: Uint8Array,
  exchange: string,
): { request: Uint8Array; answer: Uint8Array } {
  const both = createHmac('sha512', key).update(`keys of ${exchange}`).digest()
  return { request: both.subarray(0, AUTH_KEY_BYTES), answer: both.subarray(AUTH_KEY_BYTES) }
}

/**
 * Tags the frames of one direction of one exchange, in order: AES-256-GMAC, whose nonce is the number of the frame. It
 * runs at several GB/s, where HMAC-SHA256 would cost more than all else. A key is for one FrameSeal at each end.
 */
export class FrameSeal {
  readonly #key: Uint8Array
  #frames = 0n

  constructor(key: Uint8Array) {
    this.#key = key
  }

  /** The tag of the next frame, whose bytes are those of `parts` one after the other. */
  nextTag(...parts: readonly Uint8Array[]): Buffer {
    const nonce = Buffer.alloc(IV_BYTES)
    nonce.writeBigUInt64BE(this.#frames, IV_BYTES - 8)
    this.#frames += 1n
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    for (const part of parts) if (part.length > 0) cipher.setAAD(part)
    cipher.final()
    return cipher.getAuthTag()
  }
}
