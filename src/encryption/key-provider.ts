// Who keeps the keys that wrap data keys: a file, the store itself, or a server elsewhere.
// A data key encrypts the bytes of one object or upload; only its wrapped form is ever stored.

/** Length of every key: AES-256. */
export const KEY_BYTES = 32

/** Which key wraps, and what is bound to the wrapping: the same context is needed to unwrap. */
export interface KeyRequest {
  /** Absent: the one that the provider uses otherwise. */
  keyId?: string
  context?: string
  /** Data keys of this name may hang together on one that the provider made; absent: each is its own. */
  shared?: string
}

/** A new data key in both forms. */
export interface MadeDataKey {
  kind: 'made'
  dataKey: Uint8Array
  wrappedKey: Uint8Array
  /** The key that wrapped it. */
  keyId: string
}

/** What asking for a data key gave. */
export type NewDataKey = MadeDataKey | { kind: 'no-such-key'; keyId: string }

/** Makes and unwraps data keys. Both end within seconds, and throw KeyProviderUnavailable or WrongKey. */
export interface KeyProvider {
  newDataKey(request: KeyRequest): Promise<NewDataKey>
  /** `wrappedKey` says itself which key wrapped it. */
  unwrap(wrappedKey: Uint8Array, request: Pick<KeyRequest, 'context'>): Promise<Uint8Array>
}

/** The first byte of a wrapped key: who can unwrap it. Never reused. */
export const WrappedBy = { Local: 1, Vault: 2, Customer: 3, Shared: 4 } as const

/** The keeper of the keys does not answer, or will not. It may pass. */
export class KeyProviderUnavailable extends Error {
  override readonly name = 'KeyProviderUnavailable'
  readonly code = 'KEY_PROVIDER_UNAVAILABLE'
}

/** A key that is not the right one, or a wrapped key that was changed. */
export class WrongKey extends Error {
  override readonly name = 'WrongKey'
  readonly code = 'WRONG_KEY'
}
