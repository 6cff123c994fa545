// Bytes of small blobs that a worker keeps: what workers have together is what one process has alone, until the share of each
// would be of no use.
import { mebibytes } from '../kit/bytes.ts'
import type { Registry } from '../kit/metrics.ts'
import { BlobCache } from '../objects/blob-cache.ts'
import { listBlobCacheMetrics } from '../objects/metrics.ts'

const ALL_BYTES = mebibytes(64)
const LEAST_BYTES = mebibytes(16)

/** The share of one of so many workers. */
export function openWorkerCache(workers: number, registry: Registry): BlobCache {
  const cache = new BlobCache({ maxBytes: Math.max(LEAST_BYTES, ALL_BYTES / workers) })
  listBlobCacheMetrics(cache, registry)
  return cache
}
