// The executable: command line → cli/*. Every end of the program passes here.

import { buildProgram } from './cli/program.ts'
import { Exit } from './exit.ts'

try {
  await buildProgram().parseAsync(process.argv)
} catch (error) {
  const known = error instanceof Exit
  process.stderr.write(`kintsugi: ${known ? error.message : describeUnexpected(error)}\n`)
  process.exit(known ? error.exitCode : 1)
}

function describeUnexpected(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
