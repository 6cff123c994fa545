// Shards to test with: described, written and read back whole.
import { CELL_BYTES, MatrixId } from '../../src/kit/erasure-code.ts'
import type { Uid } from '../../src/kit/uid.ts'
import type {
  ShardDescription,
  ShardId,
  ShardOpened,
  ShardReader,
  ShardWriter,
} from '../../src/storage-node/contract.ts'
import type { Seeded } from '../support/seeded.ts'

/** What the tests need of a store: a drive of a storage node has it, and so has a shard store. */
export interface ShardKeeper {
  beginShard(description: ShardDescription): Promise<ShardWriter>
  openShard(id: ShardId): Promise<ShardOpened>
  openAtHand?(id: ShardId): ShardReader | undefined
  deleteShard(id: ShardId): Promise<void>
}

/** A shard with its bytes. */
export interface SampleShard {
  description: ShardDescription
  bytes: Uint8Array
}

/** A shard of `shardBytes` random bytes. Cells are full, or as long as a small shard. */
export function sampleShard(
  seeded: Seeded,
  shardBytes: number,
  cellBytes = CELL_BYTES,
): SampleShard {
  const key = `photos/${seeded.below(1000)}/ünï ${'x'.repeat(seeded.below(200))}`
  const description: ShardDescription = {
    id: {
      uid: seeded.bytes(16).toString('hex') as Uid,
      part: seeded.below(3),
      slot: seeded.below(6),
    },
    code: { dataCount: 4, parityCount: 2, matrix: MatrixId.CentredVandermonde },
    cellBytes: Math.max(1, Math.min(cellBytes, shardBytes)),
    shardBytes,
    blobBytes: shardBytes * 4,
    partition: seeded.below(256),
    mapEpoch: 7,
    bucketId: 3,
    key,
    metadata: seeded.bytes(seeded.below(300)),
  }
  return { description, bytes: seeded.bytes(shardBytes) }
}

/** The cells of a shard, in order. */
export function cellsOf({ description, bytes }: SampleShard): Uint8Array[] {
  const cells: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += description.cellBytes) {
    cells.push(bytes.subarray(at, at + description.cellBytes))
  }
  return cells
}

/** Writes a shard without committing it. */
export async function writeCells(store: ShardKeeper, shard: SampleShard): Promise<ShardWriter> {
  const writer = await store.beginShard(shard.description)
  const reused = Buffer.alloc(shard.description.cellBytes)
  for (const cell of cellsOf(shard)) {
    reused.set(cell)
    await writer.write(reused.subarray(0, cell.length))
    reused.fill(0xee)
  }
  return writer
}

/** Writes and commits a shard; aborts what can not be committed. */
export async function putShard(store: ShardKeeper, shard: SampleShard): Promise<void> {
  const writer = await writeCells(store, shard)
  try {
    await writer.commit()
  } catch (error) {
    await writer.abort()
    throw error
  }
}

/** What reading a whole shard gave. */
export type ShardRead =
  | { kind: 'found'; bytes: Uint8Array }
  | { kind: 'missing' }
  | { kind: 'corrupt'; cell: number | undefined; detail: string }

/** Reads all cells of a shard, as long as its description says: as readers do, without opening it where it is open. */
export async function readShard(
  store: ShardKeeper,
  description: ShardDescription,
): Promise<ShardRead> {
  const { id, shardBytes } = description
  // Where nothing is read nobody says that it is missing.
  const atHand = shardBytes > 0 ? store.openAtHand?.(id) : undefined
  if (atHand !== undefined) return await readCells(atHand, description)
  const opened = await store.openShard(id)
  if (opened.kind === 'missing') return opened
  if (opened.kind === 'corrupt') return { ...opened, cell: undefined }
  return await readCells(opened.reader, description)
}

async function readCells(
  reader: ShardReader,
  { cellBytes, shardBytes }: ShardDescription,
): Promise<ShardRead> {
  const target = Buffer.alloc(cellBytes)
  const cells: Uint8Array[] = []
  try {
    for (let index = 0; index * cellBytes < shardBytes; index += 1) {
      const cell = await reader.readCell(index, target)
      if (cell.kind === 'missing') return cell
      if (cell.kind === 'corrupt') return { ...cell, cell: index }
      cells.push(Uint8Array.from(target.subarray(0, cell.bytes)))
    }
  } finally {
    await reader.close()
  }
  return { kind: 'found', bytes: Buffer.concat(cells) }
}

/** `whole`, `missing`, `corrupt`, or `wrong`: the one thing that must never be. */
export async function judgeShard(store: ShardKeeper, shard: SampleShard): Promise<string> {
  const read = await readShard(store, shard.description)
  if (read.kind !== 'found') return read.kind
  return Buffer.compare(read.bytes, shard.bytes) === 0 ? 'whole' : 'wrong'
}
