// How a whole cluster stands with mending, by what its nodes say, and the passes that people ask for. What one node does not
// say is not known: nothing is verified then.
import type { HealBegun, HealingStatus, UnrepairableStatus } from '../gateway/admin-api.ts'
import type { Clock } from '../kit/world.ts'
import { nodeIdsOf } from '../placement/cluster-map.ts'
import type { Bucket, Coordinator } from '../placement/coordinator.ts'
import { FieldReader } from '../storage-node/rpc/fields.ts'
import { MessageType } from '../storage-node/rpc/messages.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'
import { decodeUpkeepStatus, type NodeUpkeepStatus } from '../storage-node/rpc/upkeep-messages.ts'

/** Who is asked. */
export interface ClusterHealingParts {
  coordinator: Pick<Coordinator, 'state'>
  peers: Pick<NodePeers, 'ask'>
  clock: Pick<Clock, 'now' | 'monotonicMs'>
}

/** What every node of the map says; those that do not answer are not in it. */
export type UpkeepOfNodes = ReadonlyMap<string, NodeUpkeepStatus>

const ANSWER_MS = 3_000

/** As many as are shown. */
const UNREPAIRABLE_SHOWN = 20

/** Tells every node to mend everything now, and to read every byte. */
export async function beginClusterHeal(parts: ClusterHealingParts): Promise<HealBegun> {
  const { clock } = parts
  const askedMs = clock.now()
  const begun = await askAll(parts, async (nodeId, deadlineMs) => {
    const request = { type: MessageType.MendNow, body: new Uint8Array(), deadlineMs }
    return readCount(await parts.peers.ask(nodeId, request))
  })
  const nodes = Object.fromEntries(begun)
  const all = nodeIdsOf(parts.coordinator.state.map.drives)
  const silent = all.filter((nodeId) => !begun.has(nodeId))
  return { askedMs, scrubsEnded: sum(Object.values(nodes)), nodes, silent }
}

function readCount(bytes: Uint8Array): number {
  const fields = new FieldReader(bytes)
  const count = fields.u64()
  fields.end()
  return count
}

/** How it stands now. */
export async function clusterHealing(parts: ClusterHealingParts): Promise<HealingStatus> {
  const { map, buckets } = parts.coordinator.state
  return sumUpkeep(await askUpkeep(parts), { partitions: map.metaPartitionCount, buckets })
}

/** What nodes say, in one. Pure. */
export function sumUpkeep(
  found: UpkeepOfNodes,
  { partitions, buckets }: { partitions: number; buckets: Readonly<Record<string, Bucket>> },
): HealingStatus {
  const all = [...found.values()]
  const led = new Set(all.flatMap((one) => one.partitions))
  const leaders = all.filter((one) => one.partitions.length > 0)
  const verifiedMs = leaders.map(({ lastVerifiedMs }) => lastVerifiedMs)
  const isVerified = led.size === partitions && leaders.every(({ complete }) => complete)
  const last = verifiedMs.includes(undefined) ? undefined : Math.min(...(verifiedMs as number[]))
  const isKnown = last !== undefined && Number.isFinite(last)
  const total = (of: (one: NodeUpkeepStatus) => number): number => sum(all.map(of))
  return {
    verified: isVerified && isKnown,
    ...(isKnown ? { lastVerifiedMs: last } : {}),
    lastEventMs: 0,
    queued: total(({ queued }) => queued),
    waiting: total(({ waiting }) => waiting),
    passes: all.flatMap((one) => one.passes),
    ended: {
      check: total(({ endedChecks }) => endedChecks),
      scrub: total(({ endedScrubs }) => endedScrubs),
    },
    endedScrubs: Object.fromEntries([...found].map(([id, one]) => [id, one.endedScrubs])),
    checkedBlobs: total(({ checkedBlobs }) => checkedBlobs),
    mendedShards: total(({ mendedShards }) => mendedShards),
    bytesRead: total(({ bytesRead }) => bytesRead),
    bytesWritten: total(({ bytesWritten }) => bytesWritten),
    checkedFiles: total(({ checkedFiles }) => checkedFiles),
    damagedFiles: total(({ damagedFiles }) => damagedFiles),
    orphans: {
      deleted: total(({ orphansDeleted }) => orphansDeleted),
      deletedBytes: total(({ orphanBytesDeleted }) => orphanBytesDeleted),
    },
    unrepairableCount: total(({ unrepairableCount }) => unrepairableCount),
    unrepairable: all
      .flatMap(({ unrepairable }) => unrepairable)
      .slice(0, UNREPAIRABLE_SHOWN)
      .map((blob) => describeLost(blob, buckets)),
  }
}

function describeLost(
  { bucketId, key, ...blob }: NodeUpkeepStatus['unrepairable'][number],
  buckets: Readonly<Record<string, Bucket>>,
): UnrepairableStatus {
  const bucket = Object.values(buckets).find(({ id }) => id === bucketId)?.name
  return {
    ...blob,
    ...(bucket === undefined ? {} : { bucket }),
    ...(key === undefined ? {} : { key }),
  }
}

/** What the nodes of the map say that answer. */
async function askUpkeep(parts: ClusterHealingParts): Promise<UpkeepOfNodes> {
  return await askAll(parts, async (nodeId, deadlineMs) => {
    const request = { type: MessageType.AskUpkeep, body: new Uint8Array(), deadlineMs }
    return decodeUpkeepStatus(await parts.peers.ask(nodeId, request))
  })
}

async function askAll<Answer>(
  { coordinator, clock }: ClusterHealingParts,
  ask: (nodeId: string, deadlineMs: number) => Promise<Answer>,
): Promise<Map<string, Answer>> {
  const nodes = nodeIdsOf(coordinator.state.map.drives)
  const deadlineMs = clock.monotonicMs() + ANSWER_MS
  const answers = await Promise.allSettled(nodes.map((nodeId) => ask(nodeId, deadlineMs)))
  const found = new Map<string, Answer>()
  for (const [at, answer] of answers.entries())
    if (answer.status === 'fulfilled') found.set(nodes[at]!, answer.value)
  return found
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
