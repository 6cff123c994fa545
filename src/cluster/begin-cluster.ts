// A cluster begins when the drives of all nodes that were expected are known: first records of all metadata partitions, then
// the first table. Every node does it; all come to the same, and of two who write the same record one is first.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { hasTable, nodeIdsOf } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { NextRecord } from '../placement/etcd/leadership.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { firstClusterMap, firstRecords, hasAllNodes, planFirstMap } from '../placement/first-map.ts'

/** What beginning takes. */
export interface BeginParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  coordinator: Coordinator
  records: Pick<PartitionRecords, 'get' | 'change' | 'createAll'>
}

/** What waiting for it takes beside. */
export interface AwaitParts extends BeginParts {
  nodeId: string
}

/** Nodes take turns, so that they do not all do it at the same time: the first is the usual one. */
const TURN_MS = 5_000

const LOOK_EVERY_MS = 1_000

/** Looks for it until it has begun, or is stopped. */
export function awaitBeginning(parts: AwaitParts): Periodic {
  const { clock } = parts.world
  let said: string | undefined
  let waitedMs = 0
  const look = async (): Promise<void> => {
    const isReady = hasAllNodes(parts.coordinator.state)
    waitedMs = isReady ? waitedMs + LOOK_EVERY_MS : 0
    if (isReady && waitedMs <= turnOf(parts) * TURN_MS) return
    const sentence = await beginCluster(parts)
    if (sentence !== undefined && sentence !== said)
      parts.log.info({ why: sentence }, 'the cluster does not serve yet')
    said = sentence
  }
  return repeat('begin-cluster', LOOK_EVERY_MS, look, { clock, log: parts.log })
}

/** Begins it if that is possible now; gives a sentence that says what is awaited or in the way. Rejects with CoordinatorUnavailable. */
export async function beginCluster(parts: BeginParts): Promise<string | undefined> {
  const { coordinator } = parts
  if (hasTable(coordinator.state.map)) return undefined
  const plan = planFirstMap(coordinator.state)
  if (plan.kind === 'made') return undefined
  if (plan.kind !== 'possible') return plan.sentence
  // The state may be an old one, in which there was no table yet.
  const { map } = await coordinator.decide(() => undefined)
  if (hasTable(map)) return undefined
  await writeRecords(firstRecords(plan.map, parts.world.random), parts)
  await coordinator.decide(firstClusterMap())
  parts.log.info({}, 'the cluster has its first table: it begins to serve')
  return undefined
}

/** Some may be there already: of somebody who was cut short. */
async function writeRecords(
  first: ReadonlyMap<number, NextRecord>,
  { records }: BeginParts,
): Promise<void> {
  const missing = new Map([...first].filter(([id]) => records.get(id) === undefined))
  if (missing.size === first.size && (await records.createAll(first))) return
  for (const [id, record] of missing)
    await records.change(id, (found) => (found === undefined ? record : undefined))
}

/** Its place among the nodes that have drives. */
function turnOf({ nodeId, coordinator }: AwaitParts): number {
  return Math.max(0, nodeIdsOf(coordinator.state.map.drives).sort().indexOf(nodeId))
}
