// SSE-C: the data key under the key that only the client has. What is stored of it opens nothing by itself.
import { WrappedBy } from './key-provider.ts'
import { unwrapKey, wrapKey } from './key-wrap.ts'

const BINDING = {
  purpose: 'kintsugi customer key 1',
  bound: Uint8Array.of(WrappedBy.Customer),
}

/** `dataKey` under a client's key; `salt` is 32 random bytes. */
export function wrapForCustomer(
  dataKey: Uint8Array,
  customerKey: Uint8Array,
  salt: Uint8Array,
): Uint8Array {
  return Buffer.concat([BINDING.bound, wrapKey(dataKey, customerKey, salt, BINDING)])
}

/** The data key. Throws WrongKey. */
export function unwrapForCustomer(wrappedKey: Uint8Array, customerKey: Uint8Array): Uint8Array {
  return unwrapKey(wrappedKey.subarray(1), customerKey, BINDING)
}
