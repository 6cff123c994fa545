// What rows name, as a filter: the shards that are none of an orphan sweep's business. Garbage is the collector's.
import type { Queries } from '../../metadata/contract.ts'
import { type Blob, MISSING_SLOT } from '../../metadata/records.ts'
import type { DriveId } from '../contract.ts'
import { garbagePages } from './garbage-pages.ts'
import type { ShardFilter } from './shard-filter.ts'

/** A partition, as it is asked what it names. */
export type NamingRows = Pick<Queries, 'scanBlobs' | 'dueGarbage'>

/** Rows asked for at once: a bound on memory. */
const PAGE_BLOBS = 256

/** What adding is told. */
export interface NamingParts {
  /** The drives whose shards are looked for: what is named elsewhere would only fill the filter. */
  drives: ReadonlySet<DriveId>
  pace(): Promise<void>
}

/** Adds every shard on these drives that a row of any partition names. Throws when one of them can not be asked. */
export async function addNamedShards(
  filter: ShardFilter,
  partitions: readonly NamingRows[],
  parts: NamingParts,
): Promise<void> {
  for (const partition of partitions) {
    await addBlobs(filter, partition, parts)
    await addGarbage(filter, partition, parts)
  }
}

/** Asks each partition for a row. Throws when one of them can not be asked: then all rows of the others are not walked in vain. */
export async function askEach(partitions: readonly NamingRows[]): Promise<void> {
  for (const partition of partitions) await partition.scanBlobs(undefined, 1)
}

async function addBlobs(
  filter: ShardFilter,
  partition: NamingRows,
  { drives, pace }: NamingParts,
): Promise<void> {
  let after: Uint8Array | undefined
  for (;;) {
    const page = await partition.scanBlobs(after, PAGE_BLOBS)
    for (const { blob } of page.references) addShards(filter, blob, drives)
    if (!page.more) return
    after = page.after
    await pace()
  }
}

async function addGarbage(
  filter: ShardFilter,
  partition: NamingRows,
  { drives, pace }: NamingParts,
): Promise<void> {
  for await (const page of garbagePages(partition, PAGE_BLOBS)) {
    for (const { blob } of page) addShards(filter, blob, drives)
    await pace()
  }
}

function addShards(filter: ShardFilter, blob: Blob, drives: ReadonlySet<DriveId>): void {
  const { uid, part } = blob
  for (const [slot, driveId] of blob.drives.entries()) {
    if (driveId !== MISSING_SLOT && drives.has(driveId)) filter.add(driveId, { uid, part, slot })
  }
}
