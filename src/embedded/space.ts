// The room of the drives as the rest of the store sees it: the watch at its pace, metrics, and what a full store refuses.
import type { ClosingStack } from '../kit/closing-stack.ts'
import type { Log } from '../kit/log.ts'
import { Gauge, type Registry } from '../kit/metrics.ts'
import { repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { Command } from '../metadata/contract.ts'
import { StoreFull } from '../objects/place-write.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { ASK_EVERY_MS } from '../storage-node/space/file-system-room.ts'
import { SPACE_LEVELS } from '../storage-node/space/levels.ts'
import { type DriveSpace, SpaceWatch } from '../storage-node/space/space-watch.ts'
import type { Tuning } from './tuning.ts'

/** Outside of the watch. */
export interface SpaceWatchParts {
  world: World
  log: Log
  registry: Registry
  tuning?: Tuning
}

/** A watch over no drive yet. */
export function openSpaceWatch({ world, log, tuning }: SpaceWatchParts): SpaceWatch {
  return new SpaceWatch(tuning?.space ?? {}, { world, log })
}

/** Begins to watch the drives that were taken in, and those that will be. */
export async function startSpaceWatch(
  watch: SpaceWatch,
  { world, log, registry }: SpaceWatchParts,
  opened: ClosingStack,
): Promise<void> {
  await watch.round()
  const watching = repeat('watch-space', ASK_EVERY_MS, () => watch.round(), {
    clock: world.clock,
    log,
  })
  opened.defer(() => watching.stop())
  listSpaceMetrics(() => watch.spaces(), registry)
}

/** What adds rows for a client. Everything else is needed to delete, to mend, or to end what was begun. */
const GROWING: ReadonlySet<Command['kind']> = new Set<Command['kind']>([
  'put-object',
  'append-object',
  'put-annotation',
  'create-upload',
  'put-part',
])

/** Whether a command adds rows for a client. */
export function isGrowing({ kind }: Command): boolean {
  return GROWING.has(kind)
}

/** Throws StoreFull for what adds rows while a drive with a replica of partition `id` has no room for them. */
export function refuseWhenFull(
  id: number,
  { coordinator, space }: { coordinator: Coordinator; space: SpaceWatch },
): (command: Command) => void {
  return (command) => {
    if (!isGrowing(command)) return
    const { inSync } = coordinator.state.metaPartitions[id]!
    const full = inSync.find(({ driveId }) => !hasRoomForRows(space, driveId))
    if (full !== undefined) throw new StoreFull(`drive ${full.driveId} has no room for metadata`)
  }
}

/** Whether rows may still grow on a drive. */
export function hasRoomForRows(space: SpaceWatch, driveId: number): boolean {
  return space.roomOf(driveId)?.fits(0, 'metadata') ?? true
}

function listSpaceMetrics(spaces: () => ReadonlyMap<number, DriveSpace>, registry: Registry): void {
  const gauge = (
    name: string,
    help: string,
    kinds: Readonly<Record<string, (space: DriveSpace) => number>>,
  ): void => {
    new Gauge({
      name,
      help,
      labelNames: ['drive', 'kind'],
      registers: [registry],
      collect() {
        this.reset()
        for (const space of spaces().values()) {
          for (const [kind, value] of Object.entries(kinds))
            this.set({ drive: String(space.driveId), kind }, value(space))
        }
      },
    })
  }
  gauge('kintsugi_drive_bytes', 'Bytes of the file system of a drive, which others may share', {
    free: ({ freeBytes }) => freeBytes,
    total: ({ totalBytes }) => totalBytes,
    promised: ({ promisedBytes }) => promisedBytes,
  })
  gauge(
    'kintsugi_drive_inodes',
    'Inodes of the file system of a drive; 0 where there is no limit',
    {
      free: ({ freeInodes }) => freeInodes,
      total: ({ totalInodes }) => totalInodes,
    },
  )
  new Gauge({
    name: 'kintsugi_drive_space_level',
    help: `How full the file system of a drive is: ${SPACE_LEVELS.map((level, at) => `${at} ${level}`).join(', ')}`,
    labelNames: ['drive'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { driveId, level } of spaces().values())
        this.set({ drive: String(driveId) }, SPACE_LEVELS.indexOf(level))
    },
  })
}
