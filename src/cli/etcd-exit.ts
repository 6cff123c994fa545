// What etcd does to a command, in one sentence.
import { Exit } from '../exit.ts'

const OF_ETCD = new Set(['ETCD_UNAVAILABLE', 'ETCD_REFUSED', 'COORDINATOR_UNAVAILABLE'])

/** What etcd did not do becomes an Exit with its sentence. */
export async function orExit<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (!OF_ETCD.has(code ?? '')) throw error
    throw new Exit(1, `${message}.`, { cause: error })
  }
}
