// Whether a node serves, and what it lacks: for /health/ready. Pure.
import { counted } from '../kit/counted.ts'
import { hasTable } from '../placement/cluster-map.ts'
import type { ClusterState } from '../placement/coordinator.ts'
import type { Standing } from '../placement/etcd/mirror.ts'
import { planFirstMap } from '../placement/first-map.ts'
import { sayNodesAway } from './cluster-readiness.ts'
import { reasonOf, type UnservedDrive } from './unserved-drives.ts'

/** A drive of this node. */
export interface ReadyDrive {
  id: number
  path: string
  failure: unknown | undefined
}

/** What a node knows of itself and of others. */
export interface ReadyNode {
  drives: readonly ReadyDrive[]
  /** Drives that the map has in this node and that were not opened. */
  unserved: readonly UnservedDrive[]
  /** Ids of the other nodes that do not answer it. */
  nodesAway: readonly string[]
  /** How many of the metadata partitions that it leads lack a majority of their replicas. */
  stuck: number
}

/**
 * Ready once the cluster has begun and all drives that work are part of it; one sentence for each thing that is missing. What others lack does
 * not make a node unready: who takes unready ones out of the names that they have would cut off those that are left.
 */
export function readinessOfNode(
  { drives, unserved, nodesAway, stuck }: ReadyNode,
  { state, standing }: { state: ClusterState; standing: Standing },
): { ready: boolean; degraded: readonly string[] } {
  const degraded: string[] = []
  const plan = planFirstMap(state)
  if (plan.kind === 'awaited' || plan.kind === 'refused') degraded.push(plan.sentence)
  if (standing.kind !== 'current') degraded.push(`etcd is ${standing.kind}: ${standing.why}`)
  const isNamed = (id: number): boolean => state.map.drives.some((drive) => drive.id === id)
  const working = drives.filter(({ failure }) => failure === undefined)
  const unnamed = working.filter(({ id }) => !isNamed(id))
  for (const { id, failure } of drives) {
    if (failure !== undefined) degraded.push(`drive ${id} failed: ${reasonOf(failure)}`)
  }
  for (const { id, isLive, path, failure } of unserved) {
    const where = path === undefined ? '' : ` at ${path}`
    if (!isLive) degraded.push(`drive ${id}${where} is left out: ${reasonOf(failure)}`)
  }
  for (const { id, path } of unnamed) {
    degraded.push(`drive ${id} at ${path} is not part of the cluster yet`)
  }
  if (nodesAway.length > 0) degraded.push(sayNodesAway(nodesAway, state.map))
  if (stuck > 0)
    degraded.push(
      `${counted(stuck, 'metadata partition')} that this node leads ${stuck === 1 ? 'lacks' : 'lack'} a majority of replicas.`,
    )
  return { ready: hasTable(state.map) && unnamed.length === 0, degraded }
}
