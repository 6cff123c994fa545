// The end of the leash that the server holds: a thread that ends the process when the guard is gone.
// A thread with a loop of its own, because whoever kills the guard means the server, however busy that is.
import { Worker } from 'node:worker_threads'
import type { Listening } from './life.ts'

/** The way to the guard. */
export interface Leash {
  /** Tells the guard where the server listens; resolves when that is on its way. */
  tell(listening: Listening): Promise<void>
}

/** Takes the leash for as long as the process lives. */
export function holdLeash(): Leash {
  const thread = new Worker(new URL('./leash-thread.js', import.meta.url), {
    execArgv: [],
    // It does next to nothing.
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  })
  thread.unref()
  return {
    tell: (listening) =>
      new Promise((resolve) => {
        thread.once('message', () => resolve())
        thread.postMessage(`${JSON.stringify(listening)}\n`)
      }),
  }
}
