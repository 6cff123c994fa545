// What must be true of a store that says that it is whole and to which nothing happens: every shard of every blob is
// where its row says and reads back, no garbage waits, and queues are empty.
import { createHash } from 'node:crypto'
import { shardCount } from '../../src/kit/erasure-code.ts'
import type { MetadataPartition } from '../../src/metadata/contract.ts'
import type { Blob } from '../../src/metadata/records.ts'
import type { ShardId } from '../../src/storage-node/contract.ts'
import type { Complain, Serving } from './store.ts'
import type { SimTime } from './time.ts'

/** What was due for so long has been collected. */
const COLLECTED_WITHIN_MS = 10_000

/** Complains of everything that is not so. */
export async function audit(serving: Serving, complain: Complain): Promise<void> {
  const { storage } = serving
  for (const partition of storage.router.partitions) {
    let after: Uint8Array | undefined
    do {
      const page = await partition.scanBlobs(after, 100)
      for (const { blob } of page.references) await auditBlob(blob, serving, complain)
      after = page.more ? page.after : undefined
    } while (after !== undefined)
    // A clock that was set makes rows due at any moment, also at this one.
    const nowMs = serving.process.world.clock.now() - COLLECTED_WITHIN_MS
    const due = await partition.dueGarbage(nowMs, 100)
    if (due.length > 0) complain(`I5: ${due.length} blobs are garbage and stay`)
  }
  const { queued, unrepairableCount } = storage.healer.progress()
  const { map } = storage.coordinator.state
  const live = map.drives.filter(({ state }) => state === 'active').length
  // With too few drives blobs wait for one, rightly.
  if (unrepairableCount > 0 || (queued > 0 && live >= shardCount(map.code)))
    complain(`I7: ${queued} blobs are queued, ${unrepairableCount} can not be mended`)
}

/** How long the sweep for orphans may take, in virtual time. */
const SWEPT_WITHIN_MS = 300_000

/** Complains of shards that no row names and that stay all the same (I5). */
export async function auditOrphans(
  serving: Serving,
  time: SimTime,
  complain: Complain,
): Promise<void> {
  const untilMs = time.nowMs + SWEPT_WITHIN_MS
  let left = await orphansOf(serving)
  while (left.length > 0 && time.nowMs < untilMs) {
    serving.orphans.sweepNow()
    await time.sleep(5_000)
    left = await orphansOf(serving)
  }
  if (left.length > 0) complain(`I5: ${left.length} shards without a row stay, such as ${left[0]}`)
}

/** Shards that no row names, but for those whose write may still be decided, and those that can not be read. */
async function orphansOf({ storage }: Serving): Promise<string[]> {
  const { node, lists, writes, coordinator } = storage
  const named = await namedShards(storage.router.partitions)
  const orphans: string[] = []
  for (const { id: driveId, state } of coordinator.state.map.drives) {
    if (state !== 'active') continue
    for await (const ids of lists.listShards(driveId)) {
      for (const id of ids) {
        const name = nameOf(driveId, id)
        if (named.has(name) || writes.has(id.uid)) continue
        const opened = await node.openShard(driveId, id)
        if (opened.kind !== 'found') continue
        const described = await opened.reader.describe()
        await opened.reader.close()
        if (described.kind === 'found') orphans.push(name)
      }
    }
  }
  return orphans
}

async function namedShards(partitions: readonly MetadataPartition[]): Promise<Set<string>> {
  const named = new Set<string>()
  const add = ({ uid, part, drives }: Blob): void => {
    for (const [slot, driveId] of drives.entries()) named.add(nameOf(driveId, { uid, part, slot }))
  }
  for (const partition of partitions) {
    let after: Uint8Array | undefined
    do {
      const page = await partition.scanBlobs(after, 100)
      for (const { blob } of page.references) add(blob)
      after = page.more ? page.after : undefined
    } while (after !== undefined)
    const garbage = await partition.dueGarbage(Number.MAX_SAFE_INTEGER - 1, 10_000)
    for (const { blob } of garbage) add(blob)
  }
  return named
}

function nameOf(driveId: number, { uid, part, slot }: ShardId): string {
  return `${uid}.${part}.${slot} of drive ${driveId}`
}

async function auditBlob(blob: Blob, { storage }: Serving, complain: Complain): Promise<void> {
  const { map } = storage.coordinator.state
  const { drives } = blob
  const live = map.drives.filter(({ state }) => state === 'active').length
  let good = 0
  const sums = new Set<string>()
  for (const [slot, driveId] of drives.entries()) {
    try {
      const sum = await sumOf(blob, slot, driveId, storage)
      if (sum === undefined) continue
      good += 1
      sums.add(sum)
    } catch {
      // The drive is not there.
    }
  }
  if (blob.code.dataCount === 1 && sums.size > 1) complain(`I2: copies of blob ${blob.uid} differ`)
  const wanted = Math.min(shardCount(blob.code), live)
  if (good < wanted)
    complain(`I7: blob ${blob.uid} has ${good} of ${wanted} shards on drives ${drives.join()}`)
}

/** Of all cells of a shard, each verified by its drive; undefined when one can not be read. */
async function sumOf(
  { uid, part, code, bytes, cellBytes }: Blob,
  slot: number,
  driveId: number,
  { node }: Serving['storage'],
): Promise<string | undefined> {
  const opened = await node.openShard(driveId, { uid, part, slot })
  if (opened.kind !== 'found') return undefined
  const stripes = Math.ceil(bytes / (code.dataCount * cellBytes))
  const target = Buffer.alloc(cellBytes)
  const sum = createHash('md5')
  try {
    for (let index = 0; index < stripes; index += 1) {
      const read = await opened.reader.readCell(index, target)
      if (read.kind !== 'found') return undefined
      sum.update(target.subarray(0, read.bytes))
    }
    return sum.digest('hex')
  } finally {
    await opened.reader.close()
  }
}
