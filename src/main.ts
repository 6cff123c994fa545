// The executable: command line → cli/*. Every end of the program passes here.
import { guardServer, isToGuard } from './cli/guard-server.ts'
import { Exit } from './exit.ts'

try {
  if (isToGuard(process.argv.slice(2))) await guardServer()
  // Only now, so that a guard stays small.
  const { buildProgram } = await import('./cli/program.ts')
  await buildProgram().parseAsync(process.argv)
} catch (error) {
  const known = error instanceof Exit
  process.stderr.write(`kintsugi: ${known ? error.message : describeUnexpected(error)}\n`)
  process.exit(known ? error.exitCode : 1)
}

function describeUnexpected(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
