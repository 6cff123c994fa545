// What the store counts of the health of its drives, for Prometheus.
import { Gauge, type Registry } from '../kit/metrics.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { OPERATION_KINDS } from '../storage-node/drive-care/drive-health.ts'
import type { DriveCare } from './drive-care.ts'

const CONDITIONS = ['healthy', 'slow', 'erroring', 'hanging', 'failed'] as const

/** Puts the metrics of drives on the registry; they are computed when they are asked for. */
export function listDriveMetrics(care: DriveCare, registry: Registry): void {
  const registers = [registry]
  new Gauge({
    name: 'kintsugi_drive_latency_seconds',
    help: 'How long the last operations of a drive took, as quantiles, by kind of operation.',
    labelNames: ['drive', 'operation', 'quantile'],
    registers,
    collect() {
      this.reset() // A drive that was removed has no figures.
      for (const drive of care.driveIds) {
        for (const operation of OPERATION_KINDS) {
          const { count, p50Ms, p95Ms } = care.healthOf(drive)!.latency(operation)
          if (count === 0) continue
          this.set({ drive, operation, quantile: '0.5' }, p50Ms / 1000)
          this.set({ drive, operation, quantile: '0.95' }, p95Ms / 1000)
        }
      }
    },
  })
  new Gauge({
    name: 'kintsugi_drive_errors',
    help: 'Errors of the medium of a drive within the last ten minutes.',
    labelNames: ['drive'],
    registers,
    collect() {
      this.reset()
      for (const drive of care.driveIds) this.set({ drive }, care.healthOf(drive)!.errors)
    },
  })
  new Gauge({
    name: 'kintsugi_drive_oldest_operation_seconds',
    help: 'Age of the operation of a drive that has been under way for longest; 0 without any.',
    labelNames: ['drive'],
    registers,
    collect() {
      this.reset()
      for (const drive of care.driveIds) this.set({ drive }, care.oldestMs(drive) / 1000)
    },
  })
  new Gauge({
    name: 'kintsugi_drive_condition',
    help: 'How a drive does: 1 for its condition, 0 for the others.',
    labelNames: ['drive', 'condition'],
    registers,
    collect() {
      this.reset()
      for (const drive of care.driveIds) {
        const actual = care.conditionOf(drive)
        for (const condition of CONDITIONS)
          this.set({ drive, condition }, condition === actual ? 1 : 0)
      }
    },
  })
}

/** Puts the count of drives by their states in the map on the registry. */
export function listDriveStates(coordinator: Pick<Coordinator, 'state'>, registry: Registry): void {
  new Gauge({
    name: 'kintsugi_drives',
    help: 'Drives of the store by state',
    labelNames: ['state'],
    // Every process knows all of them.
    aggregator: 'max',
    registers: [registry],
    collect() {
      for (const state of ['active', 'draining', 'out'] as const) {
        const { drives } = coordinator.state.map
        this.set({ state }, drives.filter((drive) => drive.state === state).length)
      }
    },
  })
}
