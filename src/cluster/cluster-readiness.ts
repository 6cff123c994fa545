// Whether a gateway can serve, and what its cluster lacks as far as it knows: for /health/ready.
import { counted } from '../kit/counted.ts'
import { type ClusterMap, nodeIdsOf } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { Standing } from '../placement/etcd/mirror.ts'
import { isDispensable, nameDrive } from '../storage-node/start-plan.ts'
import type { ClockWatch } from './clock-watch.ts'
import type { CutOff } from './cut-off.ts'
import type { NodeCare } from './node-care.ts'

/** One sentence for each thing that is missing. */
export interface ClusterReadiness {
  ready: boolean
  degraded: readonly string[]
}

/** What a gateway knows of its cluster. */
export interface ClusterKnown {
  coordinator: Pick<Coordinator, 'state'> & { standing: Standing }
  care: Pick<NodeCare, 'nodesAway'>
  clocks: Pick<ClockWatch, 'sentence'>
  cutOff: Pick<CutOff, 'isCutOff'>
}

/** Not ready when no node answers, or when half of them do not and somebody else may reach them. */
export function readinessOfCluster({
  coordinator: { state, standing },
  care: { nodesAway },
  clocks: { sentence: ofClock },
  cutOff: { isCutOff },
}: ClusterKnown): ClusterReadiness {
  const nodes = nodeIdsOf(state.map.drives)
  const out = state.map.drives.filter((drive) => drive.state === 'out' && !isDispensable(drive))
  const degraded = [
    ...(nodesAway.length === 0 ? [] : [sayNodesAway(nodesAway, state.map)]),
    ...(isCutOff ? ['This gateway may be cut off from them: it is not ready.'] : []),
    ...(out.length === 0
      ? []
      : [
          `${out.length} of ${counted(state.map.drives.length, 'drive')} ${out.length === 1 ? 'is' : 'are'} out (${out.map(nameDrive).join(', ')}).`,
        ]),
    ...sayStanding(standing),
    ...(ofClock === undefined ? [] : [ofClock]),
  ]
  return { ready: nodesAway.length < nodes.length && !isCutOff, degraded }
}

/** In a sentence. */
export function sayNodesAway(
  nodesAway: readonly string[],
  { drives }: Pick<ClusterMap, 'drives'>,
): string {
  const nodes = counted(nodeIdsOf(drives).length, 'node')
  const verb = nodesAway.length === 1 ? 'does' : 'do'
  return `${nodesAway.length} of ${nodes} ${verb} not answer (${nodesAway.join(', ')}).`
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
