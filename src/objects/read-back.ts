// Reads all shards of a blob back from their drives, parity as well: only what is there is counted on.
import { newDigest } from '../digest/digest.ts'
import type { Stripe } from '../erasure/codec.ts'
import { asBuffer } from '../kit/bytes.ts'
import { shardCount } from '../kit/erasure-code.ts'
import type { Blob } from '../metadata/records.ts'
import type { ShardReader } from '../storage-node/contract.ts'
import type { StoreParts } from './store-parts.ts'
import { cellBytesOf, layoutBlob, stripeBytesOf } from './stripe.ts'

/** What reading back needs. */
type ReadBackParts = Pick<StoreParts, 'node' | 'codec'> & { pace(): Promise<void> }

/** XXHASH128 of the bytes of a blob; undefined unless every cell is there and the parity is that of the data. */
export async function readBack(blob: Blob, parts: ReadBackParts): Promise<Buffer | undefined> {
  const readers: ShardReader[] = []
  const stripe = await parts.codec.acquire()
  try {
    for (const [slot, driveId] of blob.drives.entries()) {
      const id = { uid: blob.uid, part: blob.part, slot }
      const opened = await parts.node.openShard(driveId, id)
      if (opened.kind !== 'found') return undefined
      readers.push(opened.reader)
      if ((await opened.reader.describe()).kind !== 'found') return undefined
    }
    return await digestStripes(blob, { readers, stripe }, parts)
  } finally {
    stripe.release()
    for (const reader of readers) await reader.close()
  }
}

async function digestStripes(
  { bytes, code, cellBytes: fullCellBytes }: Blob,
  { readers, stripe }: { readers: readonly ShardReader[]; stripe: Stripe },
  { codec, pace }: ReadBackParts,
): Promise<Buffer | undefined> {
  const layout = layoutBlob(bytes, code, fullCellBytes)
  const digest = newDigest('XXHASH128')
  for (let index = 0; index < layout.stripeCount; index += 1) {
    await pace()
    const cellBytes = cellBytesOf(layout, index)
    const cells = stripe.cells.slice(0, shardCount(code)).map((cell) => cell.subarray(0, cellBytes))
    const reads = await Promise.allSettled(
      readers.map((reader, slot) => reader.readCell(index, cells[slot]!)),
    )
    for (const read of reads) {
      if (read.status === 'rejected') throw read.reason
      if (read.value.kind !== 'found' || read.value.bytes !== cellBytes) return undefined
    }
    const parity = cells.slice(code.dataCount).map((cell) => Buffer.from(cell))
    codec.encode(code, stripe, cellBytes)
    if (!parity.every((cell, at) => cell.equals(cells[code.dataCount + at]!))) return undefined
    let left = stripeBytesOf(layout, index)
    for (const cell of cells.slice(0, code.dataCount)) {
      digest.update(cell.subarray(0, left))
      left = Math.max(0, left - cellBytes)
    }
  }
  return asBuffer(digest.digest())
}
