// Whether a node serves, and what it lacks: for /health/ready. Pure.
import { hasTable } from '../placement/cluster-map.ts'
import type { ClusterState } from '../placement/coordinator.ts'
import type { Standing } from '../placement/etcd/mirror.ts'
import { planFirstMap } from '../placement/first-map.ts'
import { reasonOf, type UnservedDrive } from './unserved-drives.ts'

/** A drive of this node. */
export interface ReadyDrive {
  id: number
  path: string
  failure: unknown | undefined
}

/**
 * Ready once the cluster has begun and all drives that work are part of it; one sentence for each thing that is missing. `unserved`: drives
 * that the map has in this node and that were not opened.
 */
export function readinessOfNode(
  { drives, unserved }: { drives: readonly ReadyDrive[]; unserved: readonly UnservedDrive[] },
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
  return { ready: hasTable(state.map) && unnamed.length === 0, degraded }
}
