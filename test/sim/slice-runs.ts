// Hundreds of seeds as a test, in as many processes as there are cores: `SIM_FROM` and `SIM_SEEDS` choose others.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const PROCESSES = 2

/** A process does so many and ends: what engines keep of worlds that are no more grows with every seed, by 12 MB. */
const SLICE_SEEDS = 50

/** How Node runs seeds: most of what they make is garbage at once, and need not be copied before it is known to be. */
export const SEED_OPTIONS: readonly string[] = ['--max-semi-space-size=32']

/** Fails when one of the first seeds does, 500 when left out; `program` is one of slices.ts, in this directory. */
export function runSlices(program: string, count = 500): void {
  const from = Number(process.env.SIM_FROM ?? 1)
  const seeds = Number(process.env.SIM_SEEDS ?? count)
  const path = fileURLToPath(new URL(program, import.meta.url))
  const slices: Slice[] = []
  for (let at = from; at < from + seeds; at += SLICE_SEEDS)
    slices.push({ from: at, seeds: Math.min(SLICE_SEEDS, from + seeds - at) })
  t.test(`seeds ${from} to ${from + seeds - 1}`, { timeout: 1_200_000 }, async (t) => {
    const run = async (): Promise<void> => {
      for (let slice = slices.shift(); slice; slice = slices.shift()) {
        const told = await runSlice(path, slice)
        t.comment(told)
        t.match(told, /failures 0, histories undecided 0,/, `from ${slice.from}`)
      }
    }
    await Promise.all(Array.from({ length: PROCESSES }, run))
  })
}

interface Slice {
  from: number
  seeds: number
}

/** What the program says of a slice. */
async function runSlice(path: string, { from, seeds }: Slice): Promise<string> {
  const words = [...SEED_OPTIONS, path, '--from', String(from), '--seeds', String(seeds)]
  const ran = promisify(execFile)(process.execPath, words)
  return (await ran.catch((error: { stdout: string }) => error)).stdout
}
