// Each deliberate bug, put into a copy of what was built, is found within 500 seeds.
import { execFile } from 'node:child_process'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { BUGS, type Bug, type Edit } from './bugs.ts'

const SEEDS = 500
/** Bugs that are looked for side by side: one for each core. */
const PROCESSES = 2
const DEADLINE_MS = 240_000
const built = fileURLToPath(new URL('../..', import.meta.url))

/** A copy of src/ and of what the simulation needs, with the bug in it. */
async function plant({ edits }: Bug, directory: string): Promise<void> {
  for (const part of ['src', 'test/sim', 'test/crash', 'test/support'])
    await cp(join(built, part), join(directory, part), { recursive: true })
  for (const edit of edits) await change(edit, join(directory, 'src', edit.file))
}

async function change({ file, text, by }: Edit, path: string): Promise<void> {
  const before = await readFile(path, 'utf8')
  if (before.split(text).length !== 2) throw new Error(`${file} does not say once: ${text}`)
  await writeFile(path, before.replace(text, by))
}

/** The line about the first seed that fails; undefined when none does. */
async function findIt(directory: string): Promise<string | undefined> {
  const program = join(directory, 'test/sim/run.js')
  const seeds = ['--from', '1', '--seeds', String(SEEDS), '--stop-at-failure']
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...seeds], {
    timeout: DEADLINE_MS,
  }).catch((error: { stdout: string }) => error)
  return stdout.split('\n').find((line) => line.startsWith('seed '))
}

t.test('deliberate bugs are found', { timeout: 600_000 }, async (t) => {
  const scratch = t.testdir()
  const left = [...BUGS.entries()]
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [number, bug] = next
      const directory = join(scratch, String(number))
      await plant(bug, directory)
      const found = await findIt(directory)
      t.ok(found, bug.name)
      t.comment(`${bug.name}: ${found?.slice(0, 200) ?? 'not found'}`)
    }
  }
  await Promise.all(Array.from({ length: PROCESSES }, work))
})
