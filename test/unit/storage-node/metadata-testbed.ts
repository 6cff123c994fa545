// A few drives in a temporary directory with a metadata host over them, for tests that stop, kill and damage it.
import { cp, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld, type World } from '../../../src/kit/world.ts'
import type { RowBatch } from '../../../src/metadata/log/contract.ts'
import { markOut } from '../../../src/placement/coordinator-changes.ts'
import { FileCoordinator } from '../../../src/placement/coordinator-file.ts'
import { chooseState, readHistory } from '../../../src/placement/coordinator-history.ts'
import { newMetaPartitions } from '../../../src/placement/coordinator-replicas.ts'
import { Drive } from '../../../src/storage-node/drive.ts'
import { DRIVE_FORMAT, formatDrive, inspectDrive } from '../../../src/storage-node/drive-format.ts'
import {
  type HostLimits,
  MetadataHost,
} from '../../../src/storage-node/metadata-host/metadata-host.ts'

export const SMALL: Partial<HostLimits> = {
  fileBytes: 64 * 1024,
  retainBytes: 256 * 1024,
  markerBytes: 32 * 1024,
}

export interface Layout {
  driveCount: number
  replicaCount: number
  partitionCount: number
}

/** A world whose sleeps keep the process alive, as a server would. */
export function testWorld(): World {
  const world = realWorld()
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    const alive = setInterval(() => {}, 1000)
    return world.clock.sleep(ms, signal).finally(() => clearInterval(alive))
  }
  return { ...world, clock: { ...world.clock, sleep } }
}

/** A random generator whose numbers follow from the seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A running host. */
export interface Bed {
  root: string
  layout: Layout
  drives: Map<number, Drive>
  coordinator: FileCoordinator
  host: MetadataHost
  close(): Promise<void>
}

const world = testWorld()

export async function tempRoot(test: Test): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'metadata-host-'))
  test.teardown(() => rm(root, { recursive: true, force: true }))
  return root
}

export function drivePath(root: string, id: number): string {
  return join(root, `drive${id}`)
}

/** Makes a cluster of empty drives and opens it. */
export async function makeBed(
  test: Test,
  layout: Layout,
  limits = SMALL,
  hostWorld: World = world,
): Promise<Bed> {
  await prepareDigests()
  const root = await tempRoot(test)
  const markers = Array.from({ length: layout.driveCount }, (_, index) => ({
    format: DRIVE_FORMAT,
    clusterId: 'test',
    driveId: index + 1,
    uuid: `uuid-${index + 1}`,
    createdMs: 0,
  }))
  for (const marker of markers) {
    await mkdir(drivePath(root, marker.driveId))
    await formatDrive(world, drivePath(root, marker.driveId), marker)
  }
  const drives = await openDrives(root, layout)
  const map = {
    drives: markers.map(({ driveId, uuid }) => ({
      id: driveId,
      uuid,
      weight: 1,
      state: 'active' as const,
    })),
    code: { dataCount: 1, parityCount: layout.replicaCount - 1, matrix: 1 as const },
    partitionCount: 256,
    metaPartitionCount: layout.partitionCount,
    slots: [],
    seed: '1',
  }
  const coordinator = await FileCoordinator.create(
    {
      clusterId: 'test',
      epoch: 1,
      map,
      metaPartitions: newMetaPartitions(map, layout.replicaCount, world.random),
      buckets: {},
      nextBucketId: 1,
      nextDriveId: layout.driveCount + 1,
    },
    { world, drives: [...drives.values()] },
  )
  return openHost({ root, layout, drives, coordinator }, limits, hostWorld)
}

/** Opens what is in `root`: missing drives are left out. */
export async function reopenBed(root: string, layout: Layout, limits = SMALL): Promise<Bed> {
  return openHost({ root, layout, ...(await openParts(root, layout)) }, limits)
}

/** The drives that are in `root` and their coordinator. */
export async function openParts(
  root: string,
  layout: Layout,
): Promise<Pick<Bed, 'drives' | 'coordinator'>> {
  const drives = await openDrives(root, layout)
  const histories = new Map()
  for (const drive of drives.values()) histories.set(drive.id, await readHistory(world, drive.path))
  const choice = chooseState(histories)
  if (choice.kind !== 'chosen') throw new Error(`the coordinator says ${choice.kind}`)
  const coordinator = await FileCoordinator.open(choice.decision, {
    world,
    drives: [...drives.values()],
  })
  return { drives, coordinator }
}

/** What a kill would leave: a copy of all drives, opened anew. The old host is closed and has no part in it. */
export async function killAndReopen(
  test: Test,
  bed: Bed,
  damage: (root: string) => Promise<void> = async () => {},
): Promise<Bed> {
  const root = await tempRoot(test)
  await copyAtOnce(bed.root, root)
  await bed.close()
  await damage(root)
  return reopenBed(root, bed.layout)
}

/** A copy as of one moment: taken again when LevelDB compacted meanwhile. */
async function copyAtOnce(source: string, target: string): Promise<void> {
  for (;;) {
    const before = await listWithSizes(source)
    const whole = await cp(source, target, { recursive: true }).then(
      () => true,
      () => false, // A file went away under the copy.
    )
    if (whole && before === (await listWithSizes(source))) return
    await rm(target, { recursive: true, force: true })
  }
}

