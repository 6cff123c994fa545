// The order of texts as bytes of UTF-8, without their bytes: JavaScript's own order is another one above U+FFFF.

/** Units of surrogates and what sorts behind them in UTF-16 but before them in UTF-8. */
const ABOVE_SURROGATES = /[\ud800-\uffff]/

/** Order of the UTF-8 of two texts: negative, zero or positive. */
export function compareAsUtf8(left: string, right: string): number {
  if (left === right) return 0
  // The orders differ only where both texts have such a unit.
  if (ABOVE_SURROGATES.test(left) && ABOVE_SURROGATES.test(right))
    return Buffer.compare(Buffer.from(left), Buffer.from(right))
  return left < right ? -1 : 1
}
