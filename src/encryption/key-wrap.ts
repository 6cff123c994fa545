// How one key is locked up in another. Layout: docs/formats/encryption.md.
// Each wrapping has a salt of its own and so a key of its own: no number of wrappings wears the outer key out.
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { asBuffer } from '../kit/bytes.ts'
import { KEY_BYTES, WrongKey } from './key-provider.ts'

const SALT_BYTES = 32
const TAG_BYTES = 16

/** Length of a key that was wrapped: salt, key, tag. */
export const WRAP_BYTES = SALT_BYTES + KEY_BYTES + TAG_BYTES

// A key made of a salt that is never used twice encrypts one message only.
const NONCE = new Uint8Array(12)

/** A key that follows from another, for one purpose. */
export function deriveKey(key: Uint8Array, salt: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, purpose, KEY_BYTES))
}

/** What binds a wrapping to its place. */
export interface Binding {
  /** Names what the outer key is used for. */
  purpose: string
  /** Must be the same when it is unwrapped. */
  bound: Uint8Array
}

/** `inner` under `outer`; `salt` is 32 random bytes. */
export function wrapKey(
  inner: Uint8Array,
  outer: Uint8Array,
  salt: Uint8Array,
  { purpose, bound }: Binding,
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', deriveKey(outer, salt, purpose), NONCE)
  cipher.setAAD(bound)
  return Buffer.concat([salt, cipher.update(inner), cipher.final(), cipher.getAuthTag()])
}

/** The key in `wrapped`. Throws WrongKey. */
export function unwrapKey(
  wrapped: Uint8Array,
  outer: Uint8Array,
  { purpose, bound }: Binding,
): Uint8Array {
  if (wrapped.length !== WRAP_BYTES)
    throw new WrongKey('a wrapped key is not as long as it must be')
  const salt = wrapped.subarray(0, SALT_BYTES)
  const key = deriveKey(outer, salt, purpose)
  const decipher = createDecipheriv('aes-256-gcm', key, NONCE, { authTagLength: TAG_BYTES })
  decipher.setAAD(bound)
  decipher.setAuthTag(asBuffer(wrapped.subarray(SALT_BYTES + KEY_BYTES)))
  const inner = decipher.update(wrapped.subarray(SALT_BYTES, SALT_BYTES + KEY_BYTES))
  try {
    decipher.final()
  } catch (cause) {
    throw new WrongKey('the key does not open what it should', { cause })
  }
  return inner
}
