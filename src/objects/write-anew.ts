// A blob is written once more, under another uid and with another code, because too few drives stay for the one that it
// has. It is read as clients read it, written as what they send is written, read back from every drive, and only then
// does its row name it. Until then nothing of the one before is touched, and a crash leaves orphans.
import { newDigest } from '../digest/digest.ts'
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import { Overloaded } from '../kit/semaphore.ts'
import { newUid, type Uid } from '../kit/uid.ts'
import { labelAnew } from '../metadata/label.ts'
import { type Blob, MISSING_SLOT, originOf } from '../metadata/records.ts'
import { placeBlob } from '../placement/place.ts'
import type { AnewRequest, ShardDescription, WrittenAnew } from '../storage-node/contract.ts'
import { TooFewShards } from './blob-shards.ts'
import type { Body } from './object-store.ts'
import { StoreFull } from './place-write.ts'
import { readBack } from './read-back.ts'
import { readBlob } from './read-blob.ts'
import { TooFewDrives } from './shard-fan.ts'
import { commitStored } from './store-body.ts'
import type { BlobParts } from './store-parts.ts'
import { layoutBlob } from './stripe.ts'
import { discardBlob, writeInCode } from './write-blob.ts'

/** What writing anew needs. */
export interface AnewParts extends BlobParts {
  /** Called between stripes: rests as the pace asks, throws when work is to end. */
  pace(): Promise<void>
}

/** Writes the blob of a row anew and has the row name it. Throws MetadataUnavailable, and what `pace` throws. */
export async function writeAnew(
  request: AnewRequest,
  parts: AnewParts,
  signal: AbortSignal,
): Promise<WrittenAnew> {
  const { blob } = request.reference
  const description = await describeBlob(blob, parts)
  if (!description) return { kind: 'unreadable' }
  if (!canBeWhole(request, parts)) return { kind: 'waiting' }
  const written = await writeUnderNewUid({ ...request, description }, parts, signal)
  return typeof written === 'string'
    ? { kind: written }
    : await enter({ ...request, description }, written, parts)
}

type Described = AnewRequest & { description: ShardDescription }

/**
 * Whether every shard has a drive with room now. What is written anew never owes any; nor does it give way to full drives
 * as new objects do, in a code that takes more of the room that is left: the shards of before make some.
 */
function canBeWhole({ reference: { blob }, code }: AnewRequest, parts: AnewParts): boolean {
  const placement = placeBlob(parts.coordinator.state.map, blob.partition, code)
  if (placement === undefined) return false
  const { shardBytes } = layoutBlob(blob.bytes, placement.code)
  return placement.drives.every(
    (id) => id !== MISSING_SLOT && parts.node.hasRoom(id, shardBytes, 'move'),
  )
}

/** What any of its shards says of itself: the row need not know whose bytes they are. */
async function describeBlob(
  blob: Blob,
  { node }: AnewParts,
): Promise<ShardDescription | undefined> {
  const { uid, part } = blob
  for (const [slot, driveId] of blob.drives.entries()) {
    if (driveId === MISSING_SLOT) continue
    try {
      const opened = await node.openShard(driveId, { uid, part, slot })
      if (opened.kind !== 'found') continue
      const described = await opened.reader.describe().finally(() => opened.reader.close())
      if (described.kind === 'found' && describes(described.description, blob))
        return described.description
    } catch (error) {
      if (!(error instanceof DriveUnavailable)) throw error
    }
  }
  return undefined
}

function describes({ id, blobBytes, partition }: ShardDescription, blob: Blob): boolean {
  const isNamed = id.uid === blob.uid && id.part === blob.part
  return isNamed && blobBytes === blob.bytes && partition === blob.partition
}

/** The new blob, every shard of it durable and read back; or why there is none, and then nothing is left of it. */
async function writeUnderNewUid(
  described: Described,
  parts: AnewParts,
  signal: AbortSignal,
): Promise<Blob | 'waiting' | 'unreadable'> {
  const uid = parts.writes.begin()
  let isKept = false
  try {
    const blob = await writeVerified(uid, described, parts, signal)
    isKept = blob !== undefined
    return blob ?? 'waiting'
  } catch (error) {
    if (error instanceof TooFewShards) return 'unreadable'
    if (isTemporary(error)) return 'waiting'
    throw error
  } finally {
    if (!isKept) parts.writes.end(uid)
  }
}

function isTemporary(error: unknown): boolean {
  const kinds = [StoreFull, TooFewDrives, Overloaded, DriveUnavailable]
  return kinds.some((kind) => error instanceof kind)
}

async function writeVerified(
  uid: Uid,
  { reference: { blob: before }, code, description }: Described,
  parts: AnewParts,
  signal: AbortSignal,
): Promise<Blob | undefined> {
  const { bucketId, key } = description
  const { part, partition } = before
  const origin = originOf(before)
  const metadata = labelAnew(description.metadata, origin)
  const digest = newDigest('XXHASH128')
  const stored = await writeInCode(
    { uid, bucketId, key, part, partition, code, metadata, sealMetadata: () => metadata },
    bodyOf(before, digest, parts, signal),
    parts,
    { signal },
  )
  const blob: Blob = { ...stored.blob!, origin }
  try {
    const isWhole = !blob.drives.includes(MISSING_SLOT)
    if (isWhole && (await readBack(blob, parts))?.equals(digest.digest())) return blob
    parts.log.warn({ uid: before.uid, part }, 'a blob that was written anew is not whole')
  } catch (error) {
    await discardBlob(blob, parts)
    throw error
  }
  await discardBlob(blob, parts)
  return undefined
}

/** The bytes of a blob as they are stored, sealed ones sealed. */
function bodyOf(
  blob: Blob,
  digest: { update(bytes: Uint8Array): void },
  parts: AnewParts,
  signal: AbortSignal,
): Body {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const whole = { first: 0, last: blob.bytes - 1 }
    for await (const chunk of readBlob(blob, whole, parts, { signal })) {
      await parts.pace()
      digest.update(chunk)
      yield chunk
    }
  }
  // Its shards say what they said before, so nobody asks for the digests of the body.
  return { bytes: blob.bytes, chunks: chunks(), finish: () => ({ md5: '' }) }
}

/** The row names the new blob from here on, unless it does not name the old one any more. */
async function enter(
  { partition, reference, description }: Described,
  blob: Blob,
  parts: AnewParts,
): Promise<WrittenAnew> {
  const answer = await commitStored([{ blob }], parts, () =>
    partition.commit({
      kind: 'replace-blob',
      commandId: newUid(parts.world),
      rowKey: reference.rowKey,
      bucketId: description.bucketId,
      uid: reference.blob.uid,
      blob,
    }),
  )
  return answer.kind === 'done' ? { kind: 'replaced', blob } : { kind: 'gone' }
}
