// The sweep for orphans as metrics.
import { computedCounter, computedGauge, Gauge, type Registry } from '../../kit/metrics.ts'
import type { SweepProgress } from './orphan-sweep.ts'

/** Lists what `progress` gives. */
export function listSweepMetrics(progress: () => SweepProgress, registry: Registry): void {
  const counter = (name: string, help: string, value: (now: SweepProgress) => number): void =>
    computedCounter({ name, help, value: () => value(progress()) }, registry)
  counter(
    'kintsugi_orphan_passes_total',
    'Passes for orphans that came to their end',
    (now) => now.ended,
  )
  counter(
    'kintsugi_orphan_deleted_shards_total',
    'Shards that no object named, deleted',
    ({ deleted }) => deleted,
  )
  counter(
    'kintsugi_orphan_deleted_bytes_total',
    'Bytes of shards that no object named, deleted',
    ({ deletedBytes }) => deletedBytes,
  )
  counter(
    'kintsugi_orphan_adopted_shards_total',
    'Shards that were left behind and are in use again',
    ({ adopted }) => adopted,
  )
  new Gauge({
    name: 'kintsugi_orphan_left_shards',
    help: 'Shards that the last pass left, by why: what is not known for certain stays',
    labelNames: ['why'],
    registers: [registry],
    collect() {
      for (const [why, count] of Object.entries(progress().left)) this.set({ why }, count)
    },
  })
  const name = 'kintsugi_orphan_pass_shards'
  const help = 'Shards that the pass under way has looked at; 0 without one'
  computedGauge({ name, help, value: () => progress().underWay?.shards ?? 0 }, registry)
}
