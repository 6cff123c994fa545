// Bytes → stripes → shards on drives. Nothing here is visible: the commit that follows makes it so.
import type { Codec, Stripe } from '../erasure/codec.ts'
import { kibibytes, mebibytes } from '../kit/bytes.ts'
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import { type Blob, MISSING_SLOT } from '../metadata/records.ts'
import type { Placement } from '../placement/place.ts'
import {
  type BlobOwner,
  type CodedOwner,
  describeBlob,
  describeShards,
  type StoredBody,
} from './describe-write.ts'
import type { Body, Waiter } from './object-store.ts'
import { placeWrite, withRoom } from './place-write.ts'
import { ShardFan } from './shard-fan.ts'
import { type BlobParts, type StoreParts, WRITE_BUDGET_UNIT } from './store-parts.ts'
import { type BlobLayout, cellBytesOf, layoutBlob, stripeBytesOf } from './stripe.ts'
import { BodyLengthWrong, StripeSource } from './stripe-source.ts'
import { isOneCell, writeCopies } from './write-copies.ts'

/** Up to here a blob is kept as copies: operations matter more than bytes. */
const COPIES_UP_TO_BYTES = 128 * 1024

/** Storage collects shards up to this length in memory and writes them at once, where it has memory for them. */
const COLLECTED_SHARD_BYTES = mebibytes(1)

/** Up to this length it collects them in any case (ALWAYS_BUFFERED_BYTES of shard-store.ts). */
const ALWAYS_COLLECTED_BYTES = kibibytes(128)

/** Stores a body under its uid. Throws what the body throws, and then leaves nothing behind. */
export function writeBlob(
  owner: BlobOwner,
  body: Body,
  parts: StoreParts,
  waiter: Waiter,
): Promise<StoredBody> {
  if (body.bytes === 0) return finishEmpty(body)
  const code = chooseCode(owner, body.bytes, parts)
  return writeInCode({ code, ...owner }, body, parts, waiter)
}

/** Stores a body that is not empty in this code, or in one of the same parity where drives are lacking for it. */
export function writeInCode(
  owner: CodedOwner,
  body: Body,
  parts: BlobParts,
  waiter: Waiter,
): Promise<StoredBody> {
  if (isOneCell(owner, body, parts)) return writeCopies(owner, body, parts, waiter)
  const { partition, code } = owner
  return withRoom(
    (unfit) => placeWrite({ partition, code, bytes: body.bytes }, unfit, parts),
    (placement) => storePlaced({ owner, body, placement }, parts, waiter.signal),
  )
}

async function storePlaced(
  planned: Omit<BlobWrite, 'layout'>,
  parts: BlobParts,
  signal: AbortSignal,
): Promise<StoredBody> {
  const { body, placement } = planned
  const layout = layoutBlob(body.bytes, placement.code)
  const permits = collectedPermits(layout, placement.code)
  if (permits > 0) await parts.writeBudget.acquire(permits, signal)
  try {
    return await storeStripes({ ...planned, layout }, parts, signal)
  } finally {
    if (permits > 0) parts.writeBudget.release(permits)
  }
}

interface BlobWrite {
  owner: CodedOwner
  body: Body
  placement: Placement
  layout: BlobLayout
}

async function storeStripes(
  write: BlobWrite,
  parts: BlobParts,
  signal: AbortSignal,
): Promise<StoredBody> {
  const { owner, body, layout, placement } = write
  const { shardBytes } = layout
  const shards = {
    owner: { ...owner, code: placement.code },
    ...{ blobBytes: body.bytes, shardBytes, metadata: owner.metadata },
  }
  const fan = await ShardFan.open(describeShards(shards, parts), placement.drives, parts)
  try {
    await streamStripes(write, fan, parts.codec, signal)
    const digests = body.finish()
    const lostSlots = await fan.commit(owner.sealMetadata(digests))
    return { blob: describeBlob(write, lostSlots), digests }
  } catch (error) {
    await fan.abort()
    throw error
  }
}

/** A stripe that is ready to be sent. */
interface FilledStripe {
  stripe: Stripe
  cells: readonly Uint8Array[]
}

