// A store over memory whose shards a test loses, rots and has mended.
import { Codec } from '../../../../src/erasure/codec.ts'
import { CELL_BYTES } from '../../../../src/kit/erasure-code.ts'
import { silentLog } from '../../../../src/kit/log.ts'
import { newUid } from '../../../../src/kit/uid.ts'
import type { BlobReference } from '../../../../src/metadata/contract.ts'
import type { Blob } from '../../../../src/metadata/records.ts'
import { markOut } from '../../../../src/placement/coordinator-changes.ts'
import { metaPartitionOf } from '../../../../src/placement/place.ts'
import { BlobLatch } from '../../../../src/storage-node/upkeep/blob-latch.ts'
import {
  type CheckDepth,
  checkBlob,
  type SlotHealth,
} from '../../../../src/storage-node/upkeep/check-blob.ts'
import {
  type Healed,
  type HealParts,
  healBlob,
} from '../../../../src/storage-node/upkeep/heal-blob.ts'
import type { HealerParts } from '../../../../src/storage-node/upkeep/healer.ts'
import { LeftBehind } from '../../../../src/storage-node/upkeep/left-behind.ts'
import { bodyOf, collect, type MemoryStore, openMemoryStore } from '../../objects/memory-store.ts'

const ATTRIBUTES = { headers: {}, userMetadata: { colour: 'blue' }, storageClass: 'STANDARD' }

/** Every blob that rows name. */
export async function allBlobs({ partitions }: MemoryStore): Promise<BlobReference[]> {
  const pages = partitions.map((partition) => partition.scanBlobs(undefined, 10_000))
  return (await Promise.all(pages)).flatMap(({ references }) => references)
}

/** The store, and what mends it. */
export class UpkeepFixture {
  readonly store: MemoryStore
  readonly codec: Codec
  readonly counts = { read: 0, written: 0, mended: 0, moved: 0, movedBytes: 0 }
  readonly leftBehind = new LeftBehind(0)
  readonly latch = new BlobLatch()
  readonly damaged: Blob[] = []

  private constructor(store: MemoryStore, codec: Codec) {
    this.store = store
    this.codec = codec
  }

  static async open(
    driveCount: number,
    options: Parameters<typeof openMemoryStore>[1] = {},
  ): Promise<UpkeepFixture> {
    const store = await openMemoryStore(driveCount, options)
    const maxShards = store.coordinator.state.map.slots[0]!.length
    const poolBytes = 16 * 1024 * 1024
    return new UpkeepFixture(
      store,
      await Codec.open({ maxShards, cellBytes: CELL_BYTES, poolBytes }),
    )
  }

  get parts(): HealParts {
    const { store, codec, counts } = this
    return {
      world: store.parts.world,
      log: silentLog,
      node: store.node,
      codec,
      coordinator: store.coordinator,
      newCommandId: () => newUid(store.parts.world),
      awaited: () => new Set(),
      countRead: (bytes) => {
        counts.read += bytes
      },
      countWritten: (bytes) => {
        counts.written += bytes
      },
      countMended: (shards) => {
        counts.mended += shards
      },
      countMoved: (bytes) => {
        counts.moved += 1
        counts.movedBytes += bytes
      },
      movePostponed: () => {},
      leftBehind: this.leftBehind,
      reportDamaged: (blob) => this.damaged.push(blob),
      pace: async () => {},
    }
  }

  get healerParts(): HealerParts {
    const { store, parts } = this
    return {
      ...parts,
      world: store.parts.world,
      partitions: store.partitions,
      latch: this.latch,
      writes: store.parts.writes,
      isPinned: (uid) => store.parts.pins.isPinned(uid),
    }
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const { objects, bucket } = this.store
    const { signal } = new AbortController()
    const body = bodyOf(bytes)
    const answer = await objects.put({
      bucket,
      key,
      attributes: ATTRIBUTES,
      conditions: {},
      body,
      signal,
    })
    if (answer.kind !== 'done') throw new Error(`${key}: ${answer.kind}`)
  }

  async read(key: string): Promise<Buffer> {
    const { objects, bucket } = this.store
    const found = await objects.find(bucket, key)
    if (found.kind !== 'found') throw new Error(`${key}: ${found.kind}`)
    const range = { first: 0, last: found.object.version.bytes - 1 }
    return collect(found.object.read(range, new AbortController()))
  }

  /** The only blob of a key. */
  async reference(key: string): Promise<BlobReference> {
    const found = (await allBlobs(this.store)).find((reference) => reference.key === key)
    if (!found) throw new Error(`${key} has no blob`)
    return found
  }

  async heal(key: string, depth: CheckDepth = 'deep', hasRepairRow = false): Promise<Healed> {
    const reference = await this.reference(key)
    return this.healReference(reference, depth, hasRepairRow)
  }

  healReference(
    reference: BlobReference,
    depth: CheckDepth = 'deep',
    hasRepairRow = false,
  ): Promise<Healed> {
    const { map } = this.store.coordinator.state
    const partition = this.store.partitions[metaPartitionOf(map, reference.blob.partition)]!
    return healBlob({ partition, reference, depth, hasRepairRow }, this.parts)
  }

  async check(key: string, depth: CheckDepth = 'deep'): Promise<readonly SlotHealth[]> {
    const { blob } = await this.reference(key)
    const { map } = this.store.coordinator.state
    return (await checkBlob(blob, depth, { ...this.parts, map, awaited: new Set() })).slots
  }

  /** The cells of every shard of a blob, as they lie on the drives. */
  shardsOf(blob: Blob): (Buffer | undefined)[] {
    return blob.drives.map((driveId, slot) => {
      const cells = this.store.node.drives.get(driveId)?.get(nameOf(blob, slot))
      return cells && Buffer.concat(cells)
    })
  }

  lose(blob: Blob, slot: number): void {
    this.store.node.drives.get(blob.drives[slot]!)!.delete(nameOf(blob, slot))
  }

  rot(blob: Blob, slot: number, cell = 0): void {
    const cells = this.store.node.drives.get(blob.drives[slot]!)!.get(nameOf(blob, slot))!
    this.store.node.rottenCells.add(cells[cell]!)
  }

  /** A drive goes out with all that is on it. */
  async takeOut(driveId: number): Promise<void> {
    this.store.node.drives.delete(driveId)
    this.store.node.failed.add(driveId)
    await this.store.coordinator.decide(markOut(driveId, 'a test'))
  }
}

function nameOf({ uid, part }: Blob, slot: number): string {
  return `${uid}.${part}.${slot}`
}
