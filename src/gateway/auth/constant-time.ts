// Signatures are compared without telling by the time taken how much of them was right.
import { timingSafeEqual } from 'node:crypto'

/** Whether two texts are equal; takes as long for any two of the same length. */
export function equalInConstantTime(left: string, right: string): boolean {
  const leftBytes = Buffer.from(left)
  const rightBytes = Buffer.from(right)
  return leftBytes.length === rightBytes.length && timingSafeEqual(leftBytes, rightBytes)
}