/** Fills and encodes stripe after stripe and sends them; the next are filled while the last are being written. */
async function streamStripes(
  { body, layout, placement: { code } }: BlobWrite,
  fan: ShardFan,
  codec: Codec,
  signal: AbortSignal,
): Promise<void> {
  const source = new StripeSource(body.chunks)
  let sending = Promise.resolve()
  let filled: FilledStripe[] = []
  const send = async (): Promise<void> => {
    await sending
    const stripes = filled
    filled = []
    sending = fan.write(stripes.map(({ cells }) => cells)).finally(() => {
      for (const { stripe } of stripes) stripe.release()
    })
    // Awaited before the next ones are sent; until then a failure must not count as unhandled.
    sending.catch(() => {})
  }
  try {
    for (let index = 0; index < layout.stripeCount; index += 1) {
      // Who waits for a stripe holds none but those that are being written: else all could wait for each other.
      if (filled.length > 0 && !canHoldMore(filled.length, layout, codec)) await send()
      filled.push(await fillStripe({ source, layout, code, index }, codec, signal))
    }
    await send()
    await sending
    await source.expectEnd()
  } finally {
    await Promise.allSettled([sending])
    for (const { stripe } of filled) stripe.release()
    await source.close()
  }
}

async function fillStripe(
  {
    source,
    layout,
    code,
    index,
  }: { source: StripeSource; layout: BlobLayout; code: ErasureCode; index: number },
  codec: Codec,
  signal: AbortSignal,
): Promise<FilledStripe> {
  const stripe = await codec.acquire(signal)
  const cellBytes = cellBytesOf(layout, index)
  try {
    await source.fill(stripe, code.dataCount, cellBytes, stripeBytesOf(layout, index))
    codec.encode(code, stripe, cellBytes)
  } catch (error) {
    stripe.release()
    throw error
  }
  const cells = stripe.cells.slice(0, shardCount(code)).map((cell) => cell.subarray(0, cellBytes))
  return { stripe, cells }
}

/** Stripes that go to the drives by one write each: what a write costs beside its bytes is as much as that of a cell. */
const STRIPES_TOGETHER = 4

/** Shards that storage collects in memory gain nothing by it; and clients that send slowly must leave stripes to others. */
function canHoldMore(count: number, { shardBytes }: BlobLayout, codec: Codec): boolean {
  return count < STRIPES_TOGETHER && shardBytes > COLLECTED_SHARD_BYTES && codec.hasPlenty
}

async function finishEmpty(body: Body): Promise<StoredBody> {
  for await (const chunk of body.chunks) {
    if (chunk.length > 0) throw new BodyLengthWrong('longer')
  }
  return { digests: body.finish() }
}

function chooseCode(owner: BlobOwner, bytes: number, parts: StoreParts): ErasureCode {
  const { map } = parts.coordinator.state
  const wanted = owner.storageClass === 'REDUCED_REDUNDANCY' ? parts.reducedCode() : map.code
  return bytes <= COPIES_UP_TO_BYTES ? { ...wanted, dataCount: 1 } : wanted
}

/**
 * Permits for the memory in which storage collects the shards of this blob; 0 when it may stream them. They are held for as long as
 * the client sends: some twenty slow ones that bring 4 MiB each would keep everybody else from writing.
 */
function collectedPermits(layout: BlobLayout, code: ErasureCode): number {
  if (layout.shardBytes > ALWAYS_COLLECTED_BYTES) return 0
  return Math.ceil((layout.shardBytes * shardCount(code)) / WRITE_BUDGET_UNIT)
}

/** Forgets the shards of a blob that was never committed, as far as possible now. */
export async function discardBlob(blob: Blob, parts: BlobParts): Promise<void> {
  const deletions = blob.drives.map(async (driveId, slot) => {
    if (driveId === MISSING_SLOT) return
    await parts.node.deleteShard(driveId, { uid: blob.uid, part: blob.part, slot })
  })
  for (const result of await Promise.allSettled(deletions)) {
    if (result.status === 'rejected') parts.log.debug({ uid: blob.uid }, 'a shard stays as garbage')
  }
}
