// How a worker ends that can not start: the first process says why, once for all of them.
import { tellNotStarted } from './worker-end.ts'

/** What `work` gives. An error with a code for the end of the process is told, and ends it. */
export async function orTell<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    const { exitCode, message } = error as { exitCode?: number; message: string }
    if (exitCode === undefined) throw error
    await tellNotStarted(exitCode, message)
    return process.exit(exitCode)
  }
}
