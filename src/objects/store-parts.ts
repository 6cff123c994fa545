// What the object room is made of: handed in by the member, the same for every object.
import type { KeyProvider } from '../encryption/key-provider.ts'
import type { Codec } from '../erasure/codec.ts'
import type { ErasureCode } from '../kit/erasure-code.ts'
import type { Log } from '../kit/log.ts'
import type { Semaphore } from '../kit/semaphore.ts'
import type { World } from '../kit/world.ts'
import type { Blob } from '../metadata/records.ts'
import type { WritesUnderWay } from '../metadata/writes-under-way.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { Router } from '../placement/router.ts'
import type { ShardId, ShardsOnDrives } from '../storage-node/contract.ts'
import type { BlobCache } from './blob-cache.ts'
import type { Hedging } from './hedging.ts'
import type { Pins } from './pins.ts'
import type { WriteRule } from './write-rule.ts'

/** A reader's report: this shard was not what the row says. Upkeep mends it; the reader does not wait. */
export interface DamageReport {
  driveId: number
  id: ShardId
  /** The blob that the shard is of. */
  blob: Blob
  /** `out`: the drive is known to be missing. */
  kind: 'missing' | 'corrupt' | 'failed'
}

/** What it takes to write and read blobs, whosever they are. */
export interface BlobParts {
  world: World
  log: Log
  /** Encodes what is written. */
  codec: Codec
  /** Mends what is read: a pool of its own, so that a copy never waits for itself. */
  mendingCodec: Codec
  node: ShardsOnDrives
  coordinator: Coordinator
  pins: Pins
  /** Says which reads are not waited for. */
  hedging: Hedging
  /** Gives the uids of all blobs that are written, and knows which of them have no row yet. */
  writes: WritesUnderWay
  /** Permits of WRITE_BUDGET_UNIT bytes for shards that storage collects in memory in any case before it writes them. */
  writeBudget: Semaphore
  /** When a blob is safe enough to be acknowledged. */
  writeRule: WriteRule
  reportDamage(report: DamageReport): void
}

/** Parts of the object store. */
export interface StoreParts extends BlobParts {
  router: Router
  /** Small blobs that clients read again and again. */
  blobCache: BlobCache
  /** The code of new objects of the class REDUCED_REDUNDANCY now; all others have that of the map. */
  reducedCode(): ErasureCode
  /** Wraps the keys of encrypted objects. */
  keys: KeyProvider
}

/** One permit of `writeBudget`. */
export const WRITE_BUDGET_UNIT = 64 * 1024
