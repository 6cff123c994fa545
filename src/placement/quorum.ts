// How many shards a write to a cluster has to wait for. Pure.
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'

/** W (docs/decisions/0020-who-is-not-waited-for.md): so that one more drive may be lost than would leave it just readable, and two of larger codes. */
export function quorumOf(code: ErasureCode): number {
  const { dataCount, parityCount } = code
  return Math.min(shardCount(code), dataCount + Math.max(1, Math.floor(parityCount / 2)))
}
