// Writes blobs anew in a node, for the partitions that it leads: as a gateway writes, on drives of the whole cluster, but in the
// code that was chosen or not at all.
import { mebibytes } from '../kit/bytes.ts'
import { shardCount } from '../kit/erasure-code.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { WritesUnderWay } from '../metadata/writes-under-way.ts'
import { Hedging, NO_ADVICE } from '../objects/hedging.ts'
import { openCodec } from '../objects/open-parts.ts'
import { openRewriter } from '../objects/open-rewriter.ts'
import { Pins } from '../objects/pins.ts'
import type { WriteRule } from '../objects/write-rule.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { Rewriter, ShardsOnDrives } from '../storage-node/contract.ts'

/** What it takes. */
export interface NodeRewriterParts {
  world: World
  log: Log
  coordinator: Coordinator
  /** The drives of the whole cluster. */
  node: ShardsOnDrives
  /** Of each pool of stripes, where it is not what is usual. */
  poolBytes?: number | undefined
}

const MENDING_POOL_BYTES = mebibytes(16)

/** What was there before is whole or mended: nothing is gained by a blob that owes shards. */
const EVERY_SHARD: WriteRule = {
  isEnough: ({ code }, drives) => drives.length === shardCount(code),
  bears: () => false,
  isAway: () => false,
  placesAnew: false,
  patience: undefined,
  doWithout: async () => {},
}

/** Its memory is taken with the first blob: few clusters ever write one anew. */
export function nodeRewriter(parts: NodeRewriterParts): Rewriter {
  let opening: Promise<Rewriter> | undefined
  return {
    writeAnew: async (request, pace, signal) => {
      opening ??= open(parts).catch((error) => {
        opening = undefined
        throw error
      })
      return await (await opening).writeAnew(request, pace, signal)
    },
  }
}

async function open({
  world,
  log,
  coordinator,
  node,
  poolBytes,
}: NodeRewriterParts): Promise<Rewriter> {
  return await openRewriter({
    ...{ world, log, coordinator, node, poolBytes },
    mendingCodec: await openCodec(poolBytes ?? MENDING_POOL_BYTES, { coordinator }),
    // Readers are in other processes: what a row does not name any more is kept for the time of grace.
    pins: new Pins(),
    hedging: new Hedging(NO_ADVICE, world.clock),
    writes: new WritesUnderWay(world),
    writeRule: EVERY_SHARD,
  })
}
