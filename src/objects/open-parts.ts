// The parts of the object store that are the same in every process that has one: codecs, budgets, hedging.
import { hashInPlace } from '../digest/xxh64.ts'
import { Codec } from '../erasure/codec.ts'
import { mebibytes } from '../kit/bytes.ts'
import { CELL_BYTES } from '../kit/erasure-code.ts'
import type { Registry } from '../kit/metrics.ts'
import { Semaphore } from '../kit/semaphore.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { shardsOfWidest } from '../placement/fit-code.ts'
import type { DriveAdvice } from '../storage-node/contract.ts'
import { BlobCache } from './blob-cache.ts'
import { Hedging } from './hedging.ts'
import { listBlobCacheMetrics, listHedgeMetrics } from './metrics.ts'
import { type StoreParts, WRITE_BUDGET_UNIT } from './store-parts.ts'

// Memory that bodies may take: stripes being filled or written, shards collected before they are written,
// stripes being mended.
const STRIPE_POOL_BYTES = mebibytes(192)
const MENDING_POOL_BYTES = mebibytes(32)

/** Small blobs in memory, to a pool of stripes: 64 MiB of a process alone, and processes that share the one share the other. */
const BLOB_CACHE_SHARE = 1 / 3
const WRITE_BUDGET_BYTES = mebibytes(128)

/** What is made here. */
type Made = 'codec' | 'mendingCodec' | 'blobCache' | 'hedging' | 'writeBudget'

/** What a process has of its own. */
export interface GivenParts extends Omit<StoreParts, Made> {
  registry: Registry
  /** What is known of the drives that are read. */
  advice: DriveAdvice
  /** Of each pool of stripes; as much as is usual when left out. */
  poolBytes?: number | undefined
  /** Shards of the widest code that may come while this process runs, where that is not decided by a start. */
  shardsAtLeast?: number
}

/** Puts a store together. Its hedged reads, and those from memory, are counted on the registry. */
export async function openStoreParts({
  registry,
  advice,
  poolBytes,
  shardsAtLeast,
  ...given
}: GivenParts): Promise<StoreParts> {
  const { coordinator } = given
  const width = { coordinator, ...(shardsAtLeast ? { shardsAtLeast } : {}) }
  const codec = await openCodec(poolBytes ?? STRIPE_POOL_BYTES, width)
  if (codec.kernel === 'javascript') {
    given.log.warn(
      { trouble: String(codec.kernelTrouble) },
      'the fast erasure code failed its self-test: the slow one is used',
    )
  }
  const hedging = new Hedging(advice, given.world.clock)
  listHedgeMetrics(hedging.counts, registry)
  const blobCache = new BlobCache({
    maxBytes: (poolBytes ?? STRIPE_POOL_BYTES) * BLOB_CACHE_SHARE,
  })
  listBlobCacheMetrics(blobCache, registry)
  return {
    ...given,
    codec,
    mendingCodec: await openCodec(poolBytes ?? MENDING_POOL_BYTES, width),
    blobCache,
    hedging,
    writeBudget: new Semaphore(WRITE_BUDGET_BYTES / WRITE_BUDGET_UNIT),
  }
}

/** A blob may be of any code that ever fitted a partition, so a stripe has a cell for every drive of one. */
export async function openCodec(
  poolBytes: number,
  {
    coordinator,
    shardsAtLeast = 0,
  }: { coordinator: Pick<Coordinator, 'state'>; shardsAtLeast?: number },
): Promise<Codec> {
  const maxShards = Math.max(shardsAtLeast, shardsOfWidest(coordinator.state.map))
  const codec = await Codec.open({ maxShards, cellBytes: CELL_BYTES, poolBytes })
  hashInPlace(codec.memory)
  return codec
}
