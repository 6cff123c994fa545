// The rule of a cluster (docs/decisions/0020-who-is-not-waited-for.md): a blob is acknowledged when so many of its shards are durable that the
// loss of any one node leaves it readable, and one more drive than that in most codes. What lacks is a repair row.
import { type ErasureCode, shardCount } from '../kit/erasure-code.ts'
import type { Clock } from '../kit/world.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import { quorumOf } from '../placement/quorum.ts'
import type { DriveId } from '../storage-node/contract.ts'
import type { WriteRule } from './write-rule.ts'

/** What tells the time, the places of a partition, and the nodes of drives. */
export interface WriteQuorumParts {
  clock: Pick<Clock, 'sleep' | 'monotonicMs'>
  coordinator: Pick<Coordinator, 'state'>
  /** The node of a drive; undefined of one that the map does not know. */
  nodeOf(driveId: DriveId): string | undefined
  /** Whether a drive is on a node that seems not to answer. */
  isAway(driveId: DriveId): boolean
}

/** A shard stream that takes nothing for so long is given up. */
const STALL_MS = 5_000

// A shard that lands right after the acknowledgement has cost a repair row for nothing, so laggards are waited for in the
// measure of what the others took; but nobody waits for one drive longer than a stall.
const LAG_MS_LEAST = 500
const LAG_SHARE = 2

/** A WriteRule by quorum. */
export function writeQuorum({ clock, coordinator, nodeOf, isAway }: WriteQuorumParts): WriteRule {
  return {
    isEnough: ({ code, partition }, drives) => {
      if (drives.length < quorumOf(code)) return false
      const home = coordinator.state.map.slots[partition]!.slice(0, shardCount(code))
      // A layout that can not bear it was allowed by who runs the cluster.
      return bearsAnyNode(drives, code, nodeOf) || !bearsAnyNode(home, code, nodeOf)
    },
    // A full drive never costs redundancy: nothing would give it back until somebody deletes.
    bears: ({ trouble }) => trouble !== 'full',
    isAway,
    placesAnew: true,
    patience: {
      clock,
      stallMs: STALL_MS,
      lagMs: (sinceMs) => Math.min(STALL_MS, Math.max(LAG_MS_LEAST, LAG_SHARE * sinceMs)),
    },
    // The missing slot in the row is on record with the commit itself.
    doWithout: async () => {},
  }
}

/** Whether k shards are left whichever node goes. */
function bearsAnyNode(
  drives: readonly DriveId[],
  { dataCount }: ErasureCode,
  nodeOf: WriteQuorumParts['nodeOf'],
): boolean {
  const onNode = new Map<string | undefined, number>()
  for (const id of drives) onNode.set(nodeOf(id), (onNode.get(nodeOf(id)) ?? 0) + 1)
  return drives.length - Math.max(0, ...onNode.values()) >= dataCount
}
