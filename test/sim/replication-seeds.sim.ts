// Hundreds of seeds of the replication protocol: `SIM_FROM` and `SIM_SEEDS` choose others.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const from = Number(process.env.SIM_FROM ?? 1)
const seeds = Number(process.env.SIM_SEEDS ?? 500)
const program = fileURLToPath(new URL('./replication/run.js', import.meta.url))

t.test(`seeds ${from} to ${from + seeds - 1}`, { timeout: 600_000 }, async (t) => {
  const slice = ['--from', String(from), '--seeds', String(seeds)]
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...slice]).catch(
    (error: { stdout: string }) => error,
  )
  t.comment(stdout)
  t.match(stdout, /failures 0,/, slice.join(' '))
})
