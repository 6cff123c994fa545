// What a gateway counts of its cluster, for Prometheus.
import { listDriveStates } from '../embedded/drive-metrics.ts'
import { computedGauge, type Registry } from '../kit/metrics.ts'
import type { EtcdCoordinator } from '../placement/coordinator-etcd.ts'
import type { NodeCare } from './node-care.ts'

/** Puts it on the registry; it is computed when it is asked for. */
export function listClusterMetrics({
  coordinator,
  care,
  registry,
}: {
  coordinator: Pick<EtcdCoordinator, 'state' | 'standing'>
  care: Pick<NodeCare, 'nodesAway'>
  registry: Registry
}): void {
  listDriveStates(coordinator, registry)
  const away = {
    name: 'kintsugi_nodes_away',
    help: 'Nodes that do not answer this process',
    value: () => care.nodesAway.length,
    aggregator: 'max' as const,
  }
  computedGauge(away, registry)
  const current = {
    name: 'kintsugi_etcd_current',
    help: '1 while etcd answers and is believed, 0 otherwise',
    value: () => (coordinator.standing.kind === 'current' ? 1 : 0),
    aggregator: 'min' as const,
  }
  computedGauge(current, registry)
}
