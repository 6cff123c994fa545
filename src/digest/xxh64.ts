// XXH64: the fast checksum that guards bytes at rest. No protection against malice.
import xxhash, { type XXHashAPI } from 'xxhash-wasm'
import { assert } from '../kit/assert.ts'

let api: XXHashAPI | undefined

/** Loads the WebAssembly behind xxh64(). */
export async function prepareXxh64(): Promise<void> {
  api = await xxhash()
}

/** XXH64 of `bytes`, 0 to 2^64 - 1. prepareDigests() must have resolved once before. */
export function xxh64(bytes: Uint8Array, seed = 0n): bigint {
  assert(api, 'prepareDigests() resolved before a checksum is taken')
  return api.h64Raw(bytes, seed)
}
