// Whether every shard that rows name is where they say as soon as everything can be asked again, before it is made anew: what
// was acknowledged and is not owed was durable, so one that is missing was deleted while a row named it (I4).
import type { Blob } from '../../../src/metadata/records.ts'
import { MISSING_SLOT } from '../../../src/metadata/records.ts'
import type { SimTime } from '../time.ts'
import { blobsOf } from './blobs.ts'
import { namedShards } from './no-orphans.ts'
import type { ClusterWorld } from './world.ts'

const ASK_EVERY_MS = 100
const ASKED_WITHIN_MS = 20_000

/** Looks once all partitions are led. `hasLost`: drives, by their place, that may lack anything. */
export async function auditNamed(
  world: ClusterWorld,
  {
    time,
    complain,
    hasLost,
  }: { time: SimTime; complain(trouble: string): void; hasLost(path: string): boolean },
): Promise<void> {
  const untilMs = time.nowMs + ASKED_WITHIN_MS
  while (world.ledPartitions.length < world.shape.metaPartitions && time.nowMs < untilMs)
    await time.sleep(ASK_EVERY_MS)
  const missing: string[] = []
  // Who leads a partition may change still: then nothing is known.
  for (const partition of world.ledPartitions)
    try {
      const owed = new Set((await partition.owedBlobs(1_000)).map(({ blob }) => blob.uid))
      for await (const blob of blobsOf(partition))
        if (!owed.has(blob.uid)) missing.push(...(await missingOf(blob, world, hasLost)))
    } catch {
      return
    }
  // Some may have moved between the look at their row and that at their drive.
  const named = missing.length > 0 ? await namedShards(world).catch(() => undefined) : undefined
  const stay = missing.filter((shard) => named?.has(shard))
  if (stay.length > 0) complain(`I4: rows name what is not there: ${stay.join(', ')}`)
}

/** As the nodes themselves say that have the drives. */
async function missingOf(
  { uid, part, drives }: Blob,
  { nodes, gateways }: ClusterWorld,
  hasLost: (path: string) => boolean,
): Promise<string[]> {
  const missing: string[] = []
  const { map } = gateways[0]!.coordinator!.state
  for (const [slot, driveId] of drives.entries()) {
    const drive = map.drives.find(({ id }) => id === driveId)
    const served = nodes.find(({ id }) => id === drive?.nodeId)?.served
    if (driveId === MISSING_SLOT || drive?.state === 'out' || hasLost(drive?.path ?? '')) continue
    const opened = await served?.shards.openShard(driveId, { uid, part, slot })
    if (opened?.kind === 'missing') missing.push(`${driveId}/${uid}.${part}.${slot}`)
    if (opened?.kind === 'found') await opened.reader.close()
  }
  return missing
}
