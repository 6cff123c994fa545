// What Node does not have, by hash-wasm: CRC32C, CRC64NVME and the xxHash family. One instance of each serves all
// digests of the process: the state of a digest, some hundred bytes at most, is loaded before its bytes and saved after.
import {
  createCRC32,
  createCRC64,
  createXXHash3,
  createXXHash64,
  createXXHash128,
  type IHasher,
} from 'hash-wasm'
import { assert } from '../kit/assert.ts'

/** The digests that this file computes. XXHASH3 is its form of 64 bits; all of them have seed 0. */
export type WasmHashName = 'CRC32C' | 'CRC64NVME' | 'XXHASH64' | 'XXHASH3' | 'XXHASH128'

/** The polynomials with their bits reversed, as the right-shifting algorithm wants them. */
const CRC32C_REFLECTED = 0x82f63b78
const CRC64NVME_REFLECTED = '9a6c9329ac4bc9b5'

const makers: { [Name in WasmHashName]: () => Promise<IHasher> } = {
  CRC32C: () => createCRC32(CRC32C_REFLECTED),
  CRC64NVME: () => createCRC64(CRC64NVME_REFLECTED),
  XXHASH64: () => createXXHash64(0, 0),
  XXHASH3: () => createXXHash3(0, 0),
  XXHASH128: () => createXXHash128(0, 0),
}

interface Engine {
  hasher: IHasher
  /** State of a digest of nothing. */
  initial: Uint8Array
}

const engines = new Map<WasmHashName, Engine>()

/** Loads all engines. */
export async function prepareWasmHashes(): Promise<void> {
  await Promise.all(Object.keys(makers).map((name) => prepare(name as WasmHashName)))
}

async function prepare(name: WasmHashName): Promise<void> {
  const hasher = await makers[name]()
  engines.set(name, { hasher, initial: hasher.init().save() })
}

/** A digest of nothing yet, with the shape of Digest. */
export function newWasmHash(name: WasmHashName): {
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
