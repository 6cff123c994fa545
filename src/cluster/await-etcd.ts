// A process that starts with everything else, after a power cut or an update, finds etcd before that can answer.
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import { CoordinatorUnavailable } from '../placement/coordinator.ts'

/** So long it is tried before the start fails. Who remembers the cluster from before does not wait at all. */
const PATIENCE_MS = 30_000
const PAUSE_MS = 500

/** Tries to open what needs etcd, until etcd answers. Rejects with the last CoordinatorUnavailable, at once with anything else. */
export async function awaitEtcd<T>(
  open: () => Promise<T>,
  { world: { clock }, log }: { world: Pick<World, 'clock'>; log: Log },
): Promise<T> {
  const untilMs = clock.monotonicMs() + PATIENCE_MS
  for (;;) {
    try {
      return await open()
    } catch (error) {
      const isAway = error instanceof CoordinatorUnavailable && error.why === 'away'
      if (!isAway || clock.monotonicMs() >= untilMs) throw error
      log.warn({ why: error.message }, 'etcd does not answer yet: it is asked again')
    }
    await clock.sleep(PAUSE_MS)
  }
}
