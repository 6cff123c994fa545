// All blobs that rows of a simulated cluster name, as those see them who lead its metadata partitions.
import type { MetadataPartition } from '../../../src/metadata/contract.ts'
import type { Blob } from '../../../src/metadata/records.ts'
import type { ClusterWorld } from './world.ts'

/** Every blob that a row of the partition names. */
export async function* blobsOf(partition: MetadataPartition): AsyncGenerator<Blob> {
  let after: Uint8Array | undefined
  do {
    const page = await partition.scanBlobs(after, 100)
    for (const { blob } of page.references) yield blob
    after = page.more ? page.after : undefined
  } while (after !== undefined)
}

/** Complains when rows name a drive of which was decided that nothing does: it may be taken away (I1). */
export async function auditVacated(
  driveId: number,
  world: ClusterWorld,
  complain: (trouble: string) => void,
): Promise<void> {
  const named: string[] = []
  for (const partition of world.ledPartitions) {
    try {
      for await (const { uid, drives } of blobsOf(partition))
        if (drives.includes(driveId)) named.push(uid)
    } catch {
      // Somebody else leads it.
    }
  }
  // Somebody may have taken it back meanwhile.
  const states = world.members.flatMap(({ coordinator }) => coordinator?.state ?? [])
  const isVacated = states.every(({ map }) => {
    const drive = map.drives.find(({ id }) => id === driveId)
    return drive === undefined || drive.isVacated
  })
  if (isVacated && named.length > 0)
    complain(`I1: drive ${driveId} may be taken away, and blob ${named[0]} is on it`)
}
