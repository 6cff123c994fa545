// The object store of one process over its drives, and what it does by itself: mend, and collect garbage.
// Everything of a member but the gateway.
import type { ServeConfig } from '../config.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { Uid } from '../kit/uid.ts'
import { GARBAGE_DELAY_MS_MAX } from '../metadata/commands/become-garbage.ts'
import { abortRegularly } from '../objects/abandoned-uploads.ts'
import { Objects } from '../objects/objects.ts'
import { openStoreParts } from '../objects/open-parts.ts'
import { openRewriter } from '../objects/open-rewriter.ts'
import type { StoreParts } from '../objects/store-parts.ts'
import { everyDrive } from '../objects/write-rule.ts'
import { collectGarbage } from '../storage-node/upkeep/collect-garbage.ts'
import { forgetExpired } from '../storage-node/upkeep/forget-expired.ts'
import { GarbageAhead } from '../storage-node/upkeep/garbage-ahead.ts'
import type { OrphanSweep } from '../storage-node/upkeep/orphan-sweep.ts'
import { startOrphanSweep } from './orphans.ts'
import { type EmbeddedParts, type EmbeddedStorage, openEmbeddedStorage } from './storage.ts'

/** How often garbage that is due is looked for. */
const COLLECT_EVERY_MS = 5_000

/** How often a partition is told to forget what expired, should no command have done it. */
const FORGET_EVERY_MS = 60_000

/** An open store. */
export interface OpenedStore {
  storage: EmbeddedStorage
  objects: Objects
  orphans: Pick<OrphanSweep, 'progress' | 'sweepNow'>
}

/** Opens or makes the store of `config`; what is to be closed goes on `opened`. Throws Exit when that can not be. */
export async function openStore(
  config: ServeConfig,
  parts: EmbeddedParts,
  opened: ClosingStack,
): Promise<OpenedStore> {
  const storage = await openEmbeddedStorage(config, parts)
  opened.defer(() => storage.close())
  const storeParts = await assembleStore(storage, parts)
  const objects = new Objects(storeParts)
  const { poolBytes } = parts.tuning ?? {}
  storage.healer.writeAnewWith(await openRewriter({ ...storeParts, poolBytes }))
  await objects.start()
  const collector = startCollector(config, storage, storeParts, parts)
  opened.defer(() => collector.stop())
  const forgetting = startForgetting(storage, parts)
  opened.defer(() => forgetting.stop())
  const orphans = startOrphanSweep(config, { storage, ...storeParts }, parts)
  opened.defer(() => orphans.stop())
  if (config.abandonedUploadMs !== undefined) {
    const { coordinator } = storage
    const { clock } = parts.world
    const aborted = { objects, coordinator, clock, log: parts.log }
    const aborting = abortRegularly(config.abandonedUploadMs, aborted)
    opened.defer(() => aborting.stop())
  }
  return { storage, objects, orphans }
}

function assembleStore(storage: EmbeddedStorage, parts: EmbeddedParts): Promise<StoreParts> {
  return openStoreParts({
    world: parts.world,
    log: parts.log,
    registry: parts.registry,
    node: storage.node,
    router: storage.router,
    coordinator: storage.coordinator,
    reducedCode: () => storage.reducedCode(),
    keys: storage.keys,
    pins: storage.pins,
    writes: storage.writes,
    advice: storage.care.advice,
    writeRule: everyDrive((driveId) => storage.recordOut(driveId)),
    reportDamage: (report) => storage.reportDamage(report),
    poolBytes: parts.tuning?.poolBytes,
  })
}

function startCollector(
  config: ServeConfig,
  storage: EmbeddedStorage,
  { pins }: StoreParts,
  parts: EmbeddedParts,
): Periodic {
  const collectorParts = {
    ...parts,
    node: storage.node,
    coordinator: storage.coordinator,
    partitions: storage.router.partitions,
    isPinned: (uid: Uid) => pins.isPinned(uid),
    latch: storage.latch,
    // Readers of an earlier process are gone, whatever its grace was.
    ahead: new GarbageAhead(Math.min(config.garbageGraceMs, GARBAGE_DELAY_MS_MAX)),
  }
  const everyMs = Math.min(COLLECT_EVERY_MS, Math.max(100, config.garbageGraceMs))
  return repeat('collect-garbage', everyMs, (signal) => collectGarbage(collectorParts, signal), {
    clock: parts.world.clock,
    log: parts.log,
  })
}

function startForgetting({ router }: EmbeddedStorage, { world, log }: EmbeddedParts): Periodic {
  const round = (signal: AbortSignal): Promise<number> => forgetExpired(router.partitions, signal)
  return repeat('forget-expired', FORGET_EVERY_MS, round, { clock: world.clock, log })
}
