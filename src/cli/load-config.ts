// What a command was told, and the configuration that comes of it.
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
