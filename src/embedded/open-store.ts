// The object store of one process over its drives, and what it does by itself: mend, and collect garbage.
// Everything of a member but the gateway.
import type { ServeConfig } from '../config.ts'
import { mebibytes } from '../kit/bytes.ts'
import type { ClosingStack } from '../kit/closing-stack.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import { Semaphore } from '../kit/semaphore.ts'
import type { Uid } from '../kit/uid.ts'
import { abortRegularly } from '../objects/abandoned-uploads.ts'
import { Objects } from '../objects/objects.ts'
import { openCodec, openStoreParts } from '../objects/open-parts.ts'
import { type StoreParts, WRITE_BUDGET_UNIT } from '../objects/store-parts.ts'
import { writeAnew } from '../objects/write-anew.ts'
import { everyDrive } from '../objects/write-rule.ts'
import type { Rewriter } from '../storage-node/contract.ts'
import { collectGarbage } from '../storage-node/upkeep/collect-garbage.ts'
import { forgetExpired } from '../storage-node/upkeep/forget-expired.ts'
import type { OrphanSweep } from '../storage-node/upkeep/orphan-sweep.ts'
import { startOrphanSweep } from './orphans.ts'
import { type EmbeddedParts, type EmbeddedStorage, openEmbeddedStorage } from './storage.ts'

// Memory that blobs may take that are written anew, four at a time: beside that of what clients send.
const ANEW_POOL_BYTES = mebibytes(24)
const ANEW_BUDGET_BYTES = mebibytes(32)

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
  storage.healer.writeAnewWith(await openRewriter(storage, storeParts, parts))
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

/** With memory of its own, so that no client waits for it; and as all upkeep it leaves more room on drives. */
async function openRewriter(
  storage: EmbeddedStorage,
  store: StoreParts,
  parts: EmbeddedParts,
): Promise<Rewriter> {
  const { node } = storage
  const anewParts: StoreParts = {
    ...store,
    codec: await openCodec(parts.tuning?.poolBytes ?? ANEW_POOL_BYTES, storage),
    writeBudget: new Semaphore(ANEW_BUDGET_BYTES / WRITE_BUDGET_UNIT),
    node: {
      beginShard: (driveId, description) => node.beginShard(driveId, description, 'move'),
      hasRoom: (driveId, shardBytes) => node.hasRoom(driveId, shardBytes, 'move'),
      openShard: (driveId, id) => node.openShard(driveId, id),
      deleteShard: (driveId, id) => node.deleteShard(driveId, id),
    },
    // What is damaged in a blob goes with it.
    reportDamage: () => {},
  }
  return {
    writeAnew: (request, pace, signal) => writeAnew(request, { ...anewParts, pace }, signal),
  }
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
