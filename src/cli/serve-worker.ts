// One of the processes of kintsugi serve --processes N: S3 over the store that the first of them has.
import { loadServeConfig } from '../config.ts'
import { openLog } from '../kit/log.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { openWorker } from '../worker-member.ts'
import { orTell } from '../workers/or-tell.ts'
import { readWorkerStart } from '../workers/worker-end.ts'
import { type CommandWords, loadConfig } from './load-config.ts'

/** Runs until the first process tells it to end, or is gone. */
export async function serveWorker(words: CommandWords, told: string): Promise<void> {
  const world = realWorld()
  const config = await loadConfig(words, loadServeConfig, world)
  const parts = { world, log: openLog(config.logLevel) }
  await orTell(stayAlive(openWorker(config, readWorkerStart(told), parts)))
}
