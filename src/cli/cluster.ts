// kintsugi cluster: init makes a cluster in etcd, token lets one more node join.

import { openEtcdForCommand } from '../cluster/etcd.ts'
import { initCluster, type MadeCluster } from '../cluster/init.ts'
import { encodeJoinToken } from '../cluster/join-token.ts'
import { clusterIdIn, makeTokens } from '../cluster/tokens.ts'
import { loadClusterInitConfig, loadClusterTokenConfig } from '../config-cluster.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { orExit } from './etcd-exit.ts'
import { type CommandWords, loadConfig } from './load-config.ts'

/** Makes a cluster and says what is needed from then on. Throws Exit. */
export async function initClusterCommand(words: CommandWords): Promise<void> {
  const world = realWorld()
  const config = await loadConfig(words, loadClusterInitConfig, world)
  const etcd = await openEtcdForCommand(config.etcd, world)
  const made = await stayAlive(orExit(initCluster(config, { etcd, world })))
  const isGiven = config.rootCredentials !== undefined
  process.stdout.write(words.json ? `${asJson(made)}\n` : describe(made, { isGiven }))
}

/** Makes one more token and prints it. Throws Exit. */
export async function clusterTokenCommand(words: CommandWords): Promise<void> {
  const world = realWorld()
  const { etcd: where } = await loadConfig(words, loadClusterTokenConfig, world)
  const etcd = await openEtcdForCommand(where, world)
  const token = await stayAlive(
    orExit(
      (async () => {
        const clusterId = await clusterIdIn(where.prefix, etcd)
        const [made] = await makeTokens(1, { ...where, clusterId }, { etcd, world })
        return encodeJoinToken(made!)
      })(),
    ),
  )
  process.stdout.write(`${words.json ? JSON.stringify({ token }) : token}\n`)
}

function asJson({ clusterId, credentials, tokens }: MadeCluster): string {
  return JSON.stringify({ clusterId, ...credentials, tokens: tokens.map(encodeJoinToken) })
}

function describe(
  { clusterId, credentials, tokens }: MadeCluster,
  { isGiven }: { isGiven: boolean },
): string {
  const secret = isGiven ? 'from KINTSUGI_ROOT_SECRET_ACCESS_KEY' : credentials.secretAccessKey
  const lines = [
    `Cluster      ${clusterId}`,
    `Access key   ${credentials.accessKeyId}`,
    `Secret key   ${secret}`,
    '',
    `On ${tokens.length === 1 ? 'the node' : `each of the ${tokens.length} nodes`}, with a token of its own:`,
    '  kintsugi node join TOKEN --state DIR',
    '',
    ...tokens.map(encodeJoinToken),
  ]
  return `${lines.join('\n')}\n`
}
