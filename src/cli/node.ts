// kintsugi node: join makes a directory the state of a new node; without it the node serves.
import { joinNode } from '../cluster/join.ts'
import { parseJoinToken } from '../cluster/join-token.ts'
import { type ClusterNode, openNode } from '../cluster/node.ts'
import { processEnvironment, unknownVariables } from '../config.ts'
import { loadNodeConfig, loadNodeJoinConfig, NODE_OPTIONS } from '../config-cluster.ts'
import { Exit } from '../exit.ts'
import { openLog } from '../kit/log.ts'
import { Registry } from '../kit/metrics.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { createAdminServer, listenAdmin } from './admin-server.ts'
import { DRAIN_MS, endOnSignals } from './end-on-signals.ts'
import { orExit } from './etcd-exit.ts'
import { letHeapGrow } from './let-heap-grow.ts'
import { type CommandWords, loadConfig } from './load-config.ts'

/** Serves until SIGTERM or SIGINT. Throws Exit when it can not start. */
export async function nodeProcess(words: CommandWords): Promise<void> {
  letHeapGrow()
  const world = realWorld()
  const config = await loadConfig(words, loadNodeConfig, world)
  const log = openLog(config.logLevel)
  for (const name of unknownVariables(processEnvironment(), NODE_OPTIONS)) {
    log.warn({ name }, 'there is no such option: the variable is not used')
  }
  const registry = new Registry()
  const node = await stayAlive(orExit(openNode(config, { world, log, registry })))
  const admin = createAdminServer(registry, () => node.readiness())
  const adminEndpoint = await listenAdmin(admin, config).catch(async (error) => {
    await node.close({ deadlineMs: DRAIN_MS })
    throw error
  })
  endOnSignals({ what: 'the node', member: node, admin, log })
  printNode(node, adminEndpoint)
}

/** Uses a token up. Throws Exit. */
export async function joinNodeCommand(word: string, words: CommandWords): Promise<void> {
  const world = realWorld()
  const config = await loadConfig(words, loadNodeJoinConfig, world)
  const token = parseJoinToken(word)
  if (token === undefined) {
    throw new Exit(
      2,
      'this is no token: kintsugi cluster init and kintsugi cluster token make them.',
    )
  }
  const { nodeId, clusterId } = await stayAlive(orExit(joinNode(token, config, world)))
  if (words.json) {
    process.stdout.write(`${JSON.stringify({ nodeId, clusterId })}\n`)
    return
  }
  const { stateDirectory } = config
  process.stdout.write(
    `This is node ${nodeId} of cluster ${clusterId}. Serve its drives with:\n` +
      `  kintsugi node DIR… --state ${stateDirectory} --listen ADDRESS:PORT\n`,
  )
}

function printNode({ nodeId, clusterId, origin, drives }: ClusterNode, admin: string): void {
  const lines = [
    `Node          ${nodeId} of cluster ${clusterId}`,
    `Address       ${origin}`,
    `Admin         ${admin}`,
    ...drives.map(({ id, path }) => `Drive         ${id} at ${path}`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
