// The guard of kintsugi serve: this command once more in a process of its own, which is then the server.
// It imports next to nothing: what it costs, it costs beside every server.
import { constants } from 'node:os'
import { GUARD_VARIABLE, processEnvironment } from '../config.ts'
import { Exit } from '../exit.ts'
import { Guard, type GuardEnd } from '../guard/guard.ts'
import { startServerProcess } from '../guard/server-process.ts'
import { realWorld, stayAlive } from '../kit/world.ts'

/**
 * V8 begins with a limit for old objects that is hardly above what a server holds (27 MiB), and collects all of them whenever
 * some 12 MiB more grew old: twice a second where 1 GB/s is read, a tenth of what the server costs. Below this many MiB it does not.
 */
const OLD_SPACE_MEBIBYTES = 80

/**
 * Of what a collection left in the heap: so much may come to it before all is collected again. By itself V8 takes up to 300, and what
 * lists make of garbage then grows to four times what a server holds. Collections cost other threads some percent of a PUT.
 */
const GROWING_PERCENT = 150

/** Whether this process is to be the guard: it was asked to serve, and not by a guard. */
export function isToGuard(words: readonly string[]): boolean {
  return words[0] === 'serve' && processEnvironment()[GUARD_VARIABLE] === undefined
}

/** Runs until the server ends as it should; then the process ends likewise. Throws Exit. */
export async function guardServer(): Promise<never> {
  const command = {
    program: process.execPath,
    // What the user says of it comes behind, and counts.
    words: [
      `--initial-old-space-size=${OLD_SPACE_MEBIBYTES}`,
      `--heap-growing-percent=${GROWING_PERCENT}`,
      ...process.execArgv,
      ...process.argv.slice(1),
    ],
    environment: processEnvironment(),
    variable: GUARD_VARIABLE,
  }
  const guard = new Guard({
    world: realWorld(),
    start: (life) => startServerProcess(command, life),
    openLog: async (level) => (await import('../kit/log.ts')).openLog(level),
  })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => guard.passOn(signal))
  }
  return endLike(await stayAlive(guard.run()))
}

/** Whoever started the guard is to see the end of the server. */
function endLike(end: GuardEnd): never {
  switch (end.kind) {
    case 'exit':
      return process.exit(end.code)
    case 'asked':
      return process.exit(0)
    case 'gave-up':
      throw new Exit(1, end.sentence)
    case 'signal':
      process.removeAllListeners(end.signal)
      process.kill(process.pid, end.signal)
      // Process 1 of a container outlives it.
      return process.exit(128 + constants.signals[end.signal])
  }
}
