// Sees drives out of the cluster, by the node that leads metadata partition 0: a drive that is draining or out, and on which
// nothing seems to be left, is closed to rows; and vacated once every leader has counted that nothing names it any more.
// Whatever is not known leaves everything as it is. Who removes a vacated drive for ever is people.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { MapDrive } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import {
  closeDrive,
  departingDrives,
  holdsReplica,
  isUnnamed,
  vacateClosed,
} from '../placement/departure.ts'
import type { PartitionRecord } from '../placement/etcd/leadership.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { type DrivesOfNode, decodeDrivesOfNode } from '../storage-node/rpc/drive-messages.ts'
import { MessageType } from '../storage-node/rpc/messages.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'

/** What it takes. */
export interface DepartureParts {
  world: Pick<World, 'clock'>
  log: Log
  coordinator: Pick<Coordinator, 'state' | 'decide'> & { refresh(): Promise<unknown> }
  records: Pick<PartitionRecords, 'get'>
  nodeOf(driveId: number): string | undefined
  /** How the drives of a node stand. Rejects when it does not answer. */
  describe(nodeId: string, deadlineMs: number): Promise<DrivesOfNode>
}

const ANSWER_MS = 5_000

/** How the drives of another node stand. Rejects as NodePeers.ask() does, and with BadMessage. */
export async function describeDrivesOf(
  nodeId: string,
  { peers, deadlineMs }: { peers: Pick<NodePeers, 'ask'>; deadlineMs: number },
): Promise<DrivesOfNode> {
  const request = { type: MessageType.DescribeDrives, body: new Uint8Array(), deadlineMs }
  return decodeDrivesOfNode(await peers.ask(nodeId, request))
}

/** One look at all drives that are on their way out. Rejects with CoordinatorUnavailable. */
export async function seeDrivesOut(parts: DepartureParts): Promise<void> {
  const { coordinator, log } = parts
  if (departingDrives(coordinator.state.map).length === 0) return
  const found = await askLeaders(parts)
  if (found === undefined) return
  // Whoever came to lead since the counts were asked for is seen now: of it there is none.
  await coordinator.refresh()
  for (const drive of departingDrives(coordinator.state.map)) {
    const { id, closedEpoch } = drive
    if (closedEpoch === undefined) {
      if (seemsEmpty(drive, found, parts)) await coordinator.decide(closeDrive(id))
      continue
    }
    const counts = found.flatMap((one) => one.counts)
    const { map } = coordinator.state
    const recordOf = (partition: number): PartitionRecord | undefined =>
      parts.records.get(partition)
    if (!isUnnamed(drive, { map, recordOf, counts })) continue
    await coordinator.decide(vacateClosed(id, closedEpoch))
    log.info({ drive: id }, 'a drive is vacated: nothing names it any more')
  }
}

/** What those say who lead partitions; undefined when one of them is not known, or does not answer. */
async function askLeaders(parts: DepartureParts): Promise<DrivesOfNode[] | undefined> {
  const { coordinator, records, nodeOf, describe, world } = parts
  const leaders = new Set<string>()
  for (let partition = 0; partition < coordinator.state.map.metaPartitionCount; partition += 1) {
    const driveId = records.get(partition)?.primary?.driveId
    const nodeId = driveId === undefined ? undefined : nodeOf(driveId)
    if (nodeId === undefined) return undefined
    leaders.add(nodeId)
  }
  const deadlineMs = world.clock.monotonicMs() + ANSWER_MS
  const asked = [...leaders].map((nodeId) => describe(nodeId, deadlineMs))
  const answers = await Promise.allSettled(asked)
  const found = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  return found.length === answers.length ? found : undefined
}

/** By what the leaders counted last. It may be wrong: only what is counted after the closing says it for certain. */
function seemsEmpty(
  { id, state }: MapDrive,
  found: readonly DrivesOfNode[],
  { coordinator, records }: DepartureParts,
): boolean {
  for (let partition = 0; partition < coordinator.state.map.metaPartitionCount; partition += 1) {
    const record = records.get(partition)
    if (record === undefined || holdsReplica(record, id)) return false
  }
  return found.every(({ leaving }) => {
    const { blobs, oldCopies = 0 } = leaving.find(({ driveId }) => driveId === id) ?? {}
    // Where nothing can be read nobody waits for readers.
    return blobs === 0 && (state === 'out' || oldCopies === 0)
  })
}
