// What the store counts of objects, for Prometheus. Uploads that nobody completes or aborts take room and are in no
// listing of objects: here they can be seen.

import type { Log } from '../kit/log.ts'
import { Counter, computedGauge, Gauge, type Registry } from '../kit/metrics.ts'
import type { Clock } from '../kit/world.ts'
import type { BlobCache } from './blob-cache.ts'
import type { HedgeCounts } from './hedging.ts'
import type { ObjectStore, UploadCensus } from './object-store.ts'

/** Every partition is asked: not more often than this, however often a scrape comes. */
const CENSUS_EVERY_MS = 60_000

/** Who counts uploads and where it is shown. `log` is told when they could not be counted. */
export interface ObjectMetricsParts {
  objects: Pick<ObjectStore, 'countUploads'>
  registry: Registry
  clock: Clock
  log: Log
}

/** Puts the metrics of the store on the registry; they are computed when they are asked for. */
export function watchUploads(parts: ObjectMetricsParts): void {
  const registers = [parts.registry]
  const takeCensus = censusTaker(parts)
  new Gauge({
    name: 'kintsugi_multipart_uploads',
    help: 'Multipart uploads that were neither completed nor aborted.',
    registers,
    // Each process counts all of them.
    aggregator: 'max',
    async collect() {
      this.set((await takeCensus()).count)
    },
  })
  new Gauge({
    name: 'kintsugi_multipart_upload_bytes',
    help: 'Bytes of the parts of these uploads, without parity.',
    registers,
    aggregator: 'max',
    async collect() {
      this.set((await takeCensus()).bytes)
    },
  })
  new Gauge({
    name: 'kintsugi_multipart_upload_oldest_seconds',
    help: 'Age of the oldest multipart upload that was neither completed nor aborted; 0 without any.',
    registers,
    aggregator: 'max',
    async collect() {
      const nowMs = parts.clock.now()
      const { oldestMs = nowMs } = await takeCensus()
      this.set(Math.max(0, nowMs - oldestMs) / 1000)
    },
  })
}

/** The last census, or a new one when it is old. One that fails leaves the last: the other metrics shall be seen. */
function censusTaker({ objects, clock, log }: ObjectMetricsParts): () => Promise<UploadCensus> {
  let last: UploadCensus = { count: 0, parts: 0, bytes: 0, oldestMs: undefined }
  let asked: { atMs: number; census: Promise<UploadCensus> } | undefined
  const ask = async (): Promise<UploadCensus> => {
    try {
      last = await objects.countUploads()
    } catch (error) {
      log.warn({ error: String(error) }, 'multipart uploads could not be counted')
    }
    return last
  }
  return () => {
    const nowMs = clock.monotonicMs()
    if (asked === undefined || nowMs - asked.atMs >= CENSUS_EVERY_MS) {
      asked = { atMs: nowMs, census: ask() }
    }
    return asked.census
  }
}

/** Puts the counts of hedged reads on the registry. */
export function listHedgeMetrics(counts: Readonly<HedgeCounts>, registry: Registry): void {
  const last: HedgeCounts = { issued: 0, won: 0, refused: 0, bypassed: 0 }
  new Counter({
    name: 'kintsugi_hedged_reads_total',
    help: 'Stripes read from parity because a cell was late (issued; won where that was faster; refused by the budget) or its drive suspect (bypassed).',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      for (const outcome of ['issued', 'won', 'refused', 'bypassed'] as const) {
        this.inc({ outcome }, counts[outcome] - last[outcome])
        last[outcome] = counts[outcome]
      }
    },
  })
}

/** Puts what is kept of small blobs, and how often that was of use, on the registry. */
export function listBlobCacheMetrics(cache: BlobCache, registry: Registry): void {
  const last = { hits: 0, misses: 0 }
  new Counter({
    name: 'kintsugi_small_blob_reads_total',
    help: 'Reads of blobs of at most 128 KiB, from the memory of the process that answers (hit) or not (miss).',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      const { hits, misses } = cache.counts
      this.inc({ outcome: 'hit' }, hits - last.hits)
      this.inc({ outcome: 'miss' }, misses - last.misses)
      Object.assign(last, { hits, misses })
    },
  })
  computedGauge(
    {
      name: 'kintsugi_small_blob_cache_bytes',
      help: 'Memory of the blobs that are kept because they are read again and again.',
      value: () => cache.bytes,
    },
    registry,
  )
}
