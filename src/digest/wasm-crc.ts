// CRC32C and CRC64NVME by hash-wasm. One instance for each serves all digests of the process:
// the state of a digest, a few bytes, is loaded before its bytes and saved after them.
import { createCRC32, createCRC64, type IHasher } from 'hash-wasm'
import { assert } from '../kit/assert.ts'

/** The CRCs that this file computes. */
export type WasmCrcName = 'CRC32C' | 'CRC64NVME'

/** The polynomials with their bits reversed, as the right-shifting algorithm wants them. */
const CRC32C_REFLECTED = 0x82f63b78
const CRC64NVME_REFLECTED = '9a6c9329ac4bc9b5'

interface Engine {
  hasher: IHasher
  /** State of a digest of nothing. */
  initial: Uint8Array
}

const engines = new Map<WasmCrcName, Engine>()

/** Loads both engines. */
export async function prepareWasmCrcs(): Promise<void> {
  engines.set('CRC32C', newEngine(await createCRC32(CRC32C_REFLECTED)))
  engines.set('CRC64NVME', newEngine(await createCRC64(CRC64NVME_REFLECTED)))
}

/** A CRC of nothing yet, with the shape of Digest. */
export function newWasmCrc(name: WasmCrcName): {
  update(bytes: Uint8Array): void
  digest(): Uint8Array
} {
  const engine = engines.get(name)
  assert(engine, 'prepareDigests() resolved before a digest is made')
  const { hasher, initial } = engine
  let state = initial
  return {
    update: (bytes) => {
      state = hasher.load(state).update(bytes).save()
    },
    digest: () => hasher.load(state).digest('binary'),
  }
}

function newEngine(hasher: IHasher): Engine {
  return { hasher, initial: hasher.init().save() }
}
