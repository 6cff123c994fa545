// kintsugi release-orphans: what a recovery could not place is not kept any longer.
import { realWorld } from '../kit/world.ts'
import { type AdminOptions, openAdminClient } from './admin-client.ts'
import { showTime } from './amounts.ts'

/** Lets orphans be deleted again, and says whether they were kept. Throws Exit. */
export async function releaseOrphansCommand(options: AdminOptions): Promise<void> {
  const client = await openAdminClient(options, realWorld())
  const released = await client.releaseOrphans()
  const text = options.json ? JSON.stringify(released) : showReleased(released.heldSinceMs)
  process.stdout.write(`${text}\n`)
}

function showReleased(heldSinceMs: number | undefined): string {
  if (heldSinceMs === undefined) return 'Orphans were not kept: there is nothing to release.'
  const since = showTime(heldSinceMs)
  return `Orphans were kept since the recovery of ${since}. From now on they are deleted as usual.`
}
