// Bytes of small blobs that a worker keeps: what workers have together is what one process has alone.
import { mebibytes } from '../kit/bytes.ts'
import type { Registry } from '../kit/metrics.ts'
import { BlobCache } from '../objects/blob-cache.ts'
import { listBlobCacheMetrics } from '../objects/metrics.ts'

const ALL_BYTES = mebibytes(64)

/** The share of one of so many workers. */
export function openWorkerCache(workers: number, registry: Registry): BlobCache {
  const cache = new BlobCache({ maxBytes: ALL_BYTES / workers })
  listBlobCacheMetrics(cache, registry)
  return cache
}
