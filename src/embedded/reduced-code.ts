// The code of the storage class REDUCED_REDUNDANCY: what --reduced-redundancy-code says, or one parity shard less
// than the store has. It may change with every start: each blob remembers its own code.
import type { ServeConfig } from '../config.ts'
import { Exit } from '../exit.ts'
import { type ErasureCode, nameCode, shardCount } from '../kit/erasure-code.ts'

/**
 * The code, beside `standard`, that of all other classes. `slotCount`: how many drives every partition has.
 * Throws Exit when the option asks for what can not be.
 */
export function chooseReducedCode(
  config: Pick<ServeConfig, 'reducedRedundancyCode'>,
  standard: ErasureCode,
  slotCount: number,
): ErasureCode {
  const code = askedReducedCode(config, standard)
  if (!code) return { ...standard, parityCount: lessParity(standard) }
  const option = `--reduced-redundancy-code ${nameCode(code)}`
  if (code.parityCount > standard.parityCount)
    throw new Exit(
      2,
      `${option} has more parity than the code of the store, ${nameCode(standard)}.`,
    )
  if (shardCount(code) > slotCount)
    throw new Exit(
      2,
      `${option} needs ${shardCount(code)} drives, but a partition of this store has ${slotCount}.`,
    )
  return code
}

/** The code that the option names, for a store of this code; undefined without the option. */
export function askedReducedCode(
  { reducedRedundancyCode: asked }: Pick<ServeConfig, 'reducedRedundancyCode'>,
  { matrix }: ErasureCode,
): ErasureCode | undefined {
  return asked && { ...asked, matrix }
}

/** One less, but never none where the store has any. */
function lessParity({ parityCount }: ErasureCode): number {
  return Math.min(parityCount, Math.max(1, parityCount - 1))
}
