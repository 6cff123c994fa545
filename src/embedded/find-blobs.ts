// What shards tell of the blobs of a metadata partition: for `kintsugi recover`, on one machine and in a cluster.
import { SEAL_PLAIN_BYTES, SEAL_TAG_BYTES } from '../encryption/seal-format.ts'
import { shardCount } from '../kit/erasure-code.ts'
import { decodeLabel } from '../metadata/label.ts'
import type { FoundBlob } from '../metadata/rebuild/remains.ts'
import { MISSING_SLOT } from '../metadata/records.ts'
import type { ClusterMap } from '../placement/cluster-map.ts'
import { metaPartitionOfKey } from '../placement/place.ts'
import type { ShardDescription } from '../storage-node/contract.ts'
import type { WholeShard } from '../storage-node/recovery/recovery-messages.ts'
import type { ShardStore } from '../storage-node/shard-store.ts'

/** All shards of a metadata partition, on one drive, of which header and tail are whole. */
export async function* wholeShards(
  partition: number,
  { driveId, store, map }: { driveId: number; store: ShardStore; map: ClusterMap },
): AsyncGenerator<WholeShard> {
  for await (const description of store.scan()) {
    // Not the partition of its header: where the seed was lost, keys have another one now.
    if (metaPartitionOfKey(map, description) !== partition) continue
    if (await isWhole(store, description)) yield { driveId, description }
  }
}

/** The blobs that these shards are of, with their drives. One partition at a time bounds memory. */
export async function gatherBlobs(shards: AsyncIterable<WholeShard>): Promise<FoundBlob[]> {
  const found = new Map<string, FoundBlob>()
  for await (const { driveId, description } of shards) {
    const { uid, part, slot } = description.id
    const name = `${uid}.${part}`
    const blob = found.get(name) ?? newBlob(description)
    found.set(name, blob)
    if (blob.blob.drives[slot] === MISSING_SLOT) blob.blob.drives[slot] = driveId
  }
  return [...found.values()]
}

async function isWhole(store: ShardStore, { id }: ShardDescription): Promise<boolean> {
  const opened = await store.openShard(id)
  if (opened.kind !== 'found') return false
  const described = await opened.reader.describe().finally(() => opened.reader.close())
  return described.kind === 'found'
}

function newBlob(description: ShardDescription): FoundBlob {
  const { id, code, cellBytes, blobBytes, partition, bucketId, key, metadata } = description
  const drives = Array<number>(shardCount(code)).fill(MISSING_SLOT)
  const { encryption, origin } = decodeLabel(metadata) ?? {}
  const blob = {
    ...{ uid: id.uid, part: id.part, bytes: blobBytes, code, cellBytes, partition, drives },
    ...(origin ? { origin } : {}),
  }
  const plainBytes = encryption ? plainBytesOf(blobBytes) : blobBytes
  // A copy: what was read holds the whole header, if not more.
  return { bucketId, key, blob, plainBytes, label: Uint8Array.from(metadata) }
}

/** Every seal adds a tag. */
function plainBytesOf(sealed: number): number {
  return sealed - Math.ceil(sealed / (SEAL_PLAIN_BYTES + SEAL_TAG_BYTES)) * SEAL_TAG_BYTES
}
