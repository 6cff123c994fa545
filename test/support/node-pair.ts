// A node that serves on loopback and one that asks it, for tests of the node protocol.
import type { Test } from 'tap'
import { silentLog } from '../../src/kit/log.ts'
import { realWorld, stayAlive } from '../../src/kit/world.ts'
import type { StorageNode } from '../../src/storage-node/contract.ts'
import { NodeServer, type NodeServerOptions } from '../../src/storage-node/rpc/node-server.ts'
import type { MessageHandler, NodeService } from '../../src/storage-node/rpc/node-service.ts'
import { Peer, type PeerOptions } from '../../src/storage-node/rpc/peer.ts'
import type { NodeIdentity } from '../../src/storage-node/rpc/sessions.ts'
import { ShardService } from '../../src/storage-node/rpc/shard-service.ts'

/** Secrets of clusters that only tests know. */
export const SECRET = Buffer.alloc(32, 'the secret of the test cluster')
export const OTHER_SECRET = Buffer.alloc(32, 'another secret')

/** A node of the test cluster. */
export function identityOf(
  nodeId: string,
  secrets: readonly Uint8Array[] = [SECRET],
): NodeIdentity {
  return { clusterId: 'test', nodeId, secrets: () => secrets }
}

/** A type of messages that only tests know. */
export const TYPE = 32

/** A service that knows one kind of messages. */
export function answering(handler: MessageHandler): NodeService {
  return { messages: new Map([[TYPE, handler]]), streams: new Map() }
}

/** Serves until the test ends. */
export async function startNode(
  t: Test,
  service: NodeService,
  options: Partial<NodeServerOptions> = {},
  wantedPort = 0,
): Promise<{ port: number; origin: string; server: NodeServer }> {
  const parts = { world: realWorld(), log: silentLog, service }
  const server = new NodeServer({ identity: identityOf('n1'), ...options }, parts)
  const { port } = await server.listen({ address: '127.0.0.1', port: wantedPort })
  t.teardown(() => stayAlive(server.close({ deadlineMs: 0 })))
  return { port, origin: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`, server }
}

/** Serves the shards of `node` until the test ends. */
export async function serveShards(
  t: Test,
  node: StorageNode,
  options: Partial<NodeServerOptions> = {},
): ReturnType<typeof startNode> {
  const service = new ShardService(node, { clock: realWorld().clock, log: silentLog })
  t.teardown(() => service.close())
  return await startNode(t, service, options)
}

/** Asks node n1 as node g1 until the test ends. */
export function openPeer(t: Test, options: Partial<PeerOptions> & { origin: string }): Peer {
  const peer = new Peer({ identity: identityOf('g1'), to: 'n1', ...options }, realWorld())
  t.teardown(() => peer.close())
  return peer
}
