// A small blob → copies on drives. Its bytes are gathered first, so that each drive gets all of its shard by one call.
import { hashInPlace } from '../digest/xxh64.ts'
import { kibibytes } from '../kit/bytes.ts'
import { CELL_BYTES } from '../kit/erasure-code.ts'
import { giveBack } from '../kit/lent-bytes.ts'
import { lentWasmRooms } from '../kit/wasm-rooms.ts'
import type { Placement } from '../placement/place.ts'
import type { CopiesDescription, ShardCopies } from '../storage-node/contract.ts'
import { type CodedOwner, describeBlob, describeShards, type StoredBody } from './describe-write.ts'
import type { Body, BodyDigests, Waiter } from './object-store.ts'
import { placeWrite, type Unfit, withRoom } from './place-write.ts'
import { ShardFan } from './shard-fan.ts'
import { type BlobParts, WRITE_BUDGET_UNIT } from './store-parts.ts'
import { BodyLengthWrong } from './stripe-source.ts'

// Memory of each for itself is what the garbage collector counts outside of its heap, and looks through all of that for.
const cells = lentWasmRooms({
  ...{ slotBytes: CELL_BYTES, strideBytes: CELL_BYTES },
  ...{ slotsOfRoom: 8, maxSpare: 32 },
  onRoom: hashInPlace,
})

/** Below this it is cheaper to allocate. */
const LENT_BYTES_LEAST = kibibytes(16)

const NONE_YET: Unfit = { full: new Set(), away: new Set() }

/** Whether writeCopies() can store it. */
export function isOneCell({ code }: CodedOwner, { bytes }: Body, { node }: BlobParts): boolean {
  return code.dataCount === 1 && bytes <= CELL_BYTES && node.copies !== undefined
}

/** Stores a body that is not empty, as writeInCode() does. */
export async function writeCopies(
  owner: CodedOwner,
  body: Body,
  parts: BlobParts,
  waiter: Waiter,
): Promise<StoredBody> {
  const { partition, code } = owner
  const place = (unfit: Unfit): Placement =>
    placeWrite({ partition, code, bytes: body.bytes }, unfit, parts)
  // Before the body is read: a store without room for it says so at once.
  const usual = place(NONE_YET)
  const { epoch } = parts.coordinator.state
  const memoryBytes = body.bytes < LENT_BYTES_LEAST ? body.bytes : CELL_BYTES
  const permits = Math.ceil(memoryBytes / WRITE_BUDGET_UNIT)
  if (!parts.writeBudget.tryAcquire(permits)) {
    await parts.writeBudget.acquire(permits, waiter.signal)
  }
  try {
    const gathered = await gatherCopies(owner, body, parts)
    // A drive may have left while the client sent its bytes.
    const isUsual = ({ full, away }: Unfit): boolean =>
      full.size + away.size === 0 && parts.coordinator.state.epoch === epoch
    let attempts = 0
    return await withRoom(
      (unfit) => (isUsual(unfit) ? usual : place(unfit)),
      async ({ drives }) => {
        attempts += 1
        const { copies, description } = gathered
        const lostSlots = await ShardFan.putCopies({ copies, description, drives }, parts)
        // Where one failed or is late, nobody knows whether it is still being written: the garbage collector does.
        if (attempts === 1 && lostSlots.length === 0) giveBack(gathered.cell)
        const blob = describeBlob({ owner, body, placement: { code, drives } }, lostSlots)
        return { blob, digests: gathered.digests }
      },
    )
  } finally {
    parts.writeBudget.release(permits)
  }
}

interface Gathered {
  /** May be lent. */
  cell: Uint8Array
  description: CopiesDescription
  copies: ShardCopies
  digests: BodyDigests
}

async function gatherCopies(owner: CodedOwner, body: Body, parts: BlobParts): Promise<Gathered> {
  const cell = await gather(body)
  try {
    const digests = body.finish()
    const metadata = owner.sealMetadata(digests)
    const shards = { owner, blobBytes: cell.length, shardBytes: cell.length, metadata }
    const description = describeShards(shards, parts)
    return { cell, description, copies: parts.node.copies!(description, cell), digests }
  } catch (error) {
    giveBack(cell)
    throw error
  }
}

/** All bytes of a body, its end seen: lent, or a chunk of it where that is the whole. */
async function gather({ bytes, chunks }: Body): Promise<Uint8Array> {
  let whole: Uint8Array | undefined
  let filled = 0
  try {
    for await (const chunk of chunks) {
      const end = filled + chunk.length
      if (end > bytes) throw new BodyLengthWrong('longer')
      if (chunk.length === bytes && bytes < LENT_BYTES_LEAST) {
        whole = chunk
      } else if (chunk.length > 0) {
        whole ??= bytes < LENT_BYTES_LEAST ? new Uint8Array(bytes) : cells.take().lend(0, bytes)
        whole.set(chunk, filled)
        giveBack(chunk) // It may have no length any more.
      }
      filled = end
    }
    if (whole === undefined || filled < bytes) throw new BodyLengthWrong('shorter')
    return whole
  } catch (error) {
    if (whole !== undefined) giveBack(whole)
    throw error
  }
}
