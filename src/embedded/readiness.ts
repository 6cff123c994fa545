// Whether the store can serve, and what it lacks: for /health/ready and for the first lines of a start. Pure.
import type { ClusterState } from '../placement/coordinator.ts'
import { nameDrive } from '../storage-node/start-plan.ts'

/** Not ready with more drives out than the code can spare; one sentence for what is missing. */
export function readinessOf({ map }: Pick<ClusterState, 'map'>): {
  ready: boolean
  degraded: readonly string[]
} {
  const out = map.drives.filter(({ state }) => state === 'out')
  const ready = out.length <= map.code.parityCount && out.length < map.drives.length
  if (out.length === 0) return { ready, degraded: [] }
  const names = out.map((drive) => `${nameDrive(drive)}, ${drive.reason ?? 'it is out'}`)
  const sentence = `Degraded: ${out.length} of ${map.drives.length} drives are out (${names.join('; ')}).`
  return { ready, degraded: [sentence] }
}
