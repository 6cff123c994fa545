// Assertions stay on in production: better to stop than to store doubt.

/** Thrown when the program itself is wrong, never for bad input and never for a broken disk. */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

/** Throws AssertionFailed with `claim` unless `condition` holds. */
export function assert(condition: unknown, claim: string): asserts condition {
  if (!condition) throw new AssertionFailed(`it does not hold that ${claim}`)
}

/** For the default branch of a switch over a union: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unexpected case ${JSON.stringify(value)}`)
}
