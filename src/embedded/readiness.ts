// Whether the store can serve, and what it lacks: for /health/ready and for the first lines of a start. Pure.
import type { ClusterState } from '../placement/coordinator.ts'
import { isDispensable, nameDrive } from '../storage-node/start-plan.ts'

/** Not ready with more drives out than the code can spare; one sentence for what is missing. */
export function readinessOf({ map }: Pick<ClusterState, 'map'>): {
  ready: boolean
  degraded: readonly string[]
} {
  // One that nothing names any more is not missed, there or not.
  const out = map.drives.filter((drive) => drive.state === 'out' && !isDispensable(drive))
  const ready = out.length <= map.code.parityCount && out.length < map.drives.length
  if (out.length === 0) return { ready, degraded: [] }
  const names = out.map((drive) => `${nameDrive(drive)}, ${drive.reason ?? 'it is out'}`)
  const sentence = `Degraded: ${out.length} of ${map.drives.length} drives are out (${names.join('; ')}).`
  return { ready, degraded: [sentence] }
}
