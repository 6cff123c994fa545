// Remembers very many shards in little memory: a Bloom filter. It may take a shard for one that it was told, never the
// other way round, so what it does not have was surely not told.
import { xxh64 } from '../../digest/xxh64.ts'
import { uidBytes } from '../../kit/uid.ts'
import type { DriveId, ShardId } from '../contract.ts'

/** Of 8 bits a shard and 4 probes, one shard in 40 that was not told is taken for one that was. */
const BITS_PER_SHARD = 8
const PROBES = 4

const BYTES_MIN = 64 * 1024

/** In 64 MiB. */
const SHARDS_MAX = 64 * 1024 * 1024

/** A set of shards on drives. */
export class ShardFilter {
  readonly #bits: Uint8Array
  readonly #salt: bigint
  readonly #shardsMax: number
  /** How many were added. */
  count = 0

  /** `expected`: how many shards likely come. `salt`: another one makes other mistakes. `shardsMax`: a bound on memory. */
  constructor(expected: number, salt: bigint, shardsMax = SHARDS_MAX) {
    this.#bits = new Uint8Array(bytesFor(expected, shardsMax))
    this.#salt = salt
    this.#shardsMax = shardsMax
  }

  /** Whether more were added than the largest filter is made for: it makes more mistakes, and so will the next. */
  get isOverfull(): boolean {
    return this.count > this.#shardsMax
  }

  add(driveId: DriveId, id: ShardId): void {
    this.count += 1
    for (const bit of this.#probes(driveId, id)) this.#bits[bit >>> 3]! |= 1 << (bit & 7)
  }

  /** False only for what was not added. */
  has(driveId: DriveId, id: ShardId): boolean {
    return this.#probes(driveId, id).every(
      (bit) => (this.#bits[bit >>> 3]! & (1 << (bit & 7))) !== 0,
    )
  }

  #probes(driveId: DriveId, { uid, part, slot }: ShardId): number[] {
    const name = Buffer.allocUnsafe(23)
    uidBytes(uid).copy(name)
    name.writeUInt16LE(part, 16)
    name.writeUInt8(slot, 18)
    name.writeUInt32LE(driveId, 19)
    const hash = xxh64(name, this.#salt)
    const first = Number(hash & 0xffff_ffffn)
    const step = (Number(hash >> 32n) | 1) >>> 0
    const bitCount = this.#bits.length * 8
    return Array.from({ length: PROBES }, (_, at) => (first + at * step) % bitCount)
  }
}

/** A power of two, for an even spread. */
function bytesFor(expected: number, shardsMax: number): number {
  const wanted = (expected * BITS_PER_SHARD) / 8
  const most = (shardsMax * BITS_PER_SHARD) / 8
  const power = 2 ** Math.ceil(Math.log2(Math.max(1, wanted)))
  return Math.max(BYTES_MIN, Math.min(most, power))
}
