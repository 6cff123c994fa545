// Bytes of a blob from memory where they are kept, else from its shards. For clients only: who repairs or verifies asks the drives.
import { assert } from '../kit/assert.ts'
import { oneChunk } from '../kit/bytes.ts'
import { giveBack } from '../kit/lent-bytes.ts'
import type { Blob } from '../metadata/records.ts'
import type { BlobCache, CachedAs } from './blob-cache.ts'
import type { ByteRange, Waiter } from './object-store.ts'
import { readBlob } from './read-blob.ts'
import type { StoreParts } from './store-parts.ts'

/** The bytes of `range` if they are in memory: to be kept for as long as anybody likes, and never to be changed. */
export function findCached(
  blob: CachedAs,
  range: ByteRange,
  blobCache: BlobCache,
): Uint8Array | undefined {
  const bytes = blobCache.find(blob)
  if (bytes === undefined) return undefined
  assert(range.last < bytes.length, 'a range is within its blob')
  return bytes.subarray(range.first, range.last + 1)
}

/** As readBlob(), from memory if they are there; what comes to be read again and again is there from then on. */
export function readCached(
  blob: Blob,
  range: ByteRange,
  parts: StoreParts,
  waiter: Waiter,
): AsyncIterable<Uint8Array> {
  return readThrough(parts.blobCache, { blob, range }, (part) =>
    readBlob(blob, part, parts, waiter),
  )
}

/** Likewise for who reads the bytes of a blob in another way. */
export function readThrough(
  blobCache: BlobCache,
  { blob, range }: { blob: CachedAs; range: ByteRange },
  read: Read,
): AsyncIterable<Uint8Array> {
  const cached = findCached(blob, range, blobCache)
  if (cached !== undefined) return oneChunk(cached)
  return blobCache.isWanted(blob) ? readAndKeep(blobCache, { blob, range }, read) : read(range)
}

type Read = (range: ByteRange) => AsyncIterable<Uint8Array>

/** All of the blob is read, whatever is asked for: so it is there for every other range. */
async function* readAndKeep(
  blobCache: BlobCache,
  { blob, range }: { blob: CachedAs; range: ByteRange },
  read: Read,
): AsyncGenerator<Uint8Array> {
  // Memory of its own, neither lent nor part of anything larger.
  const bytes = Buffer.allocUnsafeSlow(blob.bytes)
  let at = 0
  for await (const chunk of read({ first: 0, last: blob.bytes - 1 })) {
    bytes.set(chunk, at)
    at += chunk.length
    giveBack(chunk)
  }
  assert(at === blob.bytes, 'a blob is read to its end or not at all')
  blobCache.keep(blob, bytes)
  yield bytes.subarray(range.first, range.last + 1)
}
