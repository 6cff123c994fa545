// Tokens as etcd knows them: made, and used up once. Keys: docs/formats/etcd-keys.md.
import type { World } from '../kit/world.ts'
import { CoordinatorUnavailable } from '../placement/coordinator.ts'
import type { EtcdClient } from '../placement/etcd/etcd-client.ts'
import { EtcdUnavailable } from '../placement/etcd/etcd-errors.ts'
import { IMAGE } from '../placement/etcd/mirror.ts'
import { fromJson, HEAD_KEY, NO_CLUSTER, toJson } from '../placement/etcd/state-keys.ts'
import { type JoinToken, newJoinToken } from './join-token.ts'

/** Keys behind the prefix: no process has them in its image. */
const TOKEN_KEYS = 'token/'

// etcd takes 128 changes at a time.
const TOKENS_AT_ONCE = 100
// A lost answer is looked into so often.
const TRIES = 5
const PAUSE_MS = 200

interface TokenValue {
  createdMs: number
  /** The node that has joined with it. */
  usedBy?: string
}

/** The etcd that keeps the tokens. `random` draws their ids, `clock` dates them and paces tries. */
export interface TokenParts {
  etcd: EtcdClient
  world: Pick<World, 'clock' | 'random'>
}

/** Makes so many. Rejects with what etcd gives; some may be there then, and nobody has them. */
export async function makeTokens(
  count: number,
  where: Omit<JoinToken, 'id'>,
  { etcd, world }: TokenParts,
): Promise<JoinToken[]> {
  const tokens = Array.from({ length: count }, () => newJoinToken(where, world))
  const value = toJson({ createdMs: world.clock.now() } satisfies TokenValue)
  for (let at = 0; at < count; at += TOKENS_AT_ONCE) {
    const some = tokens.slice(at, at + TOKENS_AT_ONCE)
    await etcd.txn({
      compare: [],
      changes: some.map((token) => ({ kind: 'put', key: keyOf(token), value })),
    })
  }
  return tokens
}

/**
 * Uses a token up for a node. `unknown`: it was never made, or is not of this cluster. Again for the same node it is `used`
 * as the first time. Rejects with EtcdUnavailable when nobody knows.
 */
export async function useToken(
  token: JoinToken,
  nodeId: string,
  { etcd, world }: TokenParts,
): Promise<'used' | 'unknown' | 'spent'> {
  for (let tries = 0; ; tries += 1) {
    try {
      const outcome = await tryToUse(token, nodeId, etcd)
      if (outcome !== 'lost') return outcome
    } catch (error) {
      if (!(error instanceof EtcdUnavailable) || tries >= TRIES) throw error
    }
    await world.clock.sleep(PAUSE_MS)
  }
}

async function tryToUse(
  token: JoinToken,
  nodeId: string,
  etcd: EtcdClient,
): Promise<'used' | 'unknown' | 'spent' | 'lost'> {
  const key = keyOf(token)
  const [found] = (await etcd.range({ key })).keys
  if (found === undefined) return 'unknown'
  const value = fromJson(found.value) as TokenValue
  if (value.usedBy !== undefined) return value.usedBy === nodeId ? 'used' : 'spent'
  const { succeeded } = await etcd.txn({
    compare: [{ key, modRevision: found.modRevision }],
    changes: [{ kind: 'put', key, value: toJson({ ...value, usedBy: nodeId }) }],
  })
  return succeeded ? 'used' : 'lost'
}

/** The id of the cluster under this prefix. Rejects with CoordinatorUnavailable where there is none. */
export async function clusterIdIn(prefix: string, etcd: EtcdClient): Promise<string> {
  const { keys } = await etcd.range({ key: `${prefix}${IMAGE}${HEAD_KEY}` })
  const head = keys[0] && (fromJson(keys[0].value) as { state?: { clusterId?: string } })
  const clusterId = head?.state?.clusterId
  if (clusterId !== undefined) return clusterId
  throw new CoordinatorUnavailable(NO_CLUSTER, { why: 'refused' })
}

function keyOf({ prefix, id }: JoinToken): string {
  return `${prefix}${TOKEN_KEYS}${id}`
}
