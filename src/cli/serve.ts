// kintsugi serve: the process that has a whole store, over local directories. Where it is told to, or has three cores or more,
// it starts others that serve S3 for it (member.ts).
import { loadServeConfig, processEnvironment, unknownVariables } from '../config.ts'
import type { Exit } from '../exit.ts'
import type { Leash } from '../guard/leash.ts'
import type { Life } from '../guard/life.ts'
import { type Log, openLog } from '../kit/log.ts'
import { computedCounter, Registry } from '../kit/metrics.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { type MemberParts, openMember } from '../member.ts'
import { createAdminServer, listenAdmin } from './admin-server.ts'
import { DRAIN_MS, endOnSignals } from './end-on-signals.ts'
import { type CommandWords, loadConfig } from './load-config.ts'
import { printWelcome } from './welcome.ts'

/** What the guard told, and the way to tell it something. */
interface Guarded {
  life: Life
  leash: Leash
}

/** Runs until SIGTERM or SIGINT; throws Exit when it can not start. */
export async function serve(words: CommandWords, { life, leash }: Guarded): Promise<void> {
  const world = realWorld()
  // Who was given a free port once keeps it.
  const config = { ...(await loadConfig(words, loadServeConfig, world)), ...life.ports }
  const log = openLog(config.logLevel)
  warnOfUnknownVariables(log)
  const registry = new Registry()
  countRestarts(life, registry)
  const remembered = (life.memory ?? []) as MemberParts['remembered']
  const parts = { world, log, registry, restarts: life.restarts, remembered, onFailed: giveUp }
  const member = await stayAlive(openMember(config, parts))
  const { contentType } = registry
  const metrics = (): Promise<string> => member.metrics()
  const admin = createAdminServer({ contentType, metrics }, () => member.readiness())
  const adminEndpoint = await listenAdmin(admin, config).catch(async (error) => {
    await member.close({ deadlineMs: DRAIN_MS })
    throw error
  })
  endOnSignals({ what: 'the store', member, admin, log })
  const ports = { port: portOf(member.endpoint), adminPort: portOf(adminEndpoint) }
  await leash.tell({ ...ports, logLevel: config.logLevel, memory: await member.remember() })
  if (life.ports === undefined) printWelcome(member, config, adminEndpoint)
  else log.info({ endpoint: member.endpoint }, 'the store serves again')
}

function countRestarts({ restarts }: Life, registry: Registry): void {
  const name = 'kintsugi_process_restarts_total'
  const help = 'How often the server ended by a signal and was started again, since its guard began'
  computedCounter({ name, help, value: () => restarts.count }, registry)
}

/** What was acknowledged is on the drives. */
function giveUp({ exitCode, message }: Exit): never {
  process.stderr.write(`kintsugi: ${message}\n`)
  return process.exit(exitCode)
}

/** Of an endpoint; ours always say their port. */
function portOf(endpoint: string): number {
  return Number(/:(\d+)$/.exec(endpoint)?.[1])
}

/** A misspelt variable would otherwise be ignored in silence. */
function warnOfUnknownVariables(log: Log): void {
  for (const name of unknownVariables(processEnvironment())) {
    log.warn({ name }, 'there is no such option: the variable is not used')
  }
}
