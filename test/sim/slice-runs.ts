// Hundreds of seeds as a test, in as many processes as there are cores: `SIM_FROM` and `SIM_SEEDS` choose others.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const PROCESSES = 2

/** How Node runs seeds: most of what they make is garbage at once, and need not be copied before it is known to be. */
export const SEED_OPTIONS: readonly string[] = ['--max-semi-space-size=32']

/** Fails when one of the first seeds does, 500 when left out; `program` is one of slices.ts, in this directory. */
export function runSlices(program: string, count = 500): void {
  const from = Number(process.env.SIM_FROM ?? 1)
  const seeds = Number(process.env.SIM_SEEDS ?? count)
  const path = fileURLToPath(new URL(program, import.meta.url))
  t.test(`seeds ${from} to ${from + seeds - 1}`, { timeout: 1_200_000 }, async (t) => {
    const share = Math.ceil(seeds / PROCESSES)
    const slices = Array.from({ length: PROCESSES }, (_, index) => from + index * share)
    await Promise.all(
      slices.map(async (first) => {
        const mine = Math.min(share, from + seeds - first)
        const slice = ['--from', String(first), '--seeds', String(mine)]
        const { stdout } = await promisify(execFile)(process.execPath, [
          ...SEED_OPTIONS,
          path,
          ...slice,
        ]).catch((error: { stdout: string }) => error)
        t.comment(stdout)
        t.match(stdout, /failures 0, histories undecided 0,/, slice.join(' '))
      }),
    )
  })
}
