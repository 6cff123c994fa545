// A copy of what was built, with a deliberate bug in it, and the search for a seed that shows the bug.
import { execFile } from 'node:child_process'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import type { Bug } from './bugs.ts'
import { SEED_OPTIONS } from './slice-runs.ts'

/** Bugs that are looked for side by side: one for each core. */
const PROCESSES = 2
const SEEDS = 500
const built = fileURLToPath(new URL('../..', import.meta.url))

/** Where to look: what to copy of the build beside test/sim, the program that runs seeds, and how long it may take. */
export interface Search {
  parts: readonly string[]
  program: string
  deadlineMs: number
}

/** Fails `t` for every bug that 500 seeds do not show. */
export async function findAll(t: Test, bugs: readonly Bug[], search: Search): Promise<void> {
  const scratch = t.testdir()
  const left = [...bugs.entries()]
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [number, bug] = next
      const directory = join(scratch, String(number))
      await plant(bug, directory, search.parts)
      const found = await findIt(directory, search)
      t.ok(found, bug.name)
      t.comment(`${bug.name}: ${found?.slice(0, 200) ?? 'not found'}`)
    }
  }
  await Promise.all(Array.from({ length: PROCESSES }, work))
}

/** A copy with the bug in it. */
async function plant(bug: Bug, directory: string, parts: readonly string[]): Promise<void> {
  for (const part of ['test/sim', ...parts])
    await cp(join(built, part), join(directory, part), { recursive: true })
  for (const [file, text] of await withBug(bug)) await writeFile(join(directory, 'src', file), text)
}

/** The files in which the bug is, as they are with it. @throws Error when the place of an edit is not there exactly once. */
export async function withBug({ edits }: Bug): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const { file, text, by } of edits) {
    const before = files.get(file) ?? (await readFile(join(built, 'src', file), 'utf8'))
    if (before.split(text).length !== 2) throw new Error(`${file} does not say once: ${text}`)
    files.set(
      file,
      before.replace(text, () => by),
    )
  }
  return files
}

/** The line about the first seed that fails; undefined when none does. */
async function findIt(
  directory: string,
  { program, deadlineMs }: Search,
): Promise<string | undefined> {
  const path = join(directory, 'test/sim', program)
  const seeds = ['--from', '1', '--seeds', String(SEEDS), '--stop-at-failure']
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...SEED_OPTIONS, path, ...seeds],
    {
      timeout: deadlineMs,
    },
  ).catch((error: { stdout: string }) => error)
  return stdout.split('\n').find((line) => line.startsWith('seed '))
}
