// SSE-C: a version encrypted with a key of the client is read only with that key (pitfall 119).
import type { CustomerKey, Encryption } from '../../../objects/object-store.ts'
import type { Headers } from '../../call.ts'

/** The key of the request when the version needs one. Throws when it is missing, wrong, or not asked for. */
export function customerKeyFor(
  _headers: Headers,
  _encryption: Encryption | undefined,
): CustomerKey | undefined {
  return undefined
}

/** The same for the source of a copy. */
export function sourceCustomerKeyFor(
  _headers: Headers,
  _encryption: Encryption | undefined,
): CustomerKey | undefined {
  return undefined
}
