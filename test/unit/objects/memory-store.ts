// An object store whose drives and log are in memory, with faults that a test asks for.
import { newDigest, prepareDigests } from '../../../src/digest/digest.ts'
import { LocalKeys } from '../../../src/encryption/local-keys.ts'
import { Codec } from '../../../src/erasure/codec.ts'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { CELL_BYTES, shardCount } from '../../../src/kit/erasure-code.ts'
import { lendOwn } from '../../../src/kit/lent-bytes.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { Semaphore } from '../../../src/kit/semaphore.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { MetadataPartition } from '../../../src/metadata/contract.ts'
import { openPartition, type PartitionOptions } from '../../../src/metadata/partition.ts'
import { WritesUnderWay } from '../../../src/metadata/writes-under-way.ts'
import { BlobCache } from '../../../src/objects/blob-cache.ts'
import { Hedging, NO_ADVICE } from '../../../src/objects/hedging.ts'

import type { Body, Bucket } from '../../../src/objects/object-store.ts'
import { Objects } from '../../../src/objects/objects.ts'
import { Pins } from '../../../src/objects/pins.ts'
import type { DamageReport, StoreParts } from '../../../src/objects/store-parts.ts'
import { everyDrive } from '../../../src/objects/write-rule.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'
import type { Change, ClusterState, Coordinator } from '../../../src/placement/coordinator.ts'
import { markOut } from '../../../src/placement/coordinator-changes.ts'
import { Router } from '../../../src/placement/router.ts'
import type {
  CellRead,
  CopiesDescription,
  DriveId,
  DriveMoment,
  ShardCopies,
  ShardDescribed,
  ShardDescription,
  ShardId,
  ShardLists,
  ShardOpened,
  ShardWriter,
  StorageNode,
} from '../../../src/storage-node/contract.ts'
import { WriteMoments } from '../../../src/storage-node/write-moments.ts'
import { MemoryLog } from '../metadata/memory-log.ts'

type Cells = Buffer[]

/** Shards by drive; a test may break drives, lose shards and rot cells. */
export class MemoryNode implements StorageNode, ShardLists {
  readonly drives = new Map<DriveId, Map<string, Cells>>()
  readonly failed = new Set<DriveId>()
  readonly rotten = new Set<string>()
  /** Cells that do not verify, until the shard is written again. */
  readonly rottenCells = new WeakSet<Uint8Array>()
  /** Shards that do not say what they are. */
  readonly rottenHeaders = new Set<string>()
  readonly #moments = new Map<DriveId, WriteMoments>()
  readonly #descriptions = new Map<string, ShardDescription>()
  /** Called before every write of a cell. */
  beforeWrite: (driveId: DriveId, cell: number) => void = () => {}
  openReaders = 0
  aborted = 0
  /** Drives that take nothing new. */
  readonly full = new Set<DriveId>()

  hasRoom(driveId: DriveId): boolean {
    return !this.full.has(driveId)
  }

  async beginShard(
    driveId: DriveId,
    description: ShardDescription,
    use: 'data' | 'move' = 'data',
  ): Promise<ShardWriter> {
    this.#check(driveId)
    const cells: Cells = []
    return {
      write: async (cell) => {
        this.beforeWrite(driveId, cells.length)
        this.#check(driveId)
        cells.push(Buffer.from(cell))
      },
      commit: async () => {
        this.#check(driveId)
        if (use === 'move') this.#momentsOf(driveId).note(description.id)
        this.#drive(driveId).set(nameOf(description.id), cells)
        this.#descriptions.set(nameOf(description.id), description)
      },
      abort: async () => {
        this.aborted += 1
      },
    }
  }

  copies(description: CopiesDescription, cell: Uint8Array): ShardCopies {
    return {
      put: async (driveId, slot) => {
        if (this.full.has(driveId)) throw new DriveUnavailable(driveId, 'full')
        const id = { ...description.id, slot }
        const writer = await this.beginShard(driveId, { ...description, id })
        await writer.write(cell)
        await writer.commit()
      },
    }
  }

