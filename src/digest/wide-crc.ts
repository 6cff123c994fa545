// CRC32C and CRC64NVME: what Node does not have, and S3 asks for with nearly every body.
import { assert } from '../kit/assert.ts'
import { kibibytes } from '../kit/bytes.ts'
import { webAssembly } from '../kit/webassembly.ts'
import {
  CRC_BLOCK_BYTES,
  CRC_CONTROL_BYTES,
  CRC_STATE,
  CRC_WORD_BYTES,
  type CrcKernels,
  compileCrc,
} from './crc-kernel.ts'

/** The CRCs of this file. */
export type WideCrcName = 'CRC32C' | 'CRC64NVME'

/** Bytes that are taken at once: they are copied to where the kernels can reach them. */
const WINDOW_BYTES = kibibytes(64)
const WINDOW = CRC_CONTROL_BYTES
const PAGE_BYTES = kibibytes(64)

interface Engine {
  kernels: CrcKernels
  /** 32-bit halves of the state of whoever is at work, the low one first. */
  state: Uint32Array
  window: Uint8Array
  bytes: 4 | 8
}

let engines: { [Name in WideCrcName]: Engine } | undefined

/** Makes tables and kernels, which takes some milliseconds. */
export function prepareWideCrcs(): void {
  engines = {
    CRC32C: newEngine(0x82f63b78n, 4),
    CRC64NVME: newEngine(0x9a6c9329ac4bc9b5n, 8),
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

function newEngine(polynomial: bigint, bytes: 4 | 8): Engine {
  const pages = Math.ceil((WINDOW + WINDOW_BYTES) / PAGE_BYTES)
  const memory = new webAssembly.Memory({ initial: pages, maximum: pages })
  return {
    kernels: compileCrc(memory, polynomial),
    state: new Uint32Array(memory.buffer, CRC_STATE, 2),
    window: new Uint8Array(memory.buffer, WINDOW, WINDOW_BYTES),
    bytes,
  }
}

/** Takes the first `count` bytes of the window into the state: blocks, then words, then bytes. */
function take({ kernels, state, window }: Engine, count: number): void {
  const inBlocks = count - (count % CRC_BLOCK_BYTES)
  const inWords = count - (count % CRC_WORD_BYTES)
  if (inBlocks > 0) kernels.blocks(WINDOW, WINDOW + inBlocks)
  if (inWords > inBlocks) kernels.words(WINDOW + inBlocks, WINDOW + inWords)
  if (count === inWords) return
  const whole = new BigUint64Array(state.buffer, CRC_STATE, 1)
  let value = whole[0]!
  for (let at = inWords; at < count; at += 1) {
    value = (value >> 8n) ^ kernels.byteTable[Number(value & 0xffn) ^ window[at]!]!
  }
  whole[0] = value
}
