// One round of clients that wanted to create one key: what may have come of it.

/** `unknown`: it was not answered, or by an error: it may have won, and lost. */
export type Outcome = 'won' | 'lost' | 'unknown'

/** What was found of a round. */
export interface RoundVerdict {
  winners: number
  unknown: number
  violations: string[]
}

/** `outcomes` by creator, then whom each gateway named afterwards. */
export function judgeRound(
  outcomes: readonly Outcome[],
  reads: readonly (number | 'absent')[],
): RoundVerdict {
  const winners = outcomes.flatMap((outcome, creator) => (outcome === 'won' ? [creator] : []))
  const unknown = outcomes.filter((outcome) => outcome === 'unknown').length
  return {
    winners: winners.length,
    unknown,
    violations: [
      ...troublesOfWinners(winners, outcomes),
      ...troublesOfReads(winners, outcomes, reads),
    ],
  }
}

function troublesOfWinners(winners: readonly number[], outcomes: readonly Outcome[]): string[] {
  if (winners.length > 1) return [`${winners.join(' and ')} were told that they created it`]
  const isRefusedForNothing =
    winners.length === 0 && outcomes.every((outcome) => outcome === 'lost')
  return isRefusedForNothing ? ['everybody was refused, and nobody had created it'] : []
}

function troublesOfReads(
  winners: readonly number[],
  outcomes: readonly Outcome[],
  reads: readonly (number | 'absent')[],
): string[] {
  const [winner] = winners
  // What was not answered may be done late: reads that differ are explained by that only from nothing to something.
  const troubles = reads
    .filter((read) => winner !== undefined && read !== winner)
    .map((read) => `${winner} created it, and ${read} is read`)
  const others = [...new Set(reads)].filter((read) => read !== 'absent')
  if (winner === undefined && others.length > 1) troubles.push(`${others.join(' and ')} are read`)
  for (const read of others) {
    if (typeof read === 'number' && outcomes[read] === 'lost')
      troubles.push(`${read} was refused, and is read`)
  }
  const wasRefused = outcomes.includes('lost')
  if (wasRefused && reads.includes('absent'))
    troubles.push('somebody was refused, and nothing is read')
  return troubles
}