  async openShard(driveId: DriveId, id: ShardId): Promise<ShardOpened> {
    this.#check(driveId)
    const cells = this.#drive(driveId).get(nameOf(id))
    if (!cells) return { kind: 'missing' }
    this.openReaders += 1
    const readCell = async (index: number, target: Uint8Array): Promise<CellRead> => {
      this.#check(driveId)
      if (this.rotten.has(`${driveId}/${index}`)) return { kind: 'corrupt', detail: 'rotten' }
      if (this.rottenCells.has(cells[index]!)) return { kind: 'corrupt', detail: 'rotten' }
      target.set(cells[index]!)
      return { kind: 'found', bytes: cells[index]!.length }
    }
    const close = async (): Promise<void> => {
      this.openReaders -= 1
    }
    const describe = async (): Promise<ShardDescribed> => {
      this.#check(driveId)
      if (this.rottenHeaders.has(nameOf(id))) return { kind: 'corrupt', detail: 'rotten' }
      return { kind: 'found', description: this.#descriptions.get(nameOf(id))! }
    }
    return { kind: 'found', reader: { describe, readCell, close } }
  }

  async deleteShard(driveId: DriveId, id: ShardId): Promise<void> {
    this.#check(driveId)
    this.#drive(driveId).delete(nameOf(id))
  }

  async momentOn(driveId: DriveId): Promise<DriveMoment> {
    this.#check(driveId)
    return this.#momentsOf(driveId).now()
  }

  async deleteUntouched(driveId: DriveId, id: ShardId, since: DriveMoment): Promise<boolean> {
    this.#check(driveId)
    if (!this.#momentsOf(driveId).isUntouched(id, since)) return false
    this.#drive(driveId).delete(nameOf(id))
    return true
  }

  async keepShard(driveId: DriveId, id: ShardId): Promise<void> {
    this.#check(driveId)
    this.#momentsOf(driveId).note(id)
  }

  async *listShards(driveId: DriveId): AsyncGenerator<readonly ShardId[]> {
    this.#check(driveId)
    for (const name of [...this.#drive(driveId).keys()]) {
      const [uid, part, slot] = name.split('.')
      yield [{ uid: uid as ShardId['uid'], part: Number(part), slot: Number(slot) }]
    }
  }

  #momentsOf(driveId: DriveId): WriteMoments {
    const known = this.#moments.get(driveId) ?? new WriteMoments(realWorld())
    this.#moments.set(driveId, known)
    return known
  }

  /** Shards on all drives together. */
  get shardCount(): number {
    return [...this.drives.values()].reduce((sum, shards) => sum + shards.size, 0)
  }

  #drive(driveId: DriveId): Map<string, Cells> {
    const known = this.drives.get(driveId) ?? new Map<string, Cells>()
    this.drives.set(driveId, known)
    return known
  }

  #check(driveId: DriveId): void {
    if (this.failed.has(driveId)) throw new DriveUnavailable(driveId, 'failed')
  }
}

function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid}.${part}.${slot}`
}

/** A coordinator that decides at once. */
export class MemoryCoordinator implements Coordinator {
  state: ClusterState
  readonly #listeners = new Set<(state: ClusterState) => void>()

  constructor(state: ClusterState) {
    this.state = state
  }

  async decide(change: Change): Promise<ClusterState> {
    const next = change(this.state)
    if (next) {
      this.state = { ...next, epoch: this.state.epoch + 1 }
      for (const listener of this.#listeners) listener(this.state)
    }
    return this.state
  }

  watch(listener: (state: ClusterState) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** The store and what a test reaches into. */
export interface MemoryStore {
  objects: Objects
  node: MemoryNode
  coordinator: MemoryCoordinator
  partitions: readonly MetadataPartition[]
  logs: readonly MemoryLog[]
  reports: DamageReport[]
  parts: StoreParts
  bucket: Bucket
}

/** A store of `driveCount` drives with one bucket. */
export async function openMemoryStore(
  driveCount = 6,
  options: Pick<PartitionOptions, 'blobAgeMsMax' | 'onAppended'> = {},
): Promise<MemoryStore> {
  await prepareDigests()
  const drives = Array.from({ length: driveCount }, (_, index) => ({
    id: index + 1,
    uuid: `drive-${index + 1}`,
    weight: 1,
    state: 'active' as const,
  }))
  const map = buildMap(drives, codeForDrives(driveCount), '42')
  const coordinator = new MemoryCoordinator({
    clusterId: 'c',
    epoch: 1,
    map,
    metaPartitions: [],
    buckets: {},
    nextBucketId: 1,
    nextDriveId: driveCount + 1,
  })
  const world = realWorld()
  const logs = Array.from({ length: map.metaPartitionCount }, () => new MemoryLog())
  const garbage = { graceMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }
  const partitions = await Promise.all(
    logs.map((log, id) => openPartition({ id, garbage, ...options }, { log, clock: world.clock })),
  )
  const node = new MemoryNode()
  const reports: DamageReport[] = []
  const openCodec = (): Promise<Codec> =>
    Codec.open({
      maxShards: shardCount(map.code),
      cellBytes: CELL_BYTES,
      poolBytes: 16 * 1024 * 1024,
    })
  const parts: StoreParts = {
    world,
    log: silentLog,
    codec: await openCodec(),
    mendingCodec: await openCodec(),
    node,
    router: new Router(coordinator, partitions),
    coordinator,
    reducedCode: () => ({ ...map.code, parityCount: Math.max(1, map.code.parityCount - 1) }),
    keys: new LocalKeys([{ id: 'test', key: Buffer.alloc(32, 7) }], world),
    pins: new Pins(),
    blobCache: new BlobCache(),
    hedging: new Hedging(NO_ADVICE, world.clock),
    writes: new WritesUnderWay(world),
    writeBudget: new Semaphore(1024),
    writeRule: everyDrive(async (driveId) => {
      await coordinator.decide(markOut(driveId, 'a test'))
    }),
    reportDamage: (report) => reports.push(report),
  }
  const objects = new Objects(parts)
  const { bucket } = await objects.createBucket('bucket', 'us-east-1')
  return { objects, node, coordinator, partitions, logs, reports, parts, bucket }
}

/** A body of these bytes in chunks of `chunkBytes`. */
export function bodyOf(bytes: Uint8Array, chunkBytes = 70_000): Body {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunkBytes)
      yield lendOwn(Uint8Array.from(bytes.subarray(at, at + chunkBytes)))
  }
  const finish = (): { md5: string } => {
    const digest = newDigest('MD5')
    digest.update(bytes)
    return { md5: Buffer.from(digest.digest()).toString('hex') }
  }
  return { bytes: bytes.length, chunks: chunks(), finish }
}

/** Everything that an iterable gives. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}
