// A cluster begins when the drives of all nodes that were expected are known: first records of all metadata partitions, then
// the first table. Every node does it; all come to the same, and of two who write the same record one is first.
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import { hasTable } from '../placement/cluster-map.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { PartitionRecords } from '../placement/etcd/partition-records.ts'
import { firstClusterMap, firstRecords, planFirstMap } from '../placement/first-map.ts'

/** What beginning takes. */
export interface BeginParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  coordinator: Coordinator
  records: Pick<PartitionRecords, 'get' | 'change'>
}

const LOOK_EVERY_MS = 1_000

/** Looks for it until it has begun, or is stopped. */
export function awaitBeginning(parts: BeginParts): Periodic {
  const { clock } = parts.world
  let said: string | undefined
  const look = async (): Promise<void> => {
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
  for (const [id, record] of firstRecords(plan.map, parts.world.random)) {
    if (parts.records.get(id) !== undefined) continue
    await parts.records.change(id, (found) => (found === undefined ? record : undefined))
  }
  await coordinator.decide(firstClusterMap())
  parts.log.info({}, 'the cluster has its first table: it begins to serve')
  return undefined
}
