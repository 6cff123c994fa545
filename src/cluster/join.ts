// A node joins: it gets an id, its token is used up, and its state directory says from then on who it is.
import type { NodeJoinConfig } from '../config-cluster.ts'
import { Exit } from '../exit.ts'
import type { World } from '../kit/world.ts'
import { openEtcdForCommand } from './etcd.ts'
import type { JoinToken } from './join-token.ts'
import { type NodeFile, newNodeId, readNodeFile, writeNodeFile } from './node-file.ts'
import { makeStateDirectory } from './state-directory.ts'
import { useToken } from './tokens.ts'

/** Throws Exit with a sentence; rejects with what etcd and the disk give. Cut off after the token was used up it needs another one. */
export async function joinNode(
  token: JoinToken,
  { stateDirectory, etcdAccess }: NodeJoinConfig,
  world: World,
): Promise<NodeFile> {
  await makeStateDirectory(stateDirectory, world)
  const known = await readNodeFile(stateDirectory, world)
  if (known !== undefined) {
    throw new Exit(2, `${stateDirectory} is the state directory of node ${known.nodeId} already.`)
  }
  const { endpoints, prefix, clusterId } = token
  const etcd = await openEtcdForCommand({ endpoints, ...etcdAccess }, world)
  const nodeId = newNodeId(world)
  const outcome = await useToken(token, nodeId, { etcd, world })
  if (outcome === 'unknown')
    throw new Exit(2, 'this token is of no cluster that is here: kintsugi cluster token makes one.')
  if (outcome === 'spent')
    throw new Exit(2, 'this token was used already: kintsugi cluster token makes another.')
  const file = { nodeId, clusterId, etcd: { endpoints, prefix } }
  await writeNodeFile(stateDirectory, file, world)
  return file
}
