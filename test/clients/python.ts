// Checks that are written in Python, because the client is: each prints TAP about a store of its own, over http and https.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import t from 'tap'
import { skipFor } from './commands.ts'
import { SCHEMES, startStore, TEST_MS } from './store.ts'

/** A client, the file with its checks, and what else they need. */
export interface PythonChecks {
  client: string
  /** In test/clients. */
  script: string
  /** What must be there to import. */
  module: string
  /** The environment that install.sh made for it. */
  venv?: string
  settings?: NodeJS.ProcessEnv
}

/** Runs the checks over each scheme. */
export function checkWithPython({ client, script, module, venv, settings }: PythonChecks): void {
  const installed = `${venv ?? '.venv'}/bin/python`
  const python = existsSync(installed) ? installed : 'python3'
  const skip = skipFor(hasModule(python, module) ? [] : [module])
  t.setTimeout(SCHEMES.length * TEST_MS)
  for (const scheme of SCHEMES) {
    t.test(`${client} over ${scheme}`, { timeout: TEST_MS, skip }, async (t) => {
      const { environment, scratch } = await startStore(t, scheme)
      const env = { ...environment, ...settings }
      await t.spawn(python, [`test/clients/${script}`, scratch], { env, timeout: TEST_MS }, script)
    })
  }
}

function hasModule(python: string, module: string): boolean {
  return spawnSync(python, ['-c', `import ${module}`]).status === 0
}
