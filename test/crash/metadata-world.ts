// A forgetful machine with a few drives and a metadata host over them: power can go off at any operation.
import { prepareDigests } from '../../src/digest/prepare.ts'
import { silentLog } from '../../src/kit/log.ts'
import type { Clock, World } from '../../src/kit/world.ts'
import { FileCoordinator } from '../../src/placement/coordinator-file.ts'
import { chooseState, readHistory } from '../../src/placement/coordinator-history.ts'
import { newMetaPartitions } from '../../src/placement/coordinator-replicas.ts'
import { Drive } from '../../src/storage-node/drive.ts'
import { formatDrive, inspectDrive } from '../../src/storage-node/drive-format.ts'
import type { BytesLevel, OpenLevel } from '../../src/storage-node/drive-lock.ts'
import { MetadataHost } from '../../src/storage-node/metadata-host/metadata-host.ts'
import type { ForgetfulMachine } from './forgetful-machine.ts'

export const DRIVES = 4
export const REPLICAS = 3
export const PARTITIONS = 2

// Small files, so that a short script crosses every seam.
const LIMITS = { fileBytes: 64 * 1024, retainBytes: 0, markerBytes: 1024 ** 3 }

export interface Running {
  host: MetadataHost
  coordinator: FileCoordinator
  drives: Map<number, Drive>
}

export function drivePath(id: number): string {
  return `/drive${id}`
}

/** Empty drives and the first decision. */
export async function makeCluster(machine: ForgetfulMachine): Promise<void> {
  await prepareDigests()
  for (let id = 1; id <= DRIVES; id += 1) {
    await machine.disk.makeDirectory(drivePath(id))
    const marker = { format: 4, clusterId: 'test', driveId: id, uuid: `u${id}`, createdMs: 1 }
    await formatDrive(machine.world, drivePath(id), marker)
  }
  await machine.disk.syncDirectory('/')
  const map = {
    drives: Array.from({ length: DRIVES }, (_, index) => ({
      id: index + 1,
      uuid: `u${index + 1}`,
      weight: 1,
      state: 'active' as const,
    })),
    code: { dataCount: 2, parityCount: REPLICAS - 1, matrix: 1 as const },
    partitionCount: 4,
    metaPartitionCount: PARTITIONS,
    slots: [],
    seed: '1',
  }
  const drives = await openDrives(machine)
  const first = {
    clusterId: 'test',
    epoch: 1,
    map,
    metaPartitions: newMetaPartitions(map, REPLICAS, machine.world.random),
    buckets: {},
    nextBucketId: 1,
    nextDriveId: DRIVES + 1,
  }
  const world = worldOf(machine)
  const coordinator = await FileCoordinator.create(first, { world, drives: [...drives.values()] })
  await coordinator.close()
  for (const drive of drives.values()) await drive.close()
}

/** Opens what the machine has. */
export async function start(machine: ForgetfulMachine): Promise<Running> {
  const world = worldOf(machine)
  const drives = await openDrives(machine)
  const histories = new Map()
  for (const drive of drives.values()) histories.set(drive.id, await readHistory(world, drive.path))
  const choice = chooseState(histories)
  if (choice.kind !== 'chosen') throw new Error(`the coordinator says ${choice.kind}`)
  const live = [...drives.values()]
  const coordinator = await FileCoordinator.open(choice.decision, { world, drives: live })
  const host = await MetadataHost.open(
    { drives, coordinator, log: silentLog, replicaCount: REPLICAS, limits: LIMITS },
    { world, openLevel: flushable(machine) },
  )
  return { host, coordinator, drives }
}

export async function stop({ host, coordinator, drives }: Running): Promise<void> {
  await host.close()
  await coordinator.close()
  for (const drive of drives.values()) await drive.close()
}

async function openDrives(machine: ForgetfulMachine): Promise<Map<number, Drive>> {
  const drives = new Map<number, Drive>()
  for (let id = 1; id <= DRIVES; id += 1) {
    const found = await inspectDrive(machine.world, drivePath(id))
    if (found.kind !== 'formatted') continue
    const { openLevel } = machine.levels
    drives.set(id, await Drive.open(machine.world, drivePath(id), found.marker, { openLevel }))
  }
  return drives
}

/** Short sleeps are over at the next turn of the loop; long ones never, until someone stops them. */
function worldOf(machine: ForgetfulMachine): World {
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) reject(signal.reason)
      else if (ms <= 10) setImmediate(resolve)
      else signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  const clock: Clock = {
    now: () => machine.clock.now(),
    monotonicMs: () => machine.clock.monotonicMs(),
    sleep,
  }
  return { ...machine.world, clock }
}

/**
 * A forgetful LevelDB that can be flushed: compactRange() makes everything written before it durable, as LevelDB does
 * when it writes a table.
 */
export function flushable({ levels, disk }: ForgetfulMachine): OpenLevel {
  return async (path, sizes) => {
    const level = await levels.openLevel(path, sizes)
    const compactRange = async (): Promise<void> => {
      await disk.touch(path)
      levels.flush(path)
    }
    const batch = level.batch.bind(level) as unknown as BatchCall
    const clear = async (range: { gte: Uint8Array; lt: Uint8Array }): Promise<void> => {
      const keys = await level.keys(range).all()
      await batch(keys.map((key) => ({ type: 'del', key })))
    }
    return Object.assign(level, { compactRange, clear }) as unknown as BytesLevel
  }
}

type BatchCall = (operations: { type: 'del'; key: Uint8Array }[]) => Promise<void>
