// The cluster long after the last trouble: of all shards that were ever written there are left those that rows name (I5).
import { MISSING_SLOT } from '../../../src/metadata/records.ts'
import type { DriveId, ShardId, StorageNode } from '../../../src/storage-node/contract.ts'
import type { SimTime } from '../time.ts'
import { blobsOf } from './blobs.ts'
import type { ClusterWorld } from './world.ts'

/** The age of orphans, what clocks may differ by, and some sweeps. */
const WITHIN_MS = 900_000
const LOOK_MS = 15_000

/** Waits until every orphan was swept; complains of those that stay. Nobody writes meanwhile. */
export async function awaitNoOrphans(
  world: ClusterWorld,
  {
    time,
    complain,
    say,
  }: { time: SimTime; complain(trouble: string): void; say(line: string): void },
): Promise<void> {
  const untilMs = time.nowMs + WITHIN_MS
  let found = await orphansOf(world)
  say(`${found.length} shards are named by no row`)
  while (found.length > 0) {
    if (time.nowMs >= untilMs) return complain(`I5: orphans stay: ${found.slice(0, 10).join(', ')}`)
    await time.sleep(LOOK_MS)
    found = await orphansOf(world)
  }
  say('no orphan is left')
}

/** Those of which can be told whose they are: one whose header is rotten is left, since it may be somebody's. */
async function orphansOf(world: ClusterWorld): Promise<string[]> {
  try {
    const named = await namedShards(world)
    const { map } = world.gateways[0]!.coordinator!.state
    // What is on a drive that was emptied goes with it.
    const swept = new Set(map.drives.flatMap(({ id, state }) => (state === 'active' ? id : [])))
    const found: string[] = []
    for (const { served } of world.nodes) {
      for (const { id: driveId } of served!.drives.filter(({ id }) => swept.has(id)))
        for await (const ids of served!.lists.listShards(driveId))
          for (const id of ids) {
            const name = `${driveId}/${id.uid}.${id.part}.${id.slot}`
            if (!named.has(name) && (await isDescribed(served!.shards, driveId, id)))
              found.push(name)
          }
    }
    return found
  } catch (error) {
    return [String(error)]
  }
}

async function isDescribed(node: StorageNode, driveId: DriveId, id: ShardId): Promise<boolean> {
  const opened = await node.openShard(driveId, id)
  if (opened.kind !== 'found') return false
  const described = await opened.reader.describe()
  await opened.reader.close()
  return described.kind === 'found'
}

/** Every shard that a row names, as drive/uid.part.slot. Throws when a partition is not led. */
export async function namedShards({ ledPartitions, shape }: ClusterWorld): Promise<Set<string>> {
  const named = new Set<string>()
  if (ledPartitions.length < shape.metaPartitions) throw new Error('not every partition is led')
  for (const partition of ledPartitions)
    for await (const { uid, part, drives } of blobsOf(partition))
      for (const [slot, driveId] of drives.entries())
        if (driveId !== MISSING_SLOT) named.add(`${driveId}/${uid}.${part}.${slot}`)
  return named
}
