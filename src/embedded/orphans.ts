// The orphan sweep of an embedded store: what it may know in one process.
import type { ServeConfig } from '../config.ts'
import { Gauge } from '../kit/metrics.ts'
import type { MetadataPartition } from '../metadata/contract.ts'
import type { WritesUnderWay } from '../metadata/writes-under-way.ts'
import type { Pins } from '../objects/pins.ts'
import { localOrphanRule } from '../storage-node/upkeep/orphan-rule.ts'
import { OrphanSweep, type SettleRun } from '../storage-node/upkeep/orphan-sweep.ts'
import { type SettleParts, settleOrphans } from '../storage-node/upkeep/settle-orphans.ts'
import { listSweepMetrics } from '../storage-node/upkeep/sweep-metrics.ts'
import type { EmbeddedParts, EmbeddedStorage } from './storage.ts'

/** A pass a day, or more often where orphans are wanted away sooner. */
const PERIOD_MS_MAX = 24 * 60 * 60_000
const PERIOD_MS_MIN = 1_000

/** What the sweep knows of the store. */
export interface OrphanParts {
  storage: EmbeddedStorage
  writes: WritesUnderWay
  pins: Pins
}

/** Begins to sweep. Its pause is the age of an orphan, between a second and a day. */
export function startOrphanSweep(
  { orphanAgeMs, garbageGraceMs }: ServeConfig,
  { storage, writes, pins }: OrphanParts,
  { world, log, registry }: EmbeddedParts,
): OrphanSweep {
  const { node, lists, coordinator, latch, healer } = storage
  const { partitions } = storage.router
  const isPinned = pins.isPinned.bind(pins)
  const rule = localOrphanRule(orphanAgeMs, { coordinator, partitions, writes, isPinned })
  const periodMs = Math.min(PERIOD_MS_MAX, Math.max(PERIOD_MS_MIN, orphanAgeMs))
  const settling: Omit<SettleParts, keyof SettleRun> = {
    ...{ world, log, node, coordinator, rule, latch },
    isLeftBehind: (driveId, id) => healer.leavesBehind(driveId, id),
  }
  const sweep = new OrphanSweep(
    { periodMs, graceMs: garbageGraceMs },
    {
      ...{ world, log, lists, coordinator, partitions, rule },
      settle: (found, run) => settleOrphans(found, { ...settling, ...run }),
    },
  )
  const held = coordinator.state.orphanHold
  if (held) log.warn(held, 'orphans are kept since a recovery, until they are released')
  listSweepMetrics(() => sweep.progress(), registry)
  listOverdueGarbage(partitions, { world, log, registry })
  sweep.start()
  return sweep
}

/** Garbage that is not collected in time keeps its space. */
function listOverdueGarbage(
  partitions: readonly MetadataPartition[],
  { world, log, registry }: EmbeddedParts,
): void {
  new Gauge({
    name: 'kintsugi_garbage_overdue_seconds',
    help: 'For how long the oldest garbage has been due; 0 when none is',
    registers: [registry],
    async collect() {
      try {
        this.set((await overdueMs(partitions, world.clock.now())) / 1000)
      } catch (error) {
        log.warn({ error: String(error) }, 'overdue garbage could not be looked for')
      }
    },
  })
}

async function overdueMs(partitions: readonly MetadataPartition[], nowMs: number): Promise<number> {
  const oldest = await Promise.all(partitions.map((one) => one.dueGarbage(nowMs, 1)))
  return Math.max(0, ...oldest.flat().map(({ dueMs }) => nowMs - dueMs))
}
