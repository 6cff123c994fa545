// What a recovery reads from a node that may be restarting, or opening a drive anew: it is given up only where the node says so.
import { DriveUnavailable } from '../kit/drive-unavailable.ts'
import type { Log } from '../kit/log.ts'
import { Overloaded } from '../kit/semaphore.ts'
import type { World } from '../kit/world.ts'
import { NodeFailed, NodeRefused, NodeUnreachable } from '../storage-node/rpc/trouble.ts'

/**
 * What a node says of what could not be read. `lost`: nobody can read it any more. `damaged`: its bytes seem to be wrong, which is
 * believed when it lasts. `open`: nobody knows.
 */
export type Unreadable = 'lost' | 'damaged' | 'open'

/** It may be read later, and has what nothing else has: nothing is to be made without it. */
export class NotReadableNow extends Error {
  override readonly name = 'NotReadableNow'
  readonly code = 'NOT_READABLE_NOW'
}

/** A node that restarts, or a drive that is opened anew, is back within this time. */
const PATIENCE_MS = 60_000
/** A drive is opened anew after ten seconds: what could not be read for so long by a node that answers is damaged. */
const DAMAGED_MS = 20_000
const PAUSE_MS = 1_000

/** Reads it, again and again where it fails. Undefined: it is not to be had any more. Throws NotReadableNow when that stays open. */
export async function readWithPatience<What>(
  {
    read,
    ask = async () => 'open',
  }: { read: () => Promise<What>; ask?: () => Promise<Unreadable> },
  { world: { clock }, log }: { world: Pick<World, 'clock'>; log: Log },
): Promise<What | undefined> {
  let openSinceMs: number | undefined
  let damagedSinceMs: number | undefined
  for (;;) {
    try {
      return await read()
    } catch (error) {
      if (!isOfNode(error)) throw error
      const answer = await ask().catch((trouble: unknown): Unreadable => {
        if (!isOfNode(trouble)) throw trouble
        return 'open'
      })
      log.info({ error: String(error), answer }, 'a node could not read for a recovery')
      const nowMs = clock.monotonicMs()
      openSinceMs ??= nowMs
      damagedSinceMs = answer === 'damaged' ? (damagedSinceMs ?? nowMs) : undefined
      if (answer === 'lost' || nowMs - (damagedSinceMs ?? nowMs) >= DAMAGED_MS) return undefined
      if (nowMs - openSinceMs >= PATIENCE_MS)
        throw new NotReadableNow('what a recovery needs can not be read now', { cause: error })
    }
    await clock.sleep(PAUSE_MS)
  }
}

function isOfNode(error: unknown): boolean {
  const kinds = [NodeFailed, NodeUnreachable, NodeRefused, DriveUnavailable, Overloaded]
  return kinds.some((kind) => error instanceof kind)
}
