// Whether a gateway can serve, and what its cluster lacks as far as it knows: for /health/ready.
import { counted } from '../kit/counted.ts'
import { nodeIdsOf } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { Standing } from '../placement/etcd/mirror.ts'
import { isDispensable, nameDrive } from '../storage-node/start-plan.ts'
import type { ClockWatch } from './clock-watch.ts'
import type { NodeCare } from './node-care.ts'

/** One sentence for each thing that is missing. */
export interface ClusterReadiness {
  ready: boolean
  degraded: readonly string[]
}

/** Not ready when the half of the nodes does not answer: somebody else may reach them. */
export function readinessOfCluster(
  { state, standing }: Pick<Coordinator, 'state'> & { standing: Standing },
  { nodesAway }: Pick<NodeCare, 'nodesAway'>,
  { sentence: ofClock }: Pick<ClockWatch, 'sentence'>,
): ClusterReadiness {
  const nodes = nodeIdsOf(state.map.drives)
  const out = state.map.drives.filter((drive) => drive.state === 'out' && !isDispensable(drive))
  const degraded = [
    ...(nodesAway.length === 0
      ? []
      : [
          `${nodesAway.length} of ${counted(nodes.length, 'node')} ${nodesAway.length === 1 ? 'does' : 'do'} not answer (${nodesAway.join(', ')}).`,
        ]),
    ...(out.length === 0
      ? []
      : [
          `${out.length} of ${counted(state.map.drives.length, 'drive')} ${out.length === 1 ? 'is' : 'are'} out (${out.map(nameDrive).join(', ')}).`,
        ]),
    ...sayStanding(standing),
    ...(ofClock === undefined ? [] : [ofClock]),
  ]
  return { ready: nodesAway.length * 2 < nodes.length, degraded }
}

function sayStanding(standing: Standing): string[] {
  switch (standing.kind) {
    case 'away':
      return [
        'etcd does not answer: objects are served, but buckets and drives can not be changed.',
      ]
    case 'restored':
      return [
        `etcd is not believed: ${standing.why}. Where it was restored from a backup, see kintsugi cluster restore-coordinator.`,
      ]
    default:
      return []
  }
}
