// The xxHash family, which Node does not have, by hash-wasm. One instance of each serves all
// digests of the process: the state of a digest, some hundred bytes at most, is saved while others use the instance.
import { createXXHash3, createXXHash64, createXXHash128, type IHasher } from 'hash-wasm'
import { assert } from '../kit/assert.ts'

/** The digests that this file computes. XXHASH3 is its form of 64 bits; all of them have seed 0. */
export type WasmHashName = 'XXHASH64' | 'XXHASH3' | 'XXHASH128'

const makers: { [Name in WasmHashName]: () => Promise<IHasher> } = {
  XXHASH64: () => createXXHash64(0, 0),
  XXHASH3: () => createXXHash3(0, 0),
  XXHASH128: () => createXXHash128(0, 0),
}

interface Engine {
  readonly hasher: IHasher
  /** State of a digest of nothing. */
  readonly initial: Uint8Array
  /** Whose state the instance has now; all others have theirs saved. */
  holder: WasmHash | undefined
}

const engines = new Map<WasmHashName, Engine>()

/** Loads all engines. */
export async function prepareWasmHashes(): Promise<void> {
  await Promise.all(Object.keys(makers).map((name) => prepare(name as WasmHashName)))
}

async function prepare(name: WasmHashName): Promise<void> {
  const hasher = await makers[name]()
  engines.set(name, { hasher, initial: hasher.init().save(), holder: undefined })
}

/** A digest of nothing yet, with the shape of Digest. */
export function newWasmHash(name: WasmHashName): WasmHash {
  const engine = engines.get(name)
  assert(engine, 'prepareDigests() resolved before a digest is made')
  return new WasmHash(engine)
}

/** One digest. Its state stays in the instance until another digest wants it: loading costs as much as some KiB. */
class WasmHash {
  readonly #engine: Engine
  #state: Uint8Array

  constructor(engine: Engine) {
    this.#engine = engine
    this.#state = engine.initial
  }

  update(bytes: Uint8Array): void {
    this.#take().update(bytes)
  }

  digest(): Uint8Array {
    const digest = this.#take().digest('binary')
    this.#engine.holder = undefined
    return digest
  }

  #take(): IHasher {
    const { hasher, holder } = this.#engine
    if (holder === this) return hasher
    if (holder) holder.#state = hasher.save()
    this.#engine.holder = this
    return hasher.load(this.#state)
  }
}
