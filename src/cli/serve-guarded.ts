// The server as its guard starts it: on the leash before it touches anything.
import { GUARD_VARIABLE, processEnvironment, WORKER_VARIABLE } from '../config.ts'
import { holdLeash } from '../guard/leash.ts'
import { readLife } from '../guard/life.ts'
import { assert } from '../kit/assert.ts'
import type { CommandWords } from './load-config.ts'

/** Runs until SIGTERM or SIGINT, or until the guard is gone. Throws Exit. */
export async function serveGuarded(words: CommandWords): Promise<void> {
  const worker = processEnvironment()[WORKER_VARIABLE]
  if (worker !== undefined) {
    const { serveWorker } = await import('./serve-worker.ts')
    return await serveWorker(words, worker)
  }
  const told = processEnvironment()[GUARD_VARIABLE]
  assert(told !== undefined, 'a server has a guard')
  const leash = holdLeash()
  const { serve } = await import('./serve.ts')
  await serve(words, { life: readLife(told), leash })
}
