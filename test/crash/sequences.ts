// Runs generated sequences by their seeds. SEED=7 runs that one alone, in all ways of losing power at every operation;
// SEQUENCES=2000 runs so many, from FROM on: `npm run nightly` does, with other seeds every day.

/** What sequences showed: how often the power went off, and what was wrong afterwards. */
export interface SequenceResult {
  crashes: number
  faults: string[]
}

/** Runs one sequence; `dense`: in every way. */
export type RunSequence = (seed: number, options: { dense: boolean }) => Promise<SequenceResult>

const FAULTS_MAX = 10

/** Runs `count` sequences unless the environment says otherwise. A fault tells how its seed is run alone. */
export async function runSequences(
  test: string,
  count: number,
  run: RunSequence,
): Promise<SequenceResult & { seeds: string }> {
  const { SEED, SEQUENCES, FROM } = process.env
  const first = Number(SEED ?? FROM ?? 1)
  const last = SEED ? first : first + Number(SEQUENCES ?? count) - 1
  const total: SequenceResult = { crashes: 0, faults: [] }
  for (let seed = first; seed <= last && total.faults.length < FAULTS_MAX; seed += 1) {
    const { crashes, faults } = await run(seed, { dense: SEED !== undefined }).catch(asFault)
    total.crashes += crashes
    const alone = `SEED=${seed} node dist/test/crash/${test}.test.js`
    total.faults.push(...faults.map((fault) => `${alone}: ${fault}`))
  }
  return { ...total, seeds: `seeds ${first} to ${last}` }
}

function asFault(error: unknown): SequenceResult {
  return { crashes: 0, faults: [error instanceof Error ? `${error.stack}` : String(error)] }
}
