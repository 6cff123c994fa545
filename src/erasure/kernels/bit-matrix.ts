// From coefficients to bits: multiplying by a constant of GF(2^8) is linear over single bits,
// so in the bitsliced layout every strip of a result is the XOR of certain strips of the sources.
import { multiply } from '../galois.ts'
import type { Matrix } from '../reed-solomon.ts'

/** Strips of a block; strip b holds bit b of every symbol. */
export const STRIPS = 8
/** 128 bits, one SIMD register: bits of 128 symbols. */
export const STRIP_BYTES = 16

/**
 * For every strip of the sources (source s, strip b at index 8s + b) the set of result strips that it
 * takes part in, as a bit mask (row t, strip r at bit 8t + r). At most 4 rows fit in the 32 bits.
 */
export function stripMasks(rows: Matrix): number[] {
  const sourceCount = rows[0]?.length ?? 0
  return Array.from({ length: sourceCount * STRIPS }, (_, input) => {
    const source = Math.floor(input / STRIPS)
    const bit = 1 << (input % STRIPS)
    let mask = 0
    for (const [target, row] of rows.entries()) {
      mask |= multiply(row[source]!, bit) << (STRIPS * target)
    }
    return mask >>> 0
  })
}
