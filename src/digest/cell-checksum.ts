// The checksum of a cell on disk is seeded with whose cell it is, so that bytes which are whole
// but stale or in the wrong place are noticed as well as flipped bits (docs/formats/shard.md).
import { assert } from '../kit/assert.ts'
import { type Uid, uidBytes } from '../kit/uid.ts'
import { xxh64 } from './xxh64.ts'

/** Whose shard it is: blob, part of an upload (0 for none) and slot in the stripe. */
export interface ShardIdentity {
  uid: Uid
  part: number
  slot: number
}

/** lo64(uid) ^ slot << 56 ^ part << 32: the part of the seed that all cells of a shard share. */
export function shardSeed({ uid, part, slot }: ShardIdentity): bigint {
  assert(slot >= 0 && slot < 0x100, 'a slot fits in 8 bits')
  assert(part >= 0 && part < 0x10000, 'a part number fits in 16 bits')
  return uidBytes(uid).readBigUInt64BE(8) ^ (BigInt(slot) << 56n) ^ (BigInt(part) << 32n)
}

/** The checksum of cell number `cellIndex` of the shard with `seed`. */
export function cellChecksum(seed: bigint, cellIndex: number, bytes: Uint8Array): bigint {
  assert(cellIndex >= 0 && cellIndex < 2 ** 32, 'a cell index fits in 32 bits')
  return xxh64(bytes, seed ^ BigInt(cellIndex))
}
