// Keys that this process has itself: from a key file, or made by the store. Every key id is a key of its own, derived
// from the newest wrapping key; what older ones wrapped stays readable as long as they are kept.
import type { World } from '../kit/world.ts'
import {
  KEY_BYTES,
  type KeyProvider,
  KeyProviderUnavailable,
  type KeyRequest,
  type NewDataKey,
  WrappedBy,
} from './key-provider.ts'
import { unwrapKey, wrapKey } from './key-wrap.ts'

/** A key that wraps data keys, under a name that is never given to another one. */
export interface WrappingKey {
  id: string
  /** 32 bytes. */
  key: Uint8Array
}

/** The key id when nobody names one. */
export const DEFAULT_KEY_ID = 'kintsugi'

const KEY_ID = /^[\w:/.=@+-]{1,200}$/

/** Wraps with the newest key, unwraps with all of them. */
export class LocalKeys implements KeyProvider {
  readonly #random: World['random']
  #keys: readonly WrappingKey[]

  /** Newest first, at least one. */
  constructor(keys: readonly WrappingKey[], { random }: Pick<World, 'random'>) {
    this.#keys = keys
    this.#random = random
  }

  /** From now on these are the keys, newest first. */
  replace(keys: readonly WrappingKey[]): void {
    this.#keys = keys
  }

  async newDataKey({ keyId = DEFAULT_KEY_ID, context }: KeyRequest): Promise<NewDataKey> {
    if (!KEY_ID.test(keyId)) return { kind: 'no-such-key', keyId }
    const newest = this.#keys[0]!
    const header = encodeHeader(newest.id, keyId)
    const dataKey = this.#random.bytes(KEY_BYTES)
    const binding = { purpose: purposeOf(keyId), bound: boundOf(header, context) }
    const wrapped = wrapKey(dataKey, newest.key, this.#random.bytes(KEY_BYTES), binding)
    return { kind: 'made', dataKey, wrappedKey: Buffer.concat([header, wrapped]), keyId }
  }

  async unwrap(
    wrappedKey: Uint8Array,
    { context }: Pick<KeyRequest, 'context'>,
  ): Promise<Uint8Array> {
    const { wrappingId, keyId, headerBytes } = decodeHeader(wrappedKey)
    const found = this.#keys.find(({ id }) => id === wrappingId)
    if (!found) throw new KeyProviderUnavailable(`there is no wrapping key ${wrappingId}`)
    const bound = boundOf(wrappedKey.subarray(0, headerBytes), context)
    const binding = { purpose: purposeOf(keyId), bound }
    return unwrapKey(wrappedKey.subarray(headerBytes), found.key, binding)
  }
}

function purposeOf(keyId: string): string {
  return `kintsugi key id 1 ${keyId}`
}

/** Kind, then the two names, each after its length. */
function encodeHeader(wrappingId: string, keyId: string): Buffer {
  const names = [wrappingId, keyId].flatMap((name) => [name.length, ...Buffer.from(name)])
  return Buffer.from([WrappedBy.Local, ...names])
}

function decodeHeader(wrappedKey: Uint8Array): {
  wrappingId: string
  keyId: string
  headerBytes: number
} {
  const wrappingEnd = 2 + (wrappedKey[1] ?? 0)
  const headerBytes = wrappingEnd + 1 + (wrappedKey[wrappingEnd] ?? 0)
  const textOf = (from: number, to: number): string =>
    Buffer.from(wrappedKey.subarray(from, to)).toString('latin1')
  return {
    wrappingId: textOf(2, wrappingEnd),
    keyId: textOf(wrappingEnd + 1, headerBytes),
    headerBytes,
  }
}

function boundOf(header: Uint8Array, context = ''): Uint8Array {
  return Buffer.concat([header, Buffer.from(context)])
}
