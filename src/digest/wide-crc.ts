// CRC32C and CRC64NVME: what Node does not have, and S3 asks for with nearly every body.
import { assert } from '../kit/assert.ts'
import { kibibytes, roundUp } from '../kit/bytes.ts'
import { webAssembly } from '../kit/webassembly.ts'
import {
  CRC_BLOCK_BYTES,
  CRC_CONTROL_BYTES,
  CRC_STATE,
  CRC_WORD_BYTES,
  type CrcKernels,
  type CrcParameters,
  type CrcRun,
  compileCrc,
  FOLD_UNIT_BYTES,
  foldedBytes,
} from './crc-kernel.ts'

/** The CRCs of this file. */
export type WideCrcName = 'CRC32C' | 'CRC64NVME'

/** Bytes that are taken at once: they are copied to where the kernels can reach them. */
const WINDOW_BYTES = kibibytes(64)
/** Less is not folded: what folding leaves would be too much of it. */
const FOLDED_LEAST_BYTES = kibibytes(12)
const PAGE_BYTES = kibibytes(64)

/** The shifts were searched for: sums of few powers of x^128 that are 0. Another search may find shorter ones. */
const PARAMETERS: { readonly [Name in WideCrcName]: CrcParameters } = {
  CRC32C: { polynomial: 0x82f63b78n, shifts: [65, 155, 170, 195, 209] },
  CRC64NVME: {
    polynomial: 0x9a6c9329ac4bc9b5n,
    shifts: [50, 55, 70, 95, 116, 117, 148, 162, 175, 339, 346],
  },
}

interface Engine {
  kernels: CrcKernels
  /** 32-bit halves of the state of whoever is at work, the low one first. */
  state: Uint32Array
  /** Zeros lie before it, as many bytes as folding leaves. */
  windowAt: number
  window: Uint8Array
  bytes: 4 | 8
}

let engines: { [Name in WideCrcName]: Engine } | undefined

/** Makes tables and kernels, which takes some milliseconds. */
export function prepareWideCrcs(): void {
  engines = {
    CRC32C: newEngine('CRC32C', 4),
    CRC64NVME: newEngine('CRC64NVME', 8),
  }
}

/** A digest of nothing yet, with the shape of Digest. */
export function newWideCrc(name: WideCrcName): WideCrc {
  assert(engines, 'prepareDigests() resolved before a digest is made')
  return new WideCrc(engines[name])
}

/** One CRC. Its state is its own; the memory of the engine is used within one call only. */
class WideCrc {
  readonly #engine: Engine
  #low = 0xffffffff
  #high: number

  constructor(engine: Engine) {
    this.#engine = engine
    this.#high = engine.bytes === 8 ? 0xffffffff : 0
  }

  update(bytes: Uint8Array): void {
    const { state, window } = this.#engine
    state[0] = this.#low
    state[1] = this.#high
    for (let at = 0; at < bytes.length; at += WINDOW_BYTES) {
      const part = bytes.subarray(at, at + WINDOW_BYTES)
      window.set(part)
      take(this.#engine, part.length)
    }
    this.#low = state[0]!
    this.#high = state[1]!
  }

  digest(): Uint8Array {
    const digest = Buffer.alloc(8)
    digest.writeUInt32BE(~this.#high >>> 0, 0)
    digest.writeUInt32BE(~this.#low >>> 0, 4)
    return digest.subarray(8 - this.#engine.bytes)
  }
}

function newEngine(name: WideCrcName, bytes: 4 | 8): Engine {
  const parameters = PARAMETERS[name]
  const windowAt = roundUp(CRC_CONTROL_BYTES + foldedBytes(parameters.shifts), FOLD_UNIT_BYTES)
  const pages = Math.ceil((windowAt + WINDOW_BYTES) / PAGE_BYTES)
  const memory = new webAssembly.Memory({ initial: pages, maximum: pages })
  return {
    kernels: compileCrc(memory, parameters),
    state: new Uint32Array(memory.buffer, CRC_STATE, 2),
    windowAt,
    window: new Uint8Array(memory.buffer, windowAt, WINDOW_BYTES),
    bytes,
  }
}

/** Takes the first `count` bytes of the window into the state: blocks, then words, then bytes. */
function take(engine: Engine, count: number): void {
  const { kernels, state, windowAt, window } = engine
  const from = count < FOLDED_LEAST_BYTES || !kernels.fold ? 0 : fold(engine, kernels.fold, count)
  const inBlocks = count - ((count - from) % CRC_BLOCK_BYTES)
  const inWords = count - ((count - from) % CRC_WORD_BYTES)
  if (inBlocks > from) kernels.blocks(windowAt + from, windowAt + inBlocks)
  if (inWords > inBlocks) kernels.words(windowAt + inBlocks, windowAt + inWords)
  if (count === inWords) return
  const whole = new BigUint64Array(state.buffer, CRC_STATE, 1)
  let value = whole[0]!
  for (let at = inWords; at < count; at += 1) {
    value = (value >> 8n) ^ kernels.byteTable[Number(value & 0xffn) ^ window[at]!]!
  }
  whole[0] = value
}

/** Folds the state and the first `count` bytes of the window, and says from where on the CRC of the rest is that of all. */
function fold({ kernels, state, windowAt, window }: Engine, run: CrcRun, count: number): number {
  const folded = count - (count % FOLD_UNIT_BYTES)
  const first = new Uint32Array(window.buffer, windowAt, 2)
  first[0]! ^= state[0]!
  first[1]! ^= state[1]!
  state.fill(0)
  run(windowAt, windowAt + folded)
  return folded - kernels.leftBytes
}
