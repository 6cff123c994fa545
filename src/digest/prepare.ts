// Loads the WebAssembly that digests need, once for the process, so that digests themselves are synchronous.
import { prepareLongMd5 } from './long-md5.ts'
import { prepareWasmHashes } from './wasm-hash.ts'
import { prepareWideCrcs } from './wide-crc.ts'
import { prepareXxh64 } from './xxh64.ts'

let prepared: Promise<void> | undefined

/** Resolves when newDigest() and xxh64() may be used. Calling it again costs nothing. */
export function prepareDigests(): Promise<void> {
  prepared ??= Promise.all([prepareWasmHashes(), prepareXxh64()]).then(prepareOurs)
  return prepared
}

function prepareOurs(): void {
  prepareLongMd5()
  prepareWideCrcs()
}
