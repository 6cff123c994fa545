// A small blob → copies on drives. Its bytes are gathered first, so that each drive gets all of its shard by one call.
import { CELL_BYTES, shardCount } from '../kit/erasure-code.ts'
import { giveBack } from '../kit/lent-bytes.ts'
import type { Placement } from '../placement/place.ts'
import type { CopiesDescription, ShardCopies } from '../storage-node/contract.ts'
import { type CodedOwner, describeBlob, describeShards, type StoredBody } from './describe-write.ts'
import type { Body, BodyDigests } from './object-store.ts'
import { placeWrite, type Unfit, withRoom } from './place-write.ts'
import { ShardFan } from './shard-fan.ts'
import { type StoreParts, WRITE_BUDGET_UNIT } from './store-parts.ts'
import { BodyLengthWrong } from './stripe-source.ts'

const NONE_YET: Unfit = { full: new Set(), away: new Set() }

/** Whether writeCopies() can store it. */
export function isOneCell({ code }: CodedOwner, { bytes }: Body, { node }: StoreParts): boolean {
  return code.dataCount === 1 && bytes <= CELL_BYTES && node.copies !== undefined
}

/** Stores a body that is not empty, as writeInCode() does. */
export async function writeCopies(
  owner: CodedOwner,
  body: Body,
  parts: StoreParts,
  signal: AbortSignal,
): Promise<StoredBody> {
  const { partition, code } = owner
  const place = (unfit: Unfit): Placement =>
    placeWrite({ partition, code, bytes: body.bytes }, unfit, parts)
  // Before the body is read: a store without room for it says so at once.
  const usual = place(NONE_YET)
  const { epoch } = parts.coordinator.state
  // The records, and what they are made of.
  const permits = Math.ceil((body.bytes * (shardCount(code) + 1)) / WRITE_BUDGET_UNIT)
  if (!parts.writeBudget.tryAcquire(permits)) await parts.writeBudget.acquire(permits, signal)
  try {
    const gathered = await gatherCopies(owner, body, parts)
    // A drive may have left while the client sent its bytes.
    const isUsual = ({ full, away }: Unfit): boolean =>
      full.size + away.size === 0 && parts.coordinator.state.epoch === epoch
    const blob = await withRoom(
      (unfit) => (isUsual(unfit) ? usual : place(unfit)),
      async ({ drives }) => {
        const lostSlots = await ShardFan.putCopies({ ...gathered, drives }, parts)
        return describeBlob({ owner, body, placement: { code, drives } }, lostSlots)
      },
    )
    return { blob, digests: gathered.digests }
  } finally {
    parts.writeBudget.release(permits)
  }
}

interface Gathered {
  description: CopiesDescription
  copies: ShardCopies
  digests: BodyDigests
}

async function gatherCopies(owner: CodedOwner, body: Body, parts: StoreParts): Promise<Gathered> {
  const cell = await gather(body)
  try {
    const digests = body.finish()
    const metadata = owner.sealMetadata(digests)
    const shards = { owner, blobBytes: cell.length, shardBytes: cell.length, metadata }
    const description = describeShards(shards, parts)
    return { description, copies: parts.node.copies!(description, cell), digests }
  } finally {
    giveBack(cell)
  }
}

/** All bytes of a body, its end seen: a chunk of it where that is the whole, which may be lent. */
async function gather({ bytes, chunks }: Body): Promise<Uint8Array> {
  let whole: Uint8Array | undefined
  let filled = 0
  for await (const chunk of chunks) {
    const end = filled + chunk.length
    if (end > bytes) throw new BodyLengthWrong('longer')
    if (chunk.length === bytes) {
      whole = chunk
    } else if (chunk.length > 0) {
      whole ??= new Uint8Array(bytes)
      whole.set(chunk, filled)
      giveBack(chunk) // It may have no length any more.
    }
    filled = end
  }
  if (whole === undefined || filled < bytes) throw new BodyLengthWrong('shorter')
  return whole
}