async function listWithSizes(root: string): Promise<string> {
  const names = (await readdir(root, { recursive: true })).sort()
  const stats = await Promise.all(
    names.map((name) => stat(join(root, name)).catch(() => undefined)),
  )
  return names
    .map((name, index) => `${name} ${stats[index]?.size} ${stats[index]?.mtimeMs}`)
    .join('\n')
}

/** What a clean stop leaves, opened anew. */
export async function stopAndReopen(
  bed: Bed,
  damage: (root: string) => Promise<void> = async () => {},
): Promise<Bed> {
  await bed.close()
  await damage(bed.root)
  return reopenBed(bed.root, bed.layout)
}

async function openDrives(root: string, layout: Layout): Promise<Map<number, Drive>> {
  const drives = new Map<number, Drive>()
  for (let id = 1; id <= layout.driveCount; id += 1) {
    const found = await inspectDrive(world, drivePath(root, id))
    if (found.kind !== 'formatted') continue
    drives.set(id, await Drive.open(world, drivePath(root, id), found.marker))
  }
  return drives
}

async function openHost(
  parts: Pick<Bed, 'root' | 'layout' | 'drives' | 'coordinator'>,
  limits: Partial<HostLimits>,
  hostWorld: World = world,
): Promise<Bed> {
  const { drives, coordinator, layout } = parts
  const host = await MetadataHost.open(
    { drives, coordinator, log: testLog(), replicaCount: layout.replicaCount, limits },
    { world: hostWorld },
  )
  for (const drive of drives.values()) {
    drive.onFailure(() => void coordinator.decide(markOut(drive.id, 'it failed')).catch(() => {}))
  }
  const close = async (): Promise<void> => {
    await host.close()
    await coordinator.close()
    for (const drive of drives.values()) await drive.close()
  }
  return { ...parts, host, close }
}

function testLog(): typeof silentLog {
  if (process.env.SHOW_LOG === undefined) return silentLog
  const say = (data: object, sentence: string): void => console.error('#', sentence, data)
  return { debug: say, info: say, warn: say, error: say, child: () => testLog() }
}

/** Rows as they should be, partition by partition. */
export class Model {
  readonly #random: () => number
  readonly rows = new Map<number, Map<string, string>>()
  /** Changes that were not acknowledged: they may have happened or not. */
  readonly doubtful = new Set<string>()

  constructor(seed: number) {
    this.#random = seeded(seed)
  }

  /** A random batch on a partition, acknowledged or doubtful when it resolves. */
  async change(bed: Bed): Promise<void> {
    const partition = Math.floor(this.#random() * bed.layout.partitionCount)
    const rows = this.#rowsOf(partition)
    const changes = new Map<string, string | undefined>()
    const count = 1 + Math.floor(this.#random() * 4)
    for (let index = 0; index < count; index += 1) {
      const key = `k${Math.floor(this.#random() * 200)}`
      const dies = this.#random() < 0.25
      changes.set(key, dies ? undefined : `v${this.#random()}`.repeat(1 + this.#random() * 20))
    }
    // In the order of the calls, as the log applies them.
    for (const key of changes.keys()) this.doubtful.add(`${partition}/${key}`)
    await bed.host.partitionLog(partition).append(toBatch(changes))
    for (const [key, value] of changes) {
      this.doubtful.delete(`${partition}/${key}`)
      if (value === undefined) rows.delete(key)
      else rows.set(key, value)
    }
  }

  /** What is wrong with what the host answers; empty when all is well. */
  async differences(bed: Bed): Promise<string[]> {
    const wrong: string[] = []
    for (let partition = 0; partition < bed.layout.partitionCount; partition += 1) {
      const { rows } = bed.host.partitionLog(partition)
      const cursor = rows.scan({ from: Buffer.from('k'), to: Buffer.from('l') })
      const found = new Map<string, string>()
      for (;;) {
        const page = await cursor.next(50)
        for (const { key, value } of page) {
          found.set(Buffer.from(key).toString(), Buffer.from(value).toString())
        }
        if (page.length < 50) break
      }
      await cursor.close()
      const wanted = this.#rowsOf(partition)
      for (const key of new Set([...found.keys(), ...wanted.keys()])) {
        if (this.doubtful.has(`${partition}/${key}`)) continue
        const read = await rows.get(Buffer.from(key))
        const got = read && Buffer.from(read).toString()
        if (got !== wanted.get(key))
          wrong.push(`get ${partition}/${key}: ${got} not ${wanted.get(key)}`)
        if (found.get(key) !== wanted.get(key)) wrong.push(`scan ${partition}/${key}`)
      }
    }
    return wrong
  }

  #rowsOf(partition: number): Map<string, string> {
    const rows = this.rows.get(partition) ?? new Map<string, string>()
    this.rows.set(partition, rows)
    return rows
  }
}

function toBatch(changes: ReadonlyMap<string, string | undefined>): RowBatch {
  return [...changes].map(([key, value]) =>
    value === undefined
      ? { key: Buffer.from(key), value: undefined }
      : { key: Buffer.from(key), value: Buffer.from(value) },
  )
}
