// XXH64: the fast checksum that guards bytes at rest. No protection against malice.
import xxhash, { type XXHashAPI } from 'xxhash-wasm'
import { assert } from '../kit/assert.ts'
import type { WasmMemory } from '../kit/webassembly.ts'
import { type Xxh64Run, xxh64Of } from './xxh64-kernel.ts'

let api: XXHashAPI | undefined

/** By the buffer of the memory. */
const inPlace = new WeakMap<ArrayBufferLike, Xxh64Run>()

/** Loads the WebAssembly behind xxh64(). */
export async function prepareXxh64(): Promise<void> {
  api = await xxhash()
}

/** What lies in this memory is from now on hashed where it lies: all else is copied first, which takes half as long again. */
export function hashInPlace(memory: WasmMemory): void {
  inPlace.set(memory.buffer, xxh64Of(memory))
}

/** XXH64 of `bytes`, 0 to 2^64 - 1. prepareDigests() must have resolved once before. */
export function xxh64(bytes: Uint8Array, seed = 0n): bigint {
  assert(api, 'prepareDigests() resolved before a checksum is taken')
  const run = inPlace.get(bytes.buffer)
  return run === undefined ? api.h64Raw(bytes, seed) : run(bytes.byteOffset, bytes.length, seed)
}
