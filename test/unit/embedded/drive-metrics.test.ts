// Metrics of drives: of those that are there, and of no others.
import t from 'tap'
import type { DriveCare } from '../../../src/embedded/drive-care.ts'
import { listDriveMetrics } from '../../../src/embedded/drive-metrics.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import { DriveHealth } from '../../../src/storage-node/drive-care/drive-health.ts'

t.test('a drive that was removed has no figures any more', async (t) => {
  const driveIds = [1, 2]
  const health = new DriveHealth(() => 0)
  await health.observe('read', async () => {})
  const care = {
    driveIds,
    healthOf: () => health,
    oldestMs: () => 0,
    conditionOf: () => 'healthy' as const,
  }
  const registry = new Registry()
  listDriveMetrics(care as unknown as DriveCare, registry)
  const before = await registry.metrics()
  t.match(before, /kintsugi_drive_condition\{drive="2",condition="healthy"\} 1/)
  t.match(before, /kintsugi_drive_latency_seconds\{drive="2"/)
  driveIds.pop()
  const after = await registry.metrics()
  t.match(after, /kintsugi_drive_condition\{drive="1",condition="healthy"\} 1/)
  t.notMatch(after, /drive="2"/)
})
