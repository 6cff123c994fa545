// What the commands of a cluster share: how they read their configuration, and what etcd does to them in one sentence.
import { processEnvironment } from '../config.ts'
import { ConfigError, type ConfigSources } from '../config-settings.ts'
import { Exit } from '../exit.ts'
import type { World } from '../kit/world.ts'

/** What the command line said. */
export interface CommandWords {
  directories?: readonly string[]
  options: ConfigSources['options']
  /** Answers for programs. */
  json?: boolean
}

/** Reads the configuration of a command; throws Exit where it is wrong. */
export async function loadConfig<Config>(
  { directories = [], options }: CommandWords,
  load: (sources: ConfigSources) => Promise<Config>,
  { disk }: Pick<World, 'disk'>,
): Promise<Config> {
  try {
    return await load({
      directories,
      options,
      environment: processEnvironment(),
      readFile: async (path) => Buffer.from(await disk.readFile(path)).toString('utf8'),
    })
  } catch (error) {
    if (error instanceof ConfigError) throw new Exit(2, error.message)
    throw error
  }
}

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
