// Loads the WebAssembly that digests need, once for the process, so that digests themselves are synchronous.
import { prepareWasmCrcs } from './wasm-crc.ts'
import { prepareXxh64 } from './xxh64.ts'

let prepared: Promise<void> | undefined

/** Resolves when newDigest() and xxh64() may be used. Calling it again costs nothing. */
export function prepareDigests(): Promise<void> {
  prepared ??= Promise.all([prepareWasmCrcs(), prepareXxh64()]).then(() => undefined)
  return prepared
}
