// The orphan sweep of an embedded store: what it may know in one process, and its metrics.
import type { ServeConfig } from '../config.ts'
import { computedCounter, computedGauge, Gauge, type Registry } from '../kit/metrics.ts'
import type { MetadataPartition } from '../metadata/contract.ts'
import type { WritesUnderWay } from '../metadata/writes-under-way.ts'
import type { Pins } from '../objects/pins.ts'
import { localOrphanRule } from '../storage-node/upkeep/orphan-rule.ts'
import { OrphanSweep, type SweepProgress } from '../storage-node/upkeep/orphan-sweep.ts'
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
  const sweep = new OrphanSweep(
    { periodMs, graceMs: garbageGraceMs },
    {
      ...{ world, log, node, lists, coordinator, partitions, rule, latch },
      isLeftBehind: (driveId, id) => healer.leavesBehind(driveId, id),
    },
  )
  const held = coordinator.state.orphanHold
  if (held) log.warn(held, 'orphans are kept since a recovery, until they are released')
  listMetrics(() => sweep.progress(), registry)
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

function listMetrics(progress: () => SweepProgress, registry: Registry): void {
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
