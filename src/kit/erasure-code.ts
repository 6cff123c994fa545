// The shape of an erasure code, as data. Rooms that store or place shards share it; erasure/ gives it meaning.

/** Numbers on disk, never reused. 1: centred Vandermonde over 0x11d in bitsliced 128-byte blocks (docs/formats/codec.md). */
export const MatrixId = { CentredVandermonde: 1 } as const
/** The number of a matrix. */
export type MatrixId = (typeof MatrixId)[keyof typeof MatrixId]

/** k data shards and m parity shards: any k of the k + m give the bytes back. k = 1 makes copies. */
export interface ErasureCode {
  dataCount: number
  parityCount: number
  matrix: MatrixId
}

/** Unit of encoding and of checksums: shards are cut into cells of at most this many bytes. */
export const CELL_BYTES = 128 * 1024

/** The XOR code works on blocks of 128 bytes; a cell of a multi-shard code is a multiple of it. */
export const BLOCK_BYTES = 128

/** Data plus parity. */
export function shardCount(code: ErasureCode): number {
  return code.dataCount + code.parityCount
}

/** `4+2` for people. */
export function nameCode(code: ErasureCode): string {
  return `${code.dataCount}+${code.parityCount}`
}
